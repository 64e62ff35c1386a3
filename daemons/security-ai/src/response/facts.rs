//! What the host says of a target: `/proc`, the files that run, the control groups. Read anew for each request;
//! what vanishes between two reads is not there.

use super::device;
use super::plan::{Caller, File, ProcessFacts, UnitFacts};
use super::protect::merged;
use crate::proc::Proc;
use crate::process::Identity;
use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most control groups below a unit that are looked at.
const MOST_GROUPS: usize = 4096;
/// The most ancestors of a caller that are followed.
const MOST_ANCESTORS: usize = 64;

/// Where to look.
#[derive(Debug, Clone)]
pub struct Host {
    proc: Proc,
    groups: PathBuf,
}

impl Host {
    /// A host with this `/proc` and the unified hierarchy of control groups here.
    #[must_use]
    pub fn new(proc: Proc, groups: PathBuf) -> Self {
        Self { proc, groups }
    }

    /// The process that has this number now.
    #[must_use]
    pub fn identity(&self, pid: u32) -> Option<Identity> {
        self.proc.identity(pid)
    }

    /// The unit of the process that has this number now.
    #[must_use]
    pub fn unit_of(&self, pid: u32) -> Option<String> {
        crate::unit::of_proc_file(&self.proc.text(pid, "cgroup")?)
    }

    /// A process, if it still is that one.
    #[must_use]
    pub fn process(&self, identity: Identity) -> Option<ProcessFacts> {
        let pid = identity.pid;
        let (_, kernel_thread, has_ended) = self.proc.nature(pid)?;
        let link = self.proc.folder(pid).join("exe");
        let path = fs::read_link(&link).unwrap_or_default();
        let path = path.to_string_lossy();
        let mounts = self.proc.folder(pid).join("mountinfo");
        let (running, shares_numbers) = device::look(&link, &mounts).unzip();
        let at_path = fs::metadata(path.as_ref()).ok();
        let is_same = matches!((&running, &at_path), (Some(a), Some(b)) if
            a.dev() == b.dev() && a.ino() == b.ino());
        let is_roots = self
            .proc
            .text(pid, "status")
            .is_some_and(|text| effective_uid(&text) == Some(0));
        let unit = self.proc.text(pid, "cgroup");
        let facts = ProcessFacts {
            identity,
            executable: merged(&path),
            is_authentic: is_same || is_roots,
            file: running.map(|file| File {
                inode: file.ino(),
                device_major: nix::sys::stat::major(file.dev()) as u32,
                device_minor: nix::sys::stat::minor(file.dev()) as u32,
            }),
            shares_numbers: shares_numbers.flatten(),
            kernel_thread,
            has_ended,
            unit: unit.and_then(|text| crate::unit::of_proc_file(&text)),
        };
        // Everything above was of one process only if it is still there.
        (self.proc.identity(pid) == Some(identity)).then_some(facts)
    }

    /// A unit with its processes. `control_group` is what systemd says of it.
    #[must_use]
    pub fn unit(&self, name: &str, control_group: &str) -> UnitFacts {
        UnitFacts {
            name: name.to_owned(),
            groups: self.groups(control_group),
            processes: self.processes_of(name),
        }
    }

    /// The numbers of a unit's control groups. `control_group` is what systemd says of it.
    #[must_use]
    pub fn groups(&self, control_group: &str) -> Vec<u64> {
        groups(&self.groups, control_group)
    }

    /// Who calls, by the number the bus gives.
    #[must_use]
    pub fn caller(&self, pid: u32) -> Caller {
        let mut lineage = Vec::new();
        let mut next = pid;
        while next != 0
            && lineage.len() < MOST_ANCESTORS
            && let Some(identity) = self.proc.identity(next)
        {
            lineage.push(identity);
            next = self.proc.nature(next).map_or(0, |(parent, _, _)| parent);
        }
        let unit = lineage.first().and_then(|first| self.proc.unit(*first));
        Caller { lineage, unit }
    }

    fn processes_of(&self, unit: &str) -> Vec<ProcessFacts> {
        let pids = self.proc.pids().filter(|pid| {
            let text = self.proc.text(*pid, "cgroup").unwrap_or_default();
            crate::unit::of_proc_file(&text).as_deref() == Some(unit)
        });
        pids.filter_map(|pid| self.process(self.proc.identity(pid)?))
            .collect()
    }
}

/// The numbers of a control group and of those below it, its own first. None where there is no unified hierarchy.
fn groups(root: &Path, control_group: &str) -> Vec<u64> {
    let relative = control_group.trim_start_matches('/');
    let is_plain = !relative.is_empty() && !relative.split('/').any(|part| part == "..");
    if !is_plain || !root.join("cgroup.controllers").exists() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut waiting = VecDeque::from([root.join(relative)]);
    while let Some(folder) = waiting.pop_front() {
        let Ok(metadata) = fs::symlink_metadata(&folder) else {
            continue;
        };
        if !metadata.is_dir() || found.len() >= MOST_GROUPS {
            continue;
        }
        found.push(metadata.ino());
        let below = fs::read_dir(&folder).into_iter().flatten().flatten();
        waiting.extend(
            below
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    found
}

/// The effective user in the text of `/proc/PID/status`. Who owns the folder says less: one that can't be dumped is
/// root's.
fn effective_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_what_it_is() {
        let host = Host::new(Proc::new("/proc"), "/nowhere".into());
        let pid = std::process::id();
        let identity = host.identity(pid).unwrap();
        let this = host.process(identity).unwrap();
        let path = std::env::current_exe().unwrap();
        assert_eq!(this.executable, merged(&path.to_string_lossy()));
        assert!(this.is_authentic && !this.kernel_thread && !this.has_ended);
        let file = fs::metadata(&path).unwrap();
        assert_eq!(this.file.unwrap().inode, file.ino());
        let other = Identity {
            start: identity.start + 1,
            ..identity
        };
        assert_eq!(host.process(other), None, "its number with another start");
        let caller = host.caller(pid);
        assert_eq!(caller.lineage[0], identity);
        let parent = std::os::unix::process::parent_id();
        assert_eq!(caller.lineage.get(1).map(|one| one.pid), Some(parent));
        assert_eq!(host.caller(u32::MAX), Caller::default());
    }

    #[test]
    fn a_thread_of_the_kernel_is_known() {
        let host = Host::new(Proc::new("/proc"), "/nowhere".into());
        let known = host.identity(2).and_then(|identity| host.process(identity));
        let Some(kthreadd) = known.filter(|two| two.executable.is_empty()) else {
            eprintln!("skipped: process 2 is not the kernel's here");
            return;
        };
        assert!(kthreadd.kernel_thread);
    }

    #[test]
    fn groups_are_those_of_the_unified_hierarchy_below_the_unit() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("system.slice/a.service/child")).unwrap();
        fs::write(root.path().join("system.slice/a.service/cgroup.procs"), "").unwrap();
        let path = "/system.slice/a.service";
        assert!(groups(root.path(), path).is_empty(), "it is not unified");
        fs::write(root.path().join("cgroup.controllers"), "cpu").unwrap();
        let found = groups(root.path(), path);
        let ino = |name: &str| fs::metadata(root.path().join(name)).unwrap().ino();
        assert_eq!(
            found,
            [
                ino("system.slice/a.service"),
                ino("system.slice/a.service/child")
            ]
        );
        for path in ["", "/", "/system.slice/../system.slice", "/gone.service"] {
            assert!(groups(root.path(), path).is_empty(), "{path}");
        }
    }

    #[test]
    fn the_effective_user_is_the_second_number() {
        let text = "Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t1\t1\t1\t1\n";
        assert_eq!(effective_uid(text), Some(0));
        assert_eq!(effective_uid("Name:\tx\n"), None);
    }
}

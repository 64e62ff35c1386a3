//! The peers: the audit system with rules on the same system calls, and bpftrace that counts them. Each is there while
//! its value lives. One that isn't installed, or is in use for something else, is skipped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// What a watched compile is watched for: programs, connections, changes of files, rights and the kernel.
const CALLS: [&str; 30] = [
    "execve",
    "connect",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "symlink",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "fchownat",
    "bind",
    "listen",
    "accept4",
    "setuid",
    "setresuid",
    "ptrace",
    "kill",
    "mount",
    "unshare",
    "setns",
    "init_module",
    "finit_module",
    "memfd_create",
];

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

fn end(child: &mut Child) {
    // Either may fail only when it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Whether the process that the kernel takes for auditd is not there, or another by now: after one was killed the
/// kernel keeps its number until it has something to send.
fn is_nobody(pid: &str) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    pid == "0" || name.trim() != "auditd"
}

/// auditd with rules of ours.
pub struct Auditd {
    daemon: Child,
    _folder: tempfile::TempDir,
}

impl Auditd {
    /// Starts it, if nobody else uses the audit system.
    pub fn start(say: bool) -> Result<Option<Self>, Failure> {
        let status = output("auditctl", &["-s"]).unwrap_or_default();
        let rules = output("auditctl", &["-l"]).unwrap_or_default();
        let holder = status.lines().find_map(|line| line.strip_prefix("pid "));
        let free = holder.is_some_and(is_nobody) && rules.contains("No rules");
        if !free {
            if say {
                eprintln!("skipped: auditd: not installed, or in use");
            }
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("audit.log");
        let text = format!(
            "log_file = {}\nlog_format = RAW\nflush = INCREMENTAL_ASYNC\nfreq = 50\nspace_left = 75\nadmin_space_left = 50\n",
            log.display()
        );
        std::fs::write(folder.path().join("auditd.conf"), text)?;
        let daemon = Command::new("auditd")
            .args(["-n", "-s", "enable", "-c"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let peer = Self {
            daemon,
            _folder: folder,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let runs = || {
            output("auditctl", &["-s"])
                .is_some_and(|text| text.contains(&format!("pid {}", peer.daemon.id())))
        };
        while !runs() {
            if Instant::now() > deadline {
                if say {
                    eprintln!("skipped: auditd does not start");
                }
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let calls = CALLS.join(",");
        let rule = [
            "-a",
            "always,exit",
            "-F",
            "arch=b64",
            "-S",
            &calls,
            "-k",
            "measure",
        ];
        if output("auditctl", &rule).is_none() {
            if say {
                eprintln!("skipped: auditd takes no rules here");
            }
            return Ok(None);
        }
        Ok(Some(peer))
    }
}

impl Drop for Auditd {
    fn drop(&mut self) {
        let _ = output("auditctl", &["-D"]);
        let _ = output("auditctl", &["-e", "0"]);
        // Asked to end, it tells the kernel that it has gone.
        let pid = self.daemon.id().to_string();
        if output("kill", &["-TERM", &pid]).is_some() {
            let deadline = Instant::now() + Duration::from_secs(5);
            while matches!(self.daemon.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        end(&mut self.daemon);
    }
}

/// bpftrace with a script of ours.
pub struct Bpftrace(Child);

impl Bpftrace {
    /// Starts it, if it is installed and has tracepoints.
    pub fn start(say: bool) -> Result<Option<Self>, Failure> {
        let points: Vec<_> = CALLS
            .iter()
            .map(|call| format!("tracepoint:syscalls:sys_exit_{call}"))
            .collect();
        let script = format!(
            "BEGIN {{ printf(\"ready\\n\"); }} {} {{ @[comm, pid] = count(); }}",
            points.join(", ")
        );
        let started = Command::new("bpftrace")
            .args(["-e", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = started else {
            if say {
                eprintln!("skipped: bpftrace: not installed");
            }
            return Ok(None);
        };
        let lines = child
            .stdout
            .take()
            .map(|stdout| BufReader::new(stdout).lines());
        let ready = lines.is_some_and(|mut lines| {
            lines.any(|line| line.is_ok_and(|line| line.contains("ready")))
        });
        if !ready {
            end(&mut child);
            if say {
                eprintln!("skipped: bpftrace has no tracepoints here");
            }
            return Ok(None);
        }
        Ok(Some(Self(child)))
    }
}

impl Drop for Bpftrace {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

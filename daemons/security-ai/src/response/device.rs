//! Whether device and inode that `stat` gives are what the kernel's own hooks see of a file. On file systems of
//! subvolumes or layers (btrfs, some overlays) they are not: `stat` invents a device for each part, while the hook sees
//! one for all of them, in which an inode number can be several files.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The longest list of mounts that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// What the kernel says of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    device: (u64, u64),
    kind: String,
}

/// The file of `link` (`/proc/PID/exe`) with its metadata, and the kind of its file system where an inode number there
/// may be several files. What no list of mounts names (a memfd) has a device of its own.
#[must_use]
pub fn look(link: &Path, mounts: &Path) -> Option<(Metadata, Option<String>)> {
    let mut options = OpenOptions::new();
    let path_only = options.read(true).custom_flags(nix::libc::O_PATH);
    let file = path_only.open(link).ok()?;
    let metadata = file.metadata().ok()?;
    let number = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
    let mount = std::fs::read_to_string(number).ok();
    let mount = mount.as_deref().and_then(mount_id);
    let found = mount.and_then(|id| {
        let own = Path::new("/proc/self/mountinfo");
        [mounts, own].into_iter().find_map(|list| find(list, id))
    });
    let device = metadata.dev();
    let device = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let other = found.filter(|mount| mount.device != device);
    Some((metadata, other.map(|mount| mount.kind)))
}

fn find(list: &Path, id: u64) -> Option<Mount> {
    let mut text = String::new();
    let file = File::open(list).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    of(&text, id)
}

/// `mnt_id` in the text of `/proc/PID/fdinfo/FD`.
fn mount_id(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    line.trim().parse().ok()
}

/// A mount in the text of `/proc/PID/mountinfo`, see proc_pid_mountinfo(5).
fn of(text: &str, id: u64) -> Option<Mount> {
    let line = text.lines().find(|line| {
        let number = line.split(' ').next();
        number.and_then(|number| number.parse().ok()) == Some(id)
    })?;
    let (major, minor) = line.split(' ').nth(2)?.split_once(':')?;
    let (_, after) = line.split_once(" - ")?;
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        kind: after.split(' ').next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn mounts_are_found_by_their_number() {
        let text = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            40 22 0:41 /@home /home rw - btrfs /dev/sdb rw,subvol=/@home\n\
            41 22 nonsense\n";
        let mount = |device, kind: &str| Mount {
            device,
            kind: kind.into(),
        };
        for (id, wanted) in [
            (22, Some(mount((8, 1), "ext4"))),
            (40, Some(mount((0, 41), "btrfs"))),
            (41, None),
            (4, None),
        ] {
            assert_eq!(of(text, id), wanted, "{id}");
        }
        assert_eq!(mount_id("pos:\t0\nflags:\t0\nmnt_id:\t40\n"), Some(40));
        assert_eq!(mount_id("pos:\t0\n"), None);
    }

    #[test]
    fn a_file_of_the_kernel_s_own_has_one_device() {
        let own = Path::new("/proc/self/mountinfo");
        let (metadata, doubt) = look(Path::new("/proc/self/status"), own).unwrap();
        assert!(metadata.is_file());
        assert_eq!(doubt, None);
        assert!(look(Path::new("/nowhere/at/all"), own).is_none());
    }

    /// A loop device with btrfs on it, mounted; both go with the value.
    struct Btrfs(tempfile::TempDir);

    impl Btrfs {
        fn mount() -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let image = folder.path().join("image");
            let point = folder.path().join("mounted");
            std::fs::create_dir(&point).unwrap();
            File::create(&image).unwrap().set_len(128 << 20).unwrap();
            let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
                let output = Command::new(program).args(arguments).output();
                output.is_ok_and(|output| output.status.success())
            };
            let made = run("mkfs.btrfs", &["-q".as_ref(), image.as_ref()])
                && run(
                    "mount",
                    &[
                        "-o".as_ref(),
                        "loop".as_ref(),
                        image.as_ref(),
                        point.as_ref(),
                    ],
                );
            made.then_some(Self(folder))
        }
    }

    impl Drop for Btrfs {
        fn drop(&mut self) {
            let _ = Command::new("umount")
                .arg(self.0.path().join("mounted"))
                .status();
        }
    }

    #[test]
    fn a_file_of_a_subvolume_is_doubtful() {
        let Some(btrfs) = Btrfs::mount() else {
            eprintln!("skipped: no btrfs (mkfs.btrfs, root and a loop device)");
            return;
        };
        let volume = btrfs.0.path().join("mounted/volume");
        let made = Command::new("btrfs")
            .args(["-q", "subvolume", "create"])
            .arg(&volume)
            .status();
        assert!(made.unwrap().success());
        let file = volume.join("sleep");
        std::fs::copy("/usr/bin/sleep", &file).unwrap();
        let own = Path::new("/proc/self/mountinfo");
        let (_, doubt) = look(&file, own).unwrap();
        assert_eq!(doubt.as_deref(), Some("btrfs"));
    }
}

//! Does every action once, for a test that looks whether it is seen: in threads and processes of its own where it
//! changes who does it.

#![allow(
    dead_code,
    unsafe_code,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used
)]

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Error, Result};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::libc::{self, c_long};
use quantumos_ebpf::{Action, ActionEvent};

/// Where the actions happen.
pub struct Range {
    /// An empty directory.
    pub directory: PathBuf,
    /// Gives a program that does nothing for long.
    pub sleeper: fn() -> Command,
    /// A kernel module that can be loaded.
    pub module: Option<PathBuf>,
}

/// What an event must have.
pub type Check = Box<dyn Fn(&ActionEvent) -> bool>;

fn any() -> Check {
    Box::new(|_| true)
}

fn call(result: c_long) -> Result<c_long> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A system call with plain numbers.
fn plain(number: c_long, arguments: [c_long; 4]) -> Result<c_long> {
    let [a, b, c, d] = arguments;
    // SAFETY: callers pass numbers, or pointers to what lives until the call is over.
    call(unsafe { libc::syscall(number, a, b, c, d) })
}

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("no zero byte")
}

fn pointer(text: &CString) -> c_long {
    text.as_ptr() as c_long
}

/// In a thread, which ends with whatever it did to itself.
fn apart<T: Send>(action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(action).join().expect("a thread"))
}

impl Range {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn file(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        File::create(&path)?;
        Ok(path)
    }

    /// The file whose truncation the settings must watch.
    pub fn watched(&self) -> PathBuf {
        self.path("watched")
    }

    /// Does an action; says what its event must have.
    pub fn fire(&self, action: Action) -> Result<Check> {
        match action {
            Action::SetUid
            | Action::SetGid
            | Action::CapSet
            | Action::Ptrace
            | Action::TraceMe
            | Action::Kill => self.privilege(action),
            Action::Bind
            | Action::Listen
            | Action::Accept
            | Action::Send
            | Action::RawSocket
            | Action::Dup => self.socket(action),
            _ if action.class() == quantumos_ebpf::Class::File => self.change(action),
            _ => self.kernel(action),
        }
    }

    fn privilege(&self, action: Action) -> Result<Check> {
        match action {
            Action::SetUid => {
                apart(|| plain(libc::SYS_setresuid, [-1, 65534, -1, 0]))?;
                Ok(Box::new(|event| event.arguments[1] == 65534))
            }
            Action::SetGid => {
                apart(|| plain(libc::SYS_setresgid, [-1, 65534, -1, 0]))?;
                Ok(Box::new(|event| event.arguments[1] == 65534))
            }
            Action::CapSet => {
                // Version 3, and two times effective, permitted and inheritable: all empty.
                let header = [0x2008_0522_u32, 0];
                let sets = [0_u32; 6];
                let arguments = [header.as_ptr() as c_long, sets.as_ptr() as c_long, 0, 0];
                apart(|| plain(libc::SYS_capset, arguments))?;
                Ok(Box::new(|event| event.arguments[..2] == [0, 0]))
            }
            Action::Ptrace => {
                let mut child = (self.sleeper)().spawn()?;
                let pid = child.id();
                // PTRACE_SEIZE
                let done = plain(libc::SYS_ptrace, [0x4206, c_long::from(pid), 0, 0]);
                child.kill()?;
                child.wait()?;
                done?;
                Ok(Box::new(move |event| {
                    event
                        .target
                        .as_ref()
                        .is_some_and(|target| target.process.pid == pid)
                }))
            }
            Action::TraceMe => {
                let mut command = (self.sleeper)();
                // SAFETY: only a system call between fork and exec.
                unsafe {
                    command.pre_exec(|| plain(libc::SYS_ptrace, [0, 0, 0, 0]).map(drop));
                }
                let mut child = command.spawn()?;
                child.kill()?;
                child.wait()?;
                Ok(any())
            }
            _ => {
                let mut child = (self.sleeper)().spawn()?;
                let pid = child.id();
                child.kill()?;
                child.wait()?;
                Ok(Box::new(move |event| {
                    let target = event.target.as_ref();
                    event.arguments[0] == 9 && target.is_some_and(|t| t.process.pid == pid)
                }))
            }
        }
    }

    fn change(&self, action: Action) -> Result<Check> {
        let from = self.path(&format!("{action}-from"));
        let to = self.path(&format!("{action}-to"));
        let (first, second) = match action {
            Action::Unlink => {
                fs::remove_file(self.file("unlink-from")?)?;
                (from, None)
            }
            Action::RmDir => {
                fs::create_dir(&from)?;
                fs::remove_dir(&from)?;
                (from, None)
            }
            Action::MkDir => {
                fs::create_dir(&from)?;
                (from, None)
            }
            Action::MkNod => {
                let name = c_string(&from);
                let mode = c_long::from(libc::S_IFIFO | 0o600);
                let at = c_long::from(libc::AT_FDCWD);
                plain(libc::SYS_mknodat, [at, pointer(&name), mode, 0])?;
                (from, None)
            }
            Action::Rename => {
                fs::rename(self.file("rename-from")?, &to)?;
                (from, Some(to))
            }
            Action::Link => {
                fs::hard_link(self.file("link-from")?, &to)?;
                (from, Some(to))
            }
            Action::Symlink => {
                std::os::unix::fs::symlink("../any/where", &from)?;
                (from, Some("../any/where".into()))
            }
            Action::Chmod => {
                let file = self.file("chmod-from")?;
                fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o4755))?;
                let path = file.into_os_string().into_encoded_bytes();
                return Ok(Box::new(move |event| {
                    event.path == path && event.arguments[0] & 0o7777 == 0o4755
                }));
            }
            Action::Chown => {
                std::os::unix::fs::chown(self.file("chown-from")?, Some(65534), None)?;
                (from, None)
            }
            _ => {
                let file = File::create(self.watched())?;
                file.set_len(1)?;
                (self.watched(), None)
            }
        };
        let bytes = |path: PathBuf| path.into_os_string().into_encoded_bytes();
        let (first, second) = (bytes(first), second.map(bytes).unwrap_or_default());
        Ok(Box::new(move |event| {
            event.path == first && event.other == second
        }))
    }

    fn socket(&self, action: Action) -> Result<Check> {
        let any_port = (Ipv4Addr::LOCALHOST, 0);
        if action == Action::RawSocket {
            let family = c_long::from(libc::AF_PACKET);
            let made = plain(libc::SYS_socket, [family, libc::SOCK_RAW.into(), 0, 0])?;
            // SAFETY: the kernel has just given it, to nobody else.
            drop(unsafe { OwnedFd::from_raw_fd(made as i32) });
            return Ok(Box::new(|event| event.arguments[..2] == [17, 3]));
        }
        if action == Action::Send {
            let peer = UdpSocket::bind(any_port)?;
            let address = peer.local_addr()?;
            let socket = UdpSocket::bind(any_port)?;
            socket.send_to(b"x", address)?;
            socket.send_to(b"x", address)?;
            return Ok(has_peer(address.port()));
        }
        let listener = TcpListener::bind(any_port)?;
        let address = listener.local_addr()?;
        match action {
            // The port may be one that the system chose, after the check.
            Action::Bind => Ok(Box::new(|event| {
                event
                    .peer
                    .is_some_and(|peer| peer.address == Ipv4Addr::LOCALHOST)
            })),
            Action::Listen => Ok(has_peer(address.port())),
            Action::Accept => {
                let stream = TcpStream::connect(address)?;
                let port = stream.local_addr()?.port();
                listener.accept()?;
                Ok(has_peer(port))
            }
            _ => {
                let stream = TcpStream::connect(address)?;
                let mut command = (self.sleeper)();
                let mut child = command.stdin(Stdio::from(OwnedFd::from(stream))).spawn()?;
                child.kill()?;
                child.wait()?;
                Ok(has_peer(address.port()))
            }
        }
    }

    fn kernel(&self, action: Action) -> Result<Check> {
        match action {
            Action::Module => {
                let module = self.module.as_ref();
                let file = File::open(module.ok_or_else(|| Error::other("no module here"))?)?;
                let none = CString::default();
                let arguments = [file.as_raw_fd().into(), pointer(&none), 0, 0];
                plain(libc::SYS_finit_module, arguments)?;
                Ok(any())
            }
            Action::Bpf => {
                let found = aya::programs::loaded_programs().next();
                found.expect("the probes").map_err(Error::other)?;
                Ok(any())
            }
            Action::Mount | Action::Umount | Action::PivotRoot => {
                let root = self.path(action.name());
                fs::create_dir(&root)?;
                let expected = root.clone().into_os_string().into_encoded_bytes();
                apart(|| self.roots(action, &root))?;
                let pivot = action == Action::PivotRoot;
                Ok(Box::new(move |event| pivot || event.path == expected))
            }
            Action::Unshare => {
                let flag = c_long::from(libc::CLONE_NEWUTS);
                apart(|| plain(libc::SYS_unshare, [flag, 0, 0, 0]))?;
                Ok(Box::new(move |event| event.arguments[0] == flag as u64))
            }
            Action::SetNs => {
                let file = File::open("/proc/self/ns/uts")?;
                let flag = c_long::from(libc::CLONE_NEWUTS);
                apart(|| plain(libc::SYS_setns, [file.as_raw_fd().into(), flag, 0, 0]))?;
                Ok(Box::new(move |event| event.arguments[1] == flag as u64))
            }
            Action::UserFaultFd => {
                let made = plain(libc::SYS_userfaultfd, [libc::O_CLOEXEC.into(), 0, 0, 0])?;
                // SAFETY: the kernel has just given it, to nobody else.
                drop(unsafe { OwnedFd::from_raw_fd(made as i32) });
                Ok(any())
            }
            Action::SysInfo => {
                nix::sys::sysinfo::sysinfo()?;
                Ok(any())
            }
            Action::Personality => {
                // As it is, with address randomisation off.
                apart(|| plain(libc::SYS_personality, [0x40000, 0, 0, 0]))?;
                Ok(Box::new(|event| event.arguments[0] == 0x40000))
            }
            Action::MemFd => {
                let name = CString::from(c"probe-range");
                let made = plain(libc::SYS_memfd_create, [pointer(&name), 0, 0, 0])?;
                // SAFETY: the kernel has just given it, to nobody else.
                drop(unsafe { OwnedFd::from_raw_fd(made as i32) });
                Ok(Box::new(|event| event.path == b"probe-range"))
            }
            Action::Mprotect => {
                let (read, exec) = (libc::PROT_READ | libc::PROT_WRITE, libc::PROT_EXEC);
                let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                // SAFETY: new memory that nobody else knows of.
                let memory =
                    unsafe { libc::mmap(std::ptr::null_mut(), 4096, read, private, -1, 0) };
                let protection = c_long::from(libc::PROT_READ | exec);
                plain(libc::SYS_mprotect, [memory as c_long, 4096, protection, 0])?;
                Ok(Box::new(move |event| {
                    event.arguments[0] == protection as u64
                }))
            }
            _ => {
                let levels = fs::read_to_string("/proc/sys/kernel/printk")?;
                let level = levels
                    .split_whitespace()
                    .next()
                    .and_then(|l| l.parse().ok());
                // SYSLOG_ACTION_CONSOLE_LEVEL, with the level that it has.
                plain(libc::SYS_syslog, [8, 0, level.expect("a level"), 0])?;
                Ok(Box::new(|event| event.arguments[0] == 8))
            }
        }
    }

    /// Mounts, unmounts or exchanges the root, in a mount namespace of the thread's own.
    fn roots(&self, action: Action, root: &Path) -> Result<()> {
        let none = CString::default();
        let slash = CString::from(c"/");
        let kind = CString::from(c"tmpfs");
        let flags = c_long::from(libc::CLONE_NEWNS | libc::CLONE_FS);
        plain(libc::SYS_unshare, [flags, 0, 0, 0])?;
        let mount = |at: &CString, kind: &CString, flags: u64| {
            // SAFETY: strings and a number.
            let done = unsafe {
                libc::mount(
                    kind.as_ptr(),
                    at.as_ptr(),
                    kind.as_ptr(),
                    flags,
                    std::ptr::null(),
                )
            };
            call(done.into())
        };
        mount(&slash, &none, libc::MS_REC | libc::MS_PRIVATE)?;
        let at = c_string(root);
        mount(&at, &kind, 0)?;
        if action == Action::PivotRoot {
            plain(libc::SYS_chroot, [pointer(&at), 0, 0, 0])?;
            plain(libc::SYS_chdir, [pointer(&slash), 0, 0, 0])?;
            let (new, old) = (CString::from(c"/new"), CString::from(c"/new/old"));
            plain(libc::SYS_mkdirat, [0, pointer(&new), 0o700, 0])?;
            mount(&new, &kind, 0)?;
            plain(libc::SYS_mkdirat, [0, pointer(&old), 0o700, 0])?;
            plain(libc::SYS_pivot_root, [pointer(&new), pointer(&old), 0, 0])?;
        } else if action == Action::Umount {
            plain(libc::SYS_umount2, [pointer(&at), 0, 0, 0])?;
        }
        Ok(())
    }
}

fn has_peer(port: u16) -> Check {
    Box::new(move |event| event.peer.is_some_and(|peer| peer.port == port))
}

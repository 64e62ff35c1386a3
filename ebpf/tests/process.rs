//! exec, exit and fork on the running kernel.

#![allow(clippy::expect_used, clippy::panic)]

mod support;

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use quantumos_ebpf::{Class, Event, ExecEvent, ProcessKey, Settings};
use support::{load, wait_for};

fn processes() -> Settings {
    Settings {
        classes: [Class::Exec, Class::Exit, Class::Fork].into(),
        ..Settings::default()
    }
}

/// Runs `command` and gives its exec event.
fn exec_of(command: &mut Command) -> Option<ExecEvent> {
    let (_probes, mut rings) = load(&processes())?;
    let mut child = command.spawn().expect("spawn");
    let pid = child.id();
    let event = wait_for(&mut rings, "exec", |event| match event {
        Event::Exec(exec) if exec.context.process.pid == pid => Some((**exec).clone()),
        _ => None,
    });
    child.wait().expect("wait");
    Some(event)
}

/// Field 22 of /proc/PID/stat, in clock ticks since boot.
fn start_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    fields
        .split(' ')
        .nth(19)
        .expect("22 fields")
        .parse()
        .expect("a number")
}

#[test]
fn exec_has_everything_the_process_has() {
    let mut command = Command::new("/bin/sleep");
    command.arg("0").current_dir("/usr/share");
    let Some(event) = exec_of(&mut command) else {
        return;
    };
    let real = std::fs::canonicalize("/bin/sleep").expect("sleep");
    let meta = std::fs::metadata(&real).expect("metadata");
    assert_eq!(event.filename, b"/bin/sleep");
    assert_eq!(event.executable, real.into_os_string().into_vec());
    assert_eq!(event.directory, b"/usr/share");
    assert_eq!(event.argv, b"/bin/sleep\x000\0");
    assert_eq!(event.command_line(), "/bin/sleep 0");
    assert_eq!((event.argc, event.argv_bytes), (2, 13));
    assert!(!event.argv_truncated && !event.executable_truncated && !event.deleted && !event.memfd);
    assert_eq!(event.context.comm, b"sleep");
    assert_eq!(event.context.parent.pid, std::process::id());
    assert_eq!(
        event.context.parent.start_time / 10_000_000,
        start_ticks(std::process::id())
    );
    assert_eq!(
        (event.context.uid, event.context.euid),
        (
            nix::unistd::getuid().as_raw(),
            nix::unistd::geteuid().as_raw()
        )
    );
    assert_eq!(event.file.inode, meta.ino());
    assert_eq!(event.file.mode, meta.mode());
    assert_eq!(event.file.owner, meta.uid());
    assert_eq!(
        u64::from(event.file.device_major),
        nix::sys::stat::major(meta.dev())
    );
    assert_eq!(
        u64::from(event.file.device_minor),
        nix::sys::stat::minor(meta.dev())
    );
    let ancestor = event.ancestors.first().expect("a parent");
    assert_eq!(ancestor.process, event.context.parent);
    let namespace = std::fs::metadata("/proc/self/ns/mnt")
        .expect("namespace")
        .ino();
    assert_eq!(u64::from(event.namespaces.mount), namespace);
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    assert!(status.contains(&format!("CapEff:\t{:016x}", event.cap_effective)));
}

#[test]
fn arguments_come_byte_for_byte() {
    let odd = OsString::from_vec(b"a\nb\xff\xfe \"quoted\"".to_vec());
    let cases: [(&str, Vec<OsString>); 3] = [
        ("newline and invalid UTF-8", vec![odd]),
        ("empty ones", vec![OsString::new(), OsString::new()]),
        (
            "4096 bytes and the rest",
            (0..10_000).map(|n| OsString::from(n.to_string())).collect(),
        ),
    ];
    for (name, arguments) in cases {
        let mut command = Command::new("/bin/true");
        command.arg0("true").args(&arguments);
        let Some(event) = exec_of(&mut command) else {
            return;
        };
        let mut whole = b"true\0".to_vec();
        for argument in &arguments {
            whole.extend_from_slice(argument.as_encoded_bytes());
            whole.push(0);
        }
        let kept = &whole[..whole.len().min(4096)];
        assert_eq!(event.argv, kept, "{name}");
        assert_eq!(event.argv_bytes, whole.len() as u64, "{name}");
        assert_eq!(event.argv_truncated, whole.len() > 4096, "{name}");
        assert_eq!(event.argc as usize, arguments.len() + 1, "{name}");
        let expected = kept
            .strip_suffix(b"\0")
            .unwrap_or(kept)
            .split(|byte| *byte == 0)
            .count();
        assert_eq!(event.arguments().count(), expected, "{name}");
    }
}

#[test]
fn a_program_without_a_name_is_flagged() {
    let directory = tempfile::tempdir().expect("directory");
    let copy = directory.path().join("gone");
    std::fs::copy("/bin/true", &copy).expect("copy");
    let file = std::fs::File::open(&copy).expect("open");
    std::fs::remove_file(&copy).expect("remove");
    // The child must keep the descriptor: hand it over as standard input.
    let mut command = Command::new("/proc/self/fd/0");
    command.stdin(file);
    let Some(event) = exec_of(&mut command) else {
        return;
    };
    assert!(event.deleted && !event.memfd);
    assert_eq!(event.filename, b"/proc/self/fd/0");

    let memory = nix::sys::memfd::memfd_create("payload", nix::sys::memfd::MFdFlags::empty())
        .expect("memfd");
    let mut memory = std::fs::File::from(memory);
    std::io::copy(
        &mut std::fs::File::open("/bin/true").expect("open"),
        &mut memory,
    )
    .expect("copy");
    // A file open for writing cannot be run: reopen it for reading only.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&memory));
    let read = std::fs::File::open(path).expect("reopen");
    drop(memory);
    let mut command = Command::new("/proc/self/fd/0");
    command.stdin(read);
    let Some(event) = exec_of(&mut command) else {
        return;
    };
    assert!(event.deleted && event.memfd);
    assert_eq!(event.executable, b"/memfd:payload");
}

#[test]
fn fork_and_exit_bracket_a_process() {
    let cases = [
        ("exit 7", 7, None),
        ("kill -9 $$", 0, Some(9)),
        ("exit 0", 0, None),
    ];
    for (script, code, signal) in cases {
        let Some((_probes, mut rings)) = load(&processes()) else {
            return;
        };
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .spawn()
            .expect("spawn");
        let pid = child.id();
        let mut born: Option<ProcessKey> = None;
        let exit = wait_for(&mut rings, script, |event| match event {
            Event::Fork(fork) if fork.child.pid == pid => {
                assert_eq!(fork.child_parent, std::process::id());
                assert_eq!(fork.context.process.pid, std::process::id());
                born = Some(fork.child);
                None
            }
            Event::Exit(exit) if exit.context.process.pid == pid => Some(exit.clone()),
            _ => None,
        });
        let status = child.wait().expect("wait");
        assert_eq!(
            (status.code().unwrap_or(0), status.signal()),
            (i32::from(code), signal.map(i32::from))
        );
        assert_eq!((exit.code, exit.signal), (code, signal), "{script}");
        assert_eq!(
            born,
            Some(exit.context.process),
            "{script}: one identity from fork to exit"
        );
    }
}

#[test]
fn threads_are_no_processes() {
    let Some((_probes, mut rings)) = load(&processes()) else {
        return;
    };
    for _ in 0..10 {
        std::thread::spawn(|| {}).join().expect("thread");
    }
    let mut child = Command::new("/bin/true").spawn().expect("spawn");
    let pid = child.id();
    let own = std::process::id();
    let mut wrong = Vec::new();
    wait_for(&mut rings, "exit", |event| match event {
        Event::Exit(exit) if exit.context.process.pid == pid => Some(()),
        Event::Exit(exit) if exit.context.process.pid == own => {
            wrong.push(event.clone());
            None
        }
        Event::Fork(fork) if fork.child.pid == own => {
            wrong.push(event.clone());
            None
        }
        _ => None,
    });
    child.wait().expect("wait");
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// What the next test runs as a process of its own: many threads that all end in the same instant.
#[test]
fn many_threads_that_end_at_once() {
    if std::env::var_os("QUANTUMOS_TEST_THREADS").is_none() {
        return;
    }
    for _ in 0..32 {
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
    }
    std::process::exit(3);
}

#[test]
fn a_process_of_many_threads_ends_once() {
    let Some((_probes, mut rings)) = load(&processes()) else {
        return;
    };
    let mut pids = Vec::new();
    for _ in 0..20 {
        let mut command = Command::new(std::env::current_exe().expect("own path"));
        command.args(["--exact", "many_threads_that_end_at_once"]);
        command
            .env("QUANTUMOS_TEST_THREADS", "1")
            .stdout(std::process::Stdio::null());
        let mut child = command.spawn().expect("spawn");
        pids.push(child.id());
        assert_eq!(child.wait().expect("wait").code(), Some(3));
    }
    let mut last = Command::new("/bin/true").spawn().expect("spawn");
    let last_pid = last.id();
    let mut ended = Vec::new();
    wait_for(&mut rings, "exit", |event| match event {
        Event::Exit(exit) if exit.context.process.pid == last_pid => Some(()),
        Event::Exit(exit) if pids.contains(&exit.context.process.pid) => {
            ended.push((exit.context.process.pid, exit.code));
            None
        }
        _ => None,
    });
    last.wait().expect("wait");
    ended.sort_unstable();
    let mut expected: Vec<_> = pids.iter().map(|pid| (*pid, 3)).collect();
    expected.sort_unstable();
    assert_eq!(ended, expected);
}

#[test]
fn while_the_reader_looks_events_come_and_wake_nobody() {
    let Some((mut probes, mut rings)) = load(&processes()) else {
        return;
    };
    let run = || {
        let mut child = Command::new("/bin/true").spawn().expect("spawn");
        child.wait().expect("wait");
        child.id()
    };
    let ready = |rings: &quantumos_ebpf::Rings, within: u16| {
        let mut descriptors = [PollFd::new(rings.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::from(within)).expect("poll") > 0
    };
    probes.set_looking(true).expect("the map");
    // What woke before that is taken; then all is quiet, whatever this host does.
    while ready(&rings, 0) || rings.drain(1024, &mut |_| {}).more {
        rings.drain(1024, &mut |_| {});
    }
    let pid = run();
    assert!(!ready(&rings, 0), "woken");
    let mut seen = false;
    rings.drain(8192, &mut |event| {
        seen |= matches!(&event, Event::Exit(exit) if exit.context.process.pid == pid);
    });
    assert!(seen, "its end is there all the same");
    assert_eq!(probes.verify().expect("maps"), []);
    probes.set_looking(false).expect("the map");
    rings.drain(8192, &mut |_| {});
    run();
    assert!(ready(&rings, 10_000), "not woken");
}

//! SIGKILL at every point at which the key store changes something on disk, one after the other: the
//! writer is traced, and killed as it enters its n-th write, sync, link, rename, unlink or truncation, for
//! every n, the ledger's among them. Each time the store opens, has all that was acknowledged, and takes new keys,
//! and the ledger says of every key what the store says.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))] // the tracer reads registers
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
mod recorded;
mod software;

use quantumd::audit::Who;
use quantumd::grant::{Operations, Subject};
use quantumd::keyring::{Choices, Value};
use quantumd::record::KeyId;
use quantumos_pqc::{Algorithm, PublicHalf};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const STATE: &str = "QUANTUMD_KILL_POINTS_STATE";
const WHO: Who = Who::User(1);
const MAC: Algorithm = Algorithm::HmacSha512;

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The process that gets killed: everything that writes, once, and a word after each.
#[test]
fn writer() {
    let Some(state) = std::env::var_os(STATE) else {
        return;
    };
    let state = Path::new(&state);
    say("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let (keyring, _log) = recorded::open(state);
    let id = keyring.create(1, MAC, "").unwrap().id;
    say(&format!("made {id}"));
    let Ok(backup) = std::fs::read(state.join("backup")) else {
        return; // the first start of a store ends here
    };
    keyring.rotate(id, &WHO).unwrap();
    say(&format!("rotated {id}"));
    let operations = Operations::of(&["sign"]).unwrap();
    keyring
        .grant(id, Subject::User(7), operations, &WHO)
        .unwrap();
    say(&format!("granted {id}"));
    let value = Value::Given(b"secret".to_vec().into());
    keyring.set_credential("some.secret", value, &WHO).unwrap();
    say("set some.secret");
    let signer = std::fs::read(state.join("signer")).unwrap();
    let signer = PublicHalf::from_bytes(Algorithm::MlDsa87, &signer).unwrap();
    let inbox = std::fs::read_to_string(state.join("inbox")).unwrap();
    let inbox: KeyId = inbox.parse().unwrap();
    let restored = keyring.restore(backup, inbox, &signer, Choices::default(), &WHO);
    for record in restored.unwrap().records {
        say(&format!("restored {}", record.id));
    }
    let version = keyring.rotate_kek().unwrap();
    say(&format!("rewrapped {version}"));
    keyring.reseal(None, None).unwrap();
    say(&format!("rewrapped {}", version + 1));
    say(&format!("revoking {id}"));
    keyring.revoke(id, "as tested", &WHO).unwrap();
    say(&format!("revoked {id}"));
}

/// A store in use, with what the writer needs beside it.
fn prepare(state: &Path) {
    let (keyring, log) = recorded::open(state);
    let inbox = keyring
        .create(1, Algorithm::X25519MlKem1024, "inbox")
        .unwrap();
    let from = tempfile::tempdir().unwrap();
    let (other, _) = recorded::open(from.path());
    let signer = other.create(1, Algorithm::MlDsa87, "").unwrap();
    let keys: Vec<KeyId> = (0..2)
        .map(|_| other.create(1, MAC, "").unwrap().id)
        .collect();
    let to = &inbox.versions[0].public;
    let made = other.backup(&keys, to, signer.id, &WHO).unwrap();
    std::fs::write(state.join("backup"), made.bytes).unwrap();
    std::fs::write(state.join("signer"), signer.versions[0].public.as_bytes()).unwrap();
    std::fs::write(state.join("inbox"), inbox.id.to_string()).unwrap();
    log.close();
}

/// Whether a system call, by its number and first argument, changes something on disk.
fn changes(number: u64, descriptor: u64) -> bool {
    use nix::libc as c;
    let number = number as i64;
    // Standard output and error are not the store.
    let writes = [c::SYS_write, c::SYS_writev].contains(&number) && descriptor > 2;
    let other = [
        c::SYS_pwrite64,
        c::SYS_fsync,
        c::SYS_fdatasync,
        c::SYS_link,
        c::SYS_linkat,
        c::SYS_rename,
        c::SYS_renameat,
        c::SYS_renameat2,
        c::SYS_unlink,
        c::SYS_unlinkat,
        c::SYS_ftruncate,
        c::SYS_fallocate,
    ];
    writes || other.contains(&number)
}

/// Traces all threads of a process that waits for its first line, and lets it go.
fn trace(child: &mut Child) {
    let process = child.id();
    let options =
        Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let task = task.unwrap().file_name();
        let task = Pid::from_raw(task.to_str().unwrap().parse().unwrap());
        ptrace::seize(task, options).unwrap();
        ptrace::interrupt(task).unwrap();
        waitpid(task, Some(WaitPidFlag::__WALL)).unwrap();
        ptrace::syscall(task, None).unwrap();
    }
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
}

/// Lets a traced process run to its `point`-th change on disk and kills it there. Gives whether there was
/// one; otherwise the process ended well.
fn kill_at(child: &mut Child, point: usize) -> bool {
    let process = Pid::from_raw(child.id() as i32);
    trace(child);
    let mut inside: HashSet<Pid> = HashSet::new();
    let (mut seen, mut killed) = (0, false);
    loop {
        // Only this test has children here.
        match waitpid(None, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::Exited(pid, code) if pid == process => {
                assert_eq!(code, 0);
                return false;
            }
            WaitStatus::Signaled(pid, signal, _) if pid == process => {
                assert!(killed && signal == Signal::SIGKILL, "{signal}");
                return true;
            }
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {}
            _ if killed => {}
            WaitStatus::PtraceSyscall(task) => {
                if !inside.remove(&task) {
                    inside.insert(task);
                    let registers = ptrace::getregs(task).unwrap();
                    seen += usize::from(changes(registers.orig_rax, registers.rdi));
                    if seen == point {
                        kill(process, Signal::SIGKILL).unwrap();
                        killed = true;
                        continue;
                    }
                }
                ptrace::syscall(task, None).unwrap();
            }
            WaitStatus::Stopped(task, signal) => {
                // A new thread begins with one; everything else is the process's own.
                let own = Some(signal).filter(|s| !matches!(s, Signal::SIGSTOP | Signal::SIGTRAP));
                ptrace::syscall(task, own).unwrap();
            }
            WaitStatus::PtraceEvent(task, ..) => ptrace::syscall(task, None).unwrap(),
            _ => {}
        }
    }
}

fn start(state: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--nocapture", "--test-threads=1"])
        .env(STATE, state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("ready\n") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    (child, lines)
}

/// What holds after a kill, whenever it came.
fn check(state: &Path, said: &str, point: usize) {
    let (keyring, log) = recorded::open(state);
    recorded::compare(&keyring, &log);
    let revoking = said.contains("revoking");
    for line in said.lines() {
        let Some((word, what)) = line.split_once(' ') else {
            continue;
        };
        let record = || keyring.record(what.parse().unwrap()).unwrap();
        match word {
            "made" | "restored" => assert!(revoking || record().revoked.is_none(), "{point}"),
            "rotated" => assert_eq!(record().version(), 2, "{point}"),
            "granted" => assert_eq!(keyring.grants(&record()).unwrap().len(), 1, "{point}"),
            "revoked" => assert!(record().revoked.is_some(), "{point}"),
            "rewrapped" => {
                let version: u32 = what.parse().unwrap();
                assert!(keyring.kek_version() >= version, "{point}");
            }
            "set" => {
                let names: Vec<String> = keyring
                    .credentials()
                    .unwrap()
                    .into_iter()
                    .map(|c| c.name)
                    .collect();
                assert_eq!(names, [what], "{point}");
            }
            _ => {}
        }
    }
    for record in keyring.records() {
        if record.revoked.is_none() && record.algorithm == MAC {
            keyring.sign(record.id, b"m", b"").unwrap();
        }
    }
    keyring.create(1, MAC, "after").unwrap();
    recorded::compare(&keyring, &log);
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => {
                std::fs::create_dir(&to).unwrap();
                copy(&entry.path(), &to);
            }
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// In memory where there is such a place: a process that is killed takes nothing from what it wrote, so that waiting
/// for a disk shows nothing.
fn place() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Kills at each point and gives how many there are.
fn every_point(base: &Path) -> usize {
    for point in 1.. {
        let state = place();
        copy(base, state.path());
        let (mut child, mut lines) = start(state.path());
        let killed = kill_at(&mut child, point);
        let mut said = String::new();
        lines.read_to_string(&mut said).unwrap();
        check(state.path(), &said, point);
        if !killed {
            return point - 1;
        }
    }
    0
}

#[test]
fn a_kill_at_every_point_of_every_change_loses_nothing() {
    let base = place();
    let first = every_point(base.path());
    prepare(base.path());
    let later = every_point(base.path());
    println!("killed at {first} points of a first start, {later} of a store in use");
    assert!(first > 20 && later > 60, "{first} {later}");
}

//! The processes of the host: who is whose child, from which file, with which arguments, for whom.
//!
//! Pure: it is told of forks, executions and ends. A process is known by its number and its start, so a number
//! used again is another process. Ended processes are kept a while, because their children outlive them.

use quantumos_ebpf::{ExecEvent, ForkEvent, ProcessKey};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Nanoseconds of a clock tick as `/proc/PID/stat` counts them (USER_HZ is 100 on every architecture we run on).
pub const TICK: u64 = 10_000_000;
/// The longest command line kept of a process, in bytes.
const KEPT_COMMAND_LINE: usize = 1024;
/// The most ancestors that are followed.
const MAX_ANCESTORS: usize = 16;

/// A process safe against reuse of its number: start in clock ticks, which both the probes and `/proc` give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Identity {
    /// Thread group id in the root namespace.
    pub pid: u32,
    /// Start in clock ticks since boot.
    pub start: u64,
}

impl From<ProcessKey> for Identity {
    fn from(key: ProcessKey) -> Self {
        Self {
            pid: key.pid,
            start: key.start_time / TICK,
        }
    }
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// Which one.
    pub identity: Identity,
    /// The process that created it, even when that has ended.
    pub parent: Identity,
    /// The executable; empty while unknown.
    pub executable: Arc<[u8]>,
    /// The absolute path it was executed by, where that is another (a symbolic link such as `/bin/sh`).
    pub invoked: Option<Arc<[u8]>>,
    /// Arguments joined by spaces, cut at 1024 bytes.
    pub command_line: Arc<[u8]>,
    /// The kernel's name of the task.
    pub comm: Arc<[u8]>,
    /// Real user.
    pub uid: u32,
    /// Whether it has ended.
    pub ended: bool,
}

/// All processes that are known, up to a bound.
#[derive(Debug)]
pub struct Processes {
    known: HashMap<u32, Process>,
    ended: VecDeque<Identity>,
    capacity: usize,
    forgotten: u64,
}

impl Processes {
    /// Knows at most `capacity` processes, of which a quarter may have ended.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            known: HashMap::new(),
            ended: VecDeque::new(),
            capacity: capacity.max(16),
            forgotten: 0,
        }
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many were not kept for want of room, since start.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// A process, if it is that one and not another with its number.
    #[must_use]
    pub fn get(&self, identity: Identity) -> Option<&Process> {
        self.known
            .get(&identity.pid)
            .filter(|process| process.identity == identity)
    }

    /// Whatever process has this number now, as far as is known.
    #[must_use]
    pub fn numbered(&self, pid: u32) -> Option<&Process> {
        self.known.get(&pid).filter(|process| !process.ended)
    }

    /// A process to be completed.
    pub fn get_mut(&mut self, identity: Identity) -> Option<&mut Process> {
        self.known
            .get_mut(&identity.pid)
            .filter(|process| process.identity == identity)
    }

    /// Adds what `/proc` says of a process, unless events have said more already.
    pub fn found(&mut self, process: Process) {
        if self.get(process.identity).is_none() {
            self.insert(process);
        }
    }

    /// A process was created: it is its parent's copy.
    pub fn forked(&mut self, event: &ForkEvent) {
        let creator = Identity::from(event.context.process);
        let child = Identity::from(event.child);
        let mut process = match self.get(creator) {
            Some(parent) => Process {
                identity: child,
                ended: false,
                ..parent.clone()
            },
            None => Process {
                identity: child,
                uid: event.context.uid,
                ..Process::default()
            },
        };
        process.comm = event.context.comm.as_slice().into();
        process.parent = creator;
        self.insert(process);
    }

    /// A process runs another program.
    pub fn executed(&mut self, event: &ExecEvent, command_line: &[u8]) {
        let identity = Identity::from(event.context.process);
        let known = self.get(identity);
        let parent = known.map_or(event.context.parent.into(), |process| process.parent);
        let invoked = (event.filename.first() == Some(&b'/')
            && event.filename != event.executable
            && !event.filename.starts_with(b"/proc/")
            && !event.filename.starts_with(b"/dev/fd/")
            && !is_script(event))
        .then(|| event.filename.as_slice().into());
        self.insert(Process {
            identity,
            parent,
            executable: event.executable.as_slice().into(),
            invoked,
            command_line: command_line[..command_line.len().min(KEPT_COMMAND_LINE)].into(),
            comm: event.context.comm.as_slice().into(),
            uid: event.context.uid,
            ended: false,
        });
    }

    /// A process ended.
    pub fn ended(&mut self, identity: Identity) {
        if let Some(process) = self.get_mut(identity)
            && !process.ended
        {
            process.ended = true;
            self.ended.push_back(identity);
            if self.ended.len() > self.capacity / 4 {
                self.drop_oldest_ended();
            }
        }
    }

    /// A process's ancestors, the parent first. Stops where the chain is not known, and at a cycle that hostile
    /// numbers might make.
    pub fn ancestors(&self, of: Identity) -> impl Iterator<Item = &Process> {
        let first = self.get(of).and_then(|process| self.get(process.parent));
        std::iter::successors(first, |process| self.get(process.parent)).take(MAX_ANCESTORS)
    }

    fn insert(&mut self, process: Process) {
        let pid = process.identity.pid;
        if self.known.len() >= self.capacity
            && !self.known.contains_key(&pid)
            && !self.drop_oldest_ended()
        {
            self.forgotten += 1;
            return;
        }
        self.known.insert(pid, process);
    }

    fn drop_oldest_ended(&mut self) -> bool {
        while let Some(identity) = self.ended.pop_front() {
            if self.get(identity).is_some_and(|process| process.ended) {
                self.known.remove(&identity.pid);
                return true;
            }
        }
        false
    }
}

/// A script's executable is its interpreter, so the path it was invoked by names no program image.
fn is_script(event: &ExecEvent) -> bool {
    // The kernel puts the script's path behind the interpreter's arguments; a symbolic link isn't among them.
    event
        .arguments()
        .skip(1)
        .any(|argument| argument == event.filename)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quantumos_ebpf::Context;

    fn key(pid: u32, start: u64) -> ProcessKey {
        ProcessKey {
            pid,
            start_time: start * TICK + 7,
        }
    }

    fn fork(parent: ProcessKey, child: ProcessKey) -> ForkEvent {
        ForkEvent {
            context: Context {
                process: parent,
                comm: b"x".to_vec(),
                ..Context::default()
            },
            child,
            child_parent: parent.pid,
            new_namespaces: false,
        }
    }

    fn exec(process: ProcessKey, path: &str) -> ExecEvent {
        ExecEvent {
            context: Context {
                process,
                ..Context::default()
            },
            filename: path.as_bytes().to_vec(),
            executable: path.as_bytes().to_vec(),
            ..ExecEvent::default()
        }
    }

    #[test]
    fn children_know_their_line_after_their_parents_end() {
        let mut processes = Processes::new(100);
        let (a, b, c) = (key(1, 0), key(20, 5), key(30, 9));
        processes.executed(&exec(a, "/init"), b"init");
        processes.forked(&fork(a, b));
        processes.executed(&exec(b, "/usr/sbin/nginx"), b"nginx");
        processes.forked(&fork(b, c));
        assert_eq!(
            &*processes.get(c.into()).unwrap().executable,
            b"/usr/sbin/nginx"
        );
        processes.ended(b.into());
        // The kernel says that init is the parent now.
        let mut event = exec(c, "/usr/bin/dash");
        event.context.parent = a;
        event.filename = b"/bin/sh".to_vec();
        processes.executed(&event, b"sh -c id");
        let line: Vec<_> = processes
            .ancestors(c.into())
            .map(|p| p.executable.to_vec())
            .collect();
        assert_eq!(line, [b"/usr/sbin/nginx".to_vec(), b"/init".to_vec()]);
        assert_eq!(
            processes.get(c.into()).unwrap().invoked.as_deref(),
            Some(&b"/bin/sh"[..])
        );
        // Another process with b's number is not b.
        processes.forked(&fork(a, key(20, 50)));
        assert_eq!(processes.get(b.into()), None);
        assert_eq!(processes.ancestors(c.into()).count(), 0);
    }

    #[test]
    fn a_script_has_no_second_image() {
        let mut event = exec(key(5, 1), "/usr/bin/dash");
        event.filename = b"/etc/cron.daily/x".to_vec();
        event.argv = b"/bin/sh\0/etc/cron.daily/x\0".to_vec();
        let mut processes = Processes::new(16);
        processes.executed(&event, b"/bin/sh /etc/cron.daily/x");
        assert_eq!(processes.get(key(5, 1).into()).unwrap().invoked, None);
    }

    proptest! {
        #[test]
        fn never_outgrows_its_bound(steps in proptest::collection::vec((0..4_u8, 0..60_u32, 0..60_u32, 0..3_u64), 0..400)) {
            let mut processes = Processes::new(20);
            for (what, a, b, start) in steps {
                match what {
                    0 => processes.forked(&fork(key(a, start), key(b, start))),
                    1 => processes.executed(&exec(key(a, start), "/x"), b"x"),
                    2 => processes.ended(key(a, start).into()),
                    _ => processes.found(Process { identity: key(a, start).into(), ..Process::default() }),
                }
                prop_assert!(processes.len() <= 20);
                prop_assert!(processes.ended.len() <= 6);
                prop_assert!(processes.ancestors(key(b, start).into()).count() <= MAX_ANCESTORS);
            }
        }
    }
}

//! Windows of what each unit, and in it each process tree, does: counted items and sums, for the model that learns
//! this host. Everything is bounded; what has no room closes the oldest window early or is counted as overflow.
//!
//! A window ends after its time, or earlier when it is full. It holds programs, paths and peers, never arguments.

use crate::mask::printable;
use crate::process::{Identity, Process, Processes};
use crate::units::Units;
use quantumos_ebpf::{ConnectEvent, Event};
use quantumos_learn::window::{Counter, Kind, MAX_LABEL, Sums, Window};
use quantumos_learn::{subject, token};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// The most windows that are open at a time.
const MAX_OPEN: usize = 256;
/// The most different items of one window.
const MAX_ITEMS: usize = 512;
/// The most events of all open windows together; past it the oldest closes.
const MAX_HELD: usize = 16_384;
/// The most events of one window.
const MAX_EVENTS: u32 = 4096;
/// The most processes whose children are counted in one window.
const MAX_PARENTS: usize = 128;
const ORDERS: [(Kind, usize); 2] = [(Kind::Pair, 2), (Kind::Triple, 3)];

/// A window that has ended, with the process at the root of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// What happened.
    pub window: Window,
    /// Its unit, or empty.
    pub unit: String,
    /// Number of the process at the root.
    pub pid: u32,
    /// Real user of the one that acted first.
    pub uid: u32,
    /// Executable at the root.
    pub executable: String,
}

/// Which window an event belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    root: Identity,
    unit: Option<Arc<str>>,
}

struct Open {
    start: u64,
    uid: u32,
    executable: Arc<[u8]>,
    sums: Sums,
    counter: Counter,
    steps: Vec<u64>,
    children: HashMap<u32, u32>,
}

/// The windows that are open.
pub struct Windows {
    open: HashMap<Key, Open>,
    length: u64,
    held: usize,
    next: u64,
    closed: mpsc::Sender<Closed>,
    dropped: Arc<AtomicU64>,
    real_time: fn(u64) -> u64,
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Windows")
            .field("open", &self.open.len())
            .finish_non_exhaustive()
    }
}

impl Windows {
    /// Windows of so many nanoseconds; each that ends is sent away, or counted as dropped when nobody takes it.
    /// `real_time` turns nanoseconds of the boot clock into microseconds of the real-time clock.
    #[must_use]
    pub fn new(
        length: u64,
        closed: mpsc::Sender<Closed>,
        dropped: Arc<AtomicU64>,
        real_time: fn(u64) -> u64,
    ) -> Self {
        Self {
            open: HashMap::new(),
            length: length.max(1),
            held: 0,
            next: u64::MAX,
            closed,
            dropped,
            real_time,
        }
    }

    /// When the next window ends, nanoseconds of the boot clock.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        (self.next != u64::MAX).then_some(self.next)
    }

    /// Takes an event, after `processes` has.
    pub fn note(&mut self, event: &Event, processes: &Processes, units: &Units) {
        let context = event.context();
        if context.time >= self.next {
            self.close_due(context.time);
        }
        let identity = Identity::from(context.process);
        let process = processes.get(identity);
        let root = processes.ancestors(identity).filter(above_init).last();
        let root = root.or(process);
        // Without the unified hierarchy every process is in the same group; then trees must do.
        let unit = if context.cgroup_id > 1 {
            units.of(identity, context.cgroup_id)
        } else {
            None
        };
        let key = Key {
            root: root.map_or(identity, |root| root.identity),
            unit,
        };
        if !self.open.contains_key(&key) {
            self.make_room();
            let executable = root.map_or_else(Arc::default, |root| root.executable.clone());
            self.next = self.next.min(context.time.saturating_add(self.length));
            let open = Open::new(context.time, context.uid, executable);
            self.open.insert(key.clone(), open);
        }
        let Some(open) = self.open.get_mut(&key) else {
            return;
        };
        open.note(event, process, processes);
        self.held += 1;
        if open.sums.events >= MAX_EVENTS {
            self.close(&key, context.time);
        }
    }

    /// Ends the windows whose time is over.
    pub fn close_due(&mut self, now: u64) {
        let over = |open: &Open| open.start.saturating_add(self.length) <= now;
        let keys: Vec<Key> = self
            .open
            .iter()
            .filter(|(_, open)| over(open))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.close(&key, now);
        }
        let ends = self
            .open
            .values()
            .map(|open| open.start.saturating_add(self.length));
        self.next = ends.min().unwrap_or(u64::MAX);
    }

    fn make_room(&mut self) {
        if self.open.len() < MAX_OPEN && self.held < MAX_HELD {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.start);
        if let Some((key, start)) = oldest.map(|(key, open)| (key.clone(), open.start)) {
            self.close(&key, start);
        }
    }

    fn close(&mut self, key: &Key, now: u64) {
        let Some(open) = self.open.remove(key) else {
            return;
        };
        self.held = self.held.saturating_sub(open.sums.events as usize);
        let executable = shown(&open.executable);
        let unit = key.unit.as_deref().unwrap_or("");
        let subject = if unit.is_empty() {
            subject::of_tree(&executable)
        } else {
            subject::of_unit(&printable(unit.as_bytes(), subject::MAX_LEN))
        };
        let (items, overflow) = open.counter.finish();
        let closed = Closed {
            window: Window {
                subject,
                start: (self.real_time)(open.start),
                length: now.saturating_sub(open.start).min(self.length) / 1000,
                sums: Sums {
                    overflow,
                    ..open.sums
                },
                items,
            },
            unit: unit.to_owned(),
            pid: key.root.pid,
            uid: open.uid,
            executable,
        };
        if self.closed.try_send(closed).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Open {
    fn new(start: u64, uid: u32, executable: Arc<[u8]>) -> Self {
        Self {
            start,
            uid,
            executable,
            sums: Sums::default(),
            counter: Counter::new(MAX_ITEMS),
            steps: Vec::with_capacity(4),
            children: HashMap::new(),
        }
    }

    fn note(&mut self, event: &Event, process: Option<&Process>, processes: &Processes) {
        self.sums.events += 1;
        match event {
            Event::Exec(exec) => {
                self.sums.executions += 1;
                let program = shown(&exec.executable);
                let parent = process.and_then(|process| processes.get(process.parent));
                if let Some(parent) = parent {
                    let chain = format!("{} > {program}", shown(&parent.executable));
                    self.count(Kind::Chain, chain);
                }
                self.step(format!("exec {program}"));
            }
            Event::Fork(_) => {
                self.sums.forks += 1;
                let parent = event.context().process.pid;
                let room = self.children.len() < MAX_PARENTS;
                if room || self.children.contains_key(&parent) {
                    let children = self.children.entry(parent).or_default();
                    *children += 1;
                    self.sums.fan_out = self.sums.fan_out.max(*children);
                }
            }
            Event::Exit(exit) => {
                self.sums.exits += 1;
                if let Some(signal) = exit.signal {
                    self.sums.failures += 1;
                    self.step(format!("ended by signal {signal}"));
                } else if exit.code != 0 {
                    self.sums.failures += 1;
                }
            }
            Event::Connect(connect) => {
                self.sums.connections += 1;
                self.count(Kind::Peer, peer(connect));
                self.step(format!("connect :{}", service(connect.port)));
            }
            Event::Open(open) => {
                self.sums.opens += 1;
                let path = shown(&open.path);
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let how = if open.write { "write" } else { "read" };
                self.step(format!("{how} {folder}/"));
                self.count(Kind::Path, format!("{how} {path}"));
            }
            Event::Action(action) => {
                let name = action.action.name();
                self.step(name.to_owned());
                // Names of files differ from run to run; where they are does not.
                let path = shown(&action.path);
                if let Some((folder, _)) = path.rsplit_once('/') {
                    self.count(Kind::Path, format!("{name} {folder}/"));
                }
            }
        }
    }

    fn count(&mut self, kind: Kind, label: String) {
        self.counter
            .add(kind, token::of(label.as_bytes()), || label);
    }

    fn step(&mut self, label: String) {
        let step = token::of(label.as_bytes());
        self.counter.add(Kind::Step, step, || label);
        if self.steps.len() == 3 {
            self.steps.remove(0);
        }
        self.steps.push(step);
        self.counter.add_sequences(&self.steps, &ORDERS);
    }
}

/// Everything descends from the first process; a tree starts below it.
fn above_init(process: &&Process) -> bool {
    process.identity.pid > 1
}

fn shown(bytes: &[u8]) -> String {
    printable(bytes, MAX_LABEL / 2)
}

/// A peer's network (24 bits of IPv4, 48 of IPv6) and service.
fn peer(connect: &ConnectEvent) -> String {
    let port = service(connect.port);
    match connect.address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24:{port}")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("[{a:x}:{b:x}:{c:x}::/48]:{port}")
        }
    }
}

/// A port, or that it is one of those that are given out by chance.
fn service(port: u16) -> String {
    if port >= 32_768 {
        "ephemeral".into()
    } else {
        port.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::Proc;
    use quantumos_ebpf::{Context, ExecEvent, ForkEvent, OpenEvent, ProcessKey};

    const SECOND: u64 = 1_000_000_000;

    struct Host {
        windows: Windows,
        closed: mpsc::Receiver<Closed>,
        processes: Processes,
        units: Units,
        dropped: Arc<AtomicU64>,
    }

    impl Host {
        fn new(room: usize) -> Self {
            let (sender, closed) = mpsc::channel(room);
            let dropped = Arc::new(AtomicU64::new(0));
            Self {
                windows: Windows::new(60 * SECOND, sender, dropped.clone(), |boot| boot / 1000),
                closed,
                processes: Processes::new(10_000),
                units: Units::new(Proc::new("/nonexistent")),
                dropped,
            }
        }

        fn take(&mut self, event: &Event) {
            match event {
                Event::Exec(exec) => self.processes.executed(exec, b""),
                Event::Fork(fork) => self.processes.forked(fork),
                _ => {}
            }
            self.windows.note(event, &self.processes, &self.units);
        }
    }

    fn context(pid: u32, at: u64) -> Context {
        Context {
            time: at * SECOND,
            process: ProcessKey { pid, start_time: 1 },
            ..Context::default()
        }
    }

    fn exec(pid: u32, at: u64, path: &str) -> Event {
        Event::Exec(Box::new(ExecEvent {
            context: context(pid, at),
            executable: path.as_bytes().to_vec(),
            ..ExecEvent::default()
        }))
    }

    fn fork(pid: u32, at: u64, child: u32) -> Event {
        let context = context(pid, at);
        Event::Fork(ForkEvent {
            child: ProcessKey {
                pid: child,
                start_time: 1,
            },
            child_parent: pid,
            context,
            ..ForkEvent::default()
        })
    }

    #[test]
    fn a_tree_is_one_window_with_its_chains_paths_and_peers() {
        let mut host = Host::new(10);
        host.take(&exec(10, 100, "/usr/sbin/nginx"));
        host.take(&fork(10, 101, 11));
        host.take(&exec(11, 102, "/usr/bin/sh"));
        host.take(&Event::Connect(ConnectEvent {
            context: context(11, 103),
            address: "203.0.113.7".parse().unwrap(),
            port: 4444,
            protocol: 6,
        }));
        host.take(&Event::Open(OpenEvent {
            context: context(11, 104),
            path: b"/etc/shadow".to_vec(),
            read: true,
            ..OpenEvent::default()
        }));
        host.take(&exec(50, 105, "/usr/bin/other"));
        assert!(host.closed.try_recv().is_err());
        assert_eq!(host.windows.due(), Some(160 * SECOND));
        host.windows.close_due(160 * SECOND);
        let closed = host.closed.try_recv().unwrap();
        assert!(
            host.closed.try_recv().is_err(),
            "the other tree began later"
        );
        assert_eq!(host.windows.due(), Some(165 * SECOND));
        assert_eq!(
            (closed.pid, closed.executable.as_str()),
            (10, "/usr/sbin/nginx")
        );
        let window = closed.window;
        window.check().unwrap();
        assert_eq!(window.subject, "tree:/usr/sbin/nginx");
        assert_eq!((window.start, window.length), (100_000_000, 60_000_000));
        let sums = window.sums;
        assert_eq!(
            (
                sums.events,
                sums.executions,
                sums.forks,
                sums.fan_out,
                sums.connections,
                sums.opens
            ),
            (5, 2, 1, 1, 1, 1)
        );
        let labels = |kind| -> Vec<&str> {
            window
                .of(kind)
                .iter()
                .map(|item| item.label.as_str())
                .collect()
        };
        assert_eq!(labels(Kind::Chain), ["/usr/sbin/nginx > /usr/bin/sh"]);
        assert_eq!(labels(Kind::Path), ["read /etc/shadow"]);
        assert_eq!(labels(Kind::Peer), ["203.0.113.0/24:4444"]);
        let counts = [Kind::Step, Kind::Pair, Kind::Triple].map(|kind| window.of(kind).len());
        assert_eq!(counts, [4, 3, 2]);
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let mut host = Host::new(4);
        for pid in 100..1000 {
            host.take(&exec(pid, 1, &format!("/x/{pid}")));
        }
        assert_eq!(host.windows.open.len(), MAX_OPEN);
        assert_eq!(
            host.dropped.load(Ordering::Relaxed),
            900 - MAX_OPEN as u64 - 4
        );
        let mut host = Host::new(4);
        for round in 0..=MAX_EVENTS {
            host.take(&exec(7, 1, &format!("/x/{round}")));
        }
        let closed = host.closed.try_recv().unwrap();
        assert_eq!(closed.window.items.len(), MAX_ITEMS);
        assert!(closed.window.sums.overflow > MAX_EVENTS);
        assert_eq!(host.windows.held, 1);
        let line = closed.window.to_line().unwrap();
        assert_eq!(Window::from_line(&line).unwrap(), closed.window);
    }
}

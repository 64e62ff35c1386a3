//! A daemon with events that the test gives; its code is the same as on a host.

use nix::sys::eventfd::{EfdFlags, EventFd};
use quantumos_dbus::{Alert1Proxy, SERVICES, Security1Proxy, Service, path};
use quantumos_ebpf::{
    Class, Context as EventContext, Coverage, Denial, Event, ExecEvent, ProcessKey,
    ProgramStatistics, State, Tampering, Watch,
};
use quantumos_harness::PrivateBus;
use quantumos_service::{BoxError, Context, Daemon, Running};
use security_ai::source::{Counters, EventSource};
use security_ai::{SecurityAi, Settings, Surroundings};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use zbus::Connection;
use zbus::fdo::ObjectManagerProxy;

pub const MANAGE: &str = "org.quantumos.security.manage";
pub const NOBODY: u32 = 65_534;
pub const RULE: &str = "title: Netcat\nid: netcat\nlogsource: {category: process_creation}\n\
    detection:\n  s: {Image|endswith: /nc}\n  condition: s\nlevel: high\ntags: [attack.t1095]\n";

/// Events that the test gives; the daemon's code is the same as on a host.
#[derive(Clone)]
pub struct Given {
    pub events: Arc<Mutex<VecDeque<Event>>>,
    pub lost: Arc<Mutex<u64>>,
    pub watches: Arc<Mutex<Vec<Watch>>>,
    pub denied: Arc<Mutex<BTreeSet<Denial>>>,
    /// What somebody else changed.
    pub changed: Arc<Mutex<Vec<Tampering>>>,
    ready: Arc<EventFd>,
}

impl Given {
    pub fn new() -> Self {
        Self {
            events: Arc::default(),
            lost: Arc::default(),
            watches: Arc::default(),
            denied: Arc::default(),
            changed: Arc::default(),
            ready: Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap()),
        }
    }

    pub fn give(&self, events: impl IntoIterator<Item = Event>) {
        self.events.lock().unwrap().extend(events);
        self.ready.write(1).unwrap();
    }
}

impl EventSource for Given {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }

    fn drain(&mut self, max: usize, take: &mut dyn FnMut(Event)) -> bool {
        let mut events = self.events.lock().unwrap();
        let taken: Vec<_> = (0..max).map_while(|_| events.pop_front()).collect();
        let more = !events.is_empty();
        if !more {
            let _ = self.ready.read();
        }
        drop(events);
        taken.into_iter().for_each(take);
        more
    }

    fn counters(&self) -> Result<Counters, String> {
        let lost = [(Class::Exec, *self.lost.lock().unwrap())].into();
        Ok(Counters {
            lost,
            ..Counters::default()
        })
    }

    fn watch(&mut self, watches: &[Watch]) -> Result<(), String> {
        *self.watches.lock().unwrap() = watches.to_vec();
        Ok(())
    }

    fn verify(&mut self) -> Result<Vec<Tampering>, String> {
        Ok(self.changed.lock().unwrap().clone())
    }

    fn ignore(&mut self, _: &[String]) -> Result<(), String> {
        Ok(())
    }

    fn deny(&mut self, denial: Denial, on: bool) -> Result<(), String> {
        let mut denied = self.denied.lock().unwrap();
        let changed = if on {
            denied.insert(denial)
        } else {
            denied.remove(&denial)
        };
        if changed {
            Ok(())
        } else {
            Err(format!("{denial:?} was {on} already"))
        }
    }

    fn coverage(&self) -> Vec<Coverage> {
        let row = |class| Coverage {
            class,
            action: None,
            hook: "given".into(),
            state: State::Active,
            reason: String::new(),
        };
        Class::ALL.into_iter().map(row).collect()
    }

    fn programs(&self) -> Vec<ProgramStatistics> {
        Vec::new()
    }
}

pub static SOURCES: Mutex<Option<HashMap<PathBuf, Given>>> = Mutex::new(None);

/// The daemon on the source that the test left for its root.
pub struct Tested(SecurityAi);

impl Daemon for Tested {
    type Settings = Settings;
    const SERVICE: Service = SERVICES[2];

    async fn start(context: Context, settings: Settings) -> Result<Self, BoxError> {
        let root = context.directories.root.clone();
        let given = SOURCES
            .lock()
            .unwrap()
            .as_ref()
            .and_then(|sources| sources.get(&root).cloned());
        let surroundings = Surroundings {
            proc: root.join("proc"),
            groups: root.join("groups"),
            journal: root.join("journal"),
            journalctl: root.join("journalctl"),
        };
        let daemon = SecurityAi::assemble(context, settings, surroundings, |watches| {
            let mut given = given.ok_or("this test has no source")?;
            given.watch(watches)?;
            Ok(Box::new(given))
        });
        Ok(Self(daemon.await?))
    }

    async fn reload(&mut self, settings: Settings) -> Result<(), BoxError> {
        self.0.reload(settings).await
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}

pub struct Stage {
    pub bus: PrivateBus,
    pub root: tempfile::TempDir,
    pub source: Given,
}

impl Stage {
    /// The same on another bus, for the next daemon: the connection of the one before still has its objects.
    pub fn moved(self) -> Self {
        Self {
            bus: PrivateBus::start().unwrap(),
            ..self
        }
    }

    pub fn new(rules: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let source = Given::new();
        SOURCES
            .lock()
            .unwrap()
            .get_or_insert_default()
            .insert(root.path().to_owned(), source.clone());
        for (name, text) in rules {
            put(
                root.path(),
                &format!("usr/lib/quantumos/security-ai/rules.d/{name}"),
                text,
            );
        }
        Self {
            bus: PrivateBus::start().unwrap(),
            root,
            source,
        }
    }

    pub async fn serve(&self, settings: Settings) -> Running<Tested> {
        self.bus
            .serve::<Tested>(self.root.path(), settings)
            .await
            .unwrap()
    }

    /// The daemon on this kernel's own probes instead, which listens; says so when they don't see programs start.
    pub async fn serve_on_this_kernel(&self) -> Option<Running<SecurityAi>> {
        let running = self.bus.serve(self.root.path(), Settings::default());
        let running = running.await.unwrap();
        let client = self.bus.connect().await.unwrap();
        let security = Security1Proxy::new(&client).await.unwrap();
        // The thread that takes events answers this, so it is there.
        security.statistics().await.unwrap();
        let coverage = security.coverage().await.unwrap();
        if coverage
            .iter()
            .any(|row| row.0 == "exec" && row.2 == "unavailable")
        {
            eprintln!("skipped: this kernel or user can't load probes: {coverage:?}");
            running.stop().await;
            return None;
        }
        Some(running)
    }
}

pub fn put(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

pub fn exec(pid: u32, image: &str, argv: &[u8]) -> Event {
    Event::Exec(Box::new(ExecEvent {
        context: EventContext {
            process: ProcessKey { pid, start_time: 1 },
            comm: b"x".to_vec(),
            ..EventContext::default()
        },
        filename: image.as_bytes().to_vec(),
        executable: image.as_bytes().to_vec(),
        argv: argv.to_vec(),
        ..ExecEvent::default()
    }))
}

pub async fn alerts(client: &Connection) -> Vec<String> {
    let manager = ObjectManagerProxy::builder(client)
        .destination("org.quantumos.Security1")
        .path(path::ALERTS)
        .build()
        .await
        .unwrap();
    let mut paths: Vec<_> = manager
        .get_managed_objects()
        .await
        .unwrap()
        .into_keys()
        .map(|p| p.to_string())
        .collect();
    paths.sort();
    paths
}

pub async fn alert<'a>(client: &'a Connection, path: &'a str) -> Alert1Proxy<'a> {
    Alert1Proxy::builder(client)
        .path(path)
        .build()
        .await
        .unwrap()
}

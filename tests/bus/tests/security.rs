//! security-ai on a real private bus, with events that the test gives, and once with the kernel's own.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

use futures_util::StreamExt;
use nix::sys::eventfd::{EfdFlags, EventFd};
use quantumos_dbus::{
    Alert1Proxy, Alerts1Proxy, Error, SERVICES, Security1Proxy, Service, Service1Proxy, path,
};
use quantumos_ebpf::{
    Class, ConnectEvent, Context as EventContext, Coverage, Event, ExecEvent, ProcessKey,
    ProgramStatistics, State, Watch,
};
use quantumos_harness::{FakePolkit, PrivateBus, contract, eventually};
use quantumos_service::{BoxError, Context, Daemon, Running};
use security_ai::source::{Counters, EventSource};
use security_ai::{SecurityAi, Settings, Surroundings};
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use zbus::Connection;
use zbus::fdo::ObjectManagerProxy;

const MANAGE: &str = "org.quantumos.security.manage";
const NOBODY: u32 = 65_534;
const RULE: &str = "title: Netcat\nid: netcat\nlogsource: {category: process_creation}\n\
    detection:\n  s: {Image|endswith: /nc}\n  condition: s\nlevel: high\ntags: [attack.t1095]\n";

/// Events that the test gives; the daemon's code is the same as on a host.
#[derive(Clone)]
struct Given {
    events: Arc<Mutex<VecDeque<Event>>>,
    lost: Arc<Mutex<u64>>,
    watches: Arc<Mutex<Vec<Watch>>>,
    ready: Arc<EventFd>,
}

impl Given {
    fn new() -> Self {
        Self {
            events: Arc::default(),
            lost: Arc::default(),
            watches: Arc::default(),
            ready: Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap()),
        }
    }

    fn give(&self, events: impl IntoIterator<Item = Event>) {
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

    fn ignore(&mut self, _: &[String]) -> Result<(), String> {
        Ok(())
    }

    fn coverage(&self) -> Vec<Coverage> {
        let row = |class| Coverage {
            class,
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

static SOURCES: Mutex<Option<HashMap<PathBuf, Given>>> = Mutex::new(None);

/// The daemon on the source that the test left for its root.
struct Tested(SecurityAi);

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
            journal: root.join("journal"),
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

struct Stage {
    bus: PrivateBus,
    root: tempfile::TempDir,
    source: Given,
}

impl Stage {
    fn new(rules: &[(&str, &str)]) -> Self {
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

    async fn serve(&self, settings: Settings) -> Running<Tested> {
        self.bus
            .serve::<Tested>(self.root.path(), settings)
            .await
            .unwrap()
    }
}

fn put(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn exec(pid: u32, image: &str, argv: &[u8]) -> Event {
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

async fn alerts(client: &Connection) -> Vec<String> {
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

async fn alert<'a>(client: &'a Connection, path: &'a str) -> Alert1Proxy<'a> {
    Alert1Proxy::builder(client)
        .path(path)
        .build()
        .await
        .unwrap()
}

#[tokio::test]
async fn an_event_becomes_a_signal_and_an_object() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let mut raised = security.receive_alert_raised().await.unwrap();

    stage.source.give([
        exec(7, "/usr/bin/ls", b"ls\0"),
        exec(8, "/usr/bin/nc", b"nc\0--password=hunter2\0a\nb\x1b\xff\0"),
    ]);
    let signal = raised.next().await.unwrap();
    let arguments = signal.args().unwrap();
    assert_eq!(arguments.alert.as_str(), format!("{}/1", path::ALERTS));
    assert_eq!(
        <&str>::try_from(&arguments.details["Title"]).unwrap(),
        "Netcat"
    );
    assert_eq!(u32::try_from(&arguments.details["Count"]).unwrap(), 1);

    let one = alert(&client, arguments.alert.as_str()).await;
    assert_eq!(one.rule_id().await.unwrap(), "netcat");
    assert_eq!(one.level().await.unwrap(), "high");
    assert_eq!(one.pid().await.unwrap(), 8);
    assert_eq!(one.user().await.unwrap(), "root");
    assert_eq!(
        one.command_line().await.unwrap(),
        "nc --password=*** a\\u{a}b\\u{1b}\\xff"
    );
    assert_eq!(one.explanation().await.unwrap(), "Image ends with \"/nc\"");
    assert_eq!(one.tags().await.unwrap(), ["attack.t1095"]);
    assert_eq!(security.statistics().await.unwrap()["events.exec"], 2);
    for (object, interfaces) in [
        (
            path::SECURITY,
            &["org.quantumos.Security1", "org.quantumos.Service1"][..],
        ),
        (path::ALERTS, &["org.quantumos.Alerts1"][..]),
        (arguments.alert.as_str(), &["org.quantumos.Alert1"][..]),
    ] {
        let lines = contract::differences(&client, "org.quantumos.Security1", object, interfaces)
            .await
            .unwrap();
        assert!(lines.is_empty(), "{lines:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn equal_alerts_are_one_with_a_count_and_the_oldest_leave() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let mut settings = Settings::default();
    settings.alerts.keep = 2;
    let running = stage.serve(settings).await;
    let client = stage.bus.connect().await.unwrap();
    stage
        .source
        .give((0..100).map(|n| exec(n, "/usr/bin/nc", b"nc\0same\0")));
    eventually("one alert counts them all", async || {
        let paths = alerts(&client).await;
        let [path] = paths.as_slice() else {
            return None;
        };
        (alert(&client, path).await.count().await.unwrap() == 100).then_some(())
    })
    .await;
    stage
        .source
        .give(["b", "c"].map(|argument| exec(5, "/usr/bin/nc", argument.as_bytes())));
    eventually("the oldest leaves", async || {
        let expected = [format!("{}/2", path::ALERTS), format!("{}/3", path::ALERTS)];
        (alerts(&client).await == expected).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_restart_loses_nothing_and_numbers_go_on() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let client = stage.bus.connect().await.unwrap();
    let running = stage.serve(Settings::default()).await;
    stage
        .source
        .give(["a", "b", "b"].map(|argument| exec(5, "/usr/bin/nc", argument.as_bytes())));
    eventually("both are there", async || {
        (alerts(&client).await.len() == 2).then_some(())
    })
    .await;
    eventually("b counts two", async || {
        (alert(&client, &format!("{}/2", path::ALERTS))
            .await
            .count()
            .await
            .unwrap()
            == 2)
            .then_some(())
    })
    .await;
    alert(&client, &format!("{}/1", path::ALERTS))
        .await
        .acknowledge()
        .await
        .unwrap();
    running.stop().await;

    // A power cut tears the last line.
    let file = stage.root.path().join("state/alerts.jsonl");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"raised\":{\"id\":9");
    std::fs::write(&file, bytes).unwrap();

    // The first daemon's connection still has its objects; the second is served on another bus.
    let second = Stage {
        bus: PrivateBus::start().unwrap(),
        root: stage.root,
        source: stage.source,
    };
    let client = second.bus.connect().await.unwrap();
    let running = second.serve(Settings::default()).await;
    assert_eq!(alerts(&client).await, [format!("{}/2", path::ALERTS)]);
    assert_eq!(
        alert(&client, &format!("{}/2", path::ALERTS))
            .await
            .count()
            .await
            .unwrap(),
        2
    );
    second.source.give([exec(5, "/usr/bin/nc", b"c")]);
    eventually("the next number is new", async || {
        alerts(&client)
            .await
            .contains(&format!("{}/3", path::ALERTS))
            .then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn losses_are_told_and_counted() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let mut losses = security.receive_events_lost_reported().await.unwrap();
    for (total, expected) in [(3, 3), (10, 7)] {
        *stage.source.lost.lock().unwrap() = total;
        stage.source.give([exec(1, "/usr/bin/ls", b"ls\0")]);
        let signal = losses.next().await.unwrap();
        let arguments = signal.args().unwrap();
        assert_eq!((arguments.class, arguments.count), ("exec", expected));
        eventually("EventsLost follows", async || {
            (security.events_lost().await.unwrap() == total).then_some(())
        })
        .await;
    }
    assert_eq!(security.statistics().await.unwrap()["lost"], 10);
    running.stop().await;
}

#[tokio::test]
async fn rules_are_swapped_and_those_that_fail_are_named() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let mut running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let service = Service1Proxy::new(&client, "org.quantumos.Security1", path::SECURITY)
        .await
        .unwrap();
    assert_eq!(security.rules_loaded().await.unwrap(), 1);

    let etc = "etc/quantumos/security-ai/rules.d";
    put(
        stage.root.path(),
        &format!("{etc}/netcat.yml"),
        &RULE.replace("/nc", "/ncat"),
    );
    put(
        stage.root.path(),
        &format!("{etc}/typo.yml"),
        "title: Typo\nlogsource: {category: file_event}\ndetection:\n  s:\n    Image|endwith: x\n  condition: s\n",
    );
    put(
        stage.root.path(),
        &format!("{etc}/bomb.yml"),
        "a: &a [x, x]\nb: [*a, *a]\n",
    );
    put(
        stage.root.path(),
        &format!("{etc}/windows.yml"),
        "title: W\nid: w\nlogsource: {product: windows}\ndetection: {s: x, condition: s}\n",
    );
    put(
        stage.root.path(),
        &format!("{etc}/file.yml"),
        "title: F\nid: f\nlogsource: {category: file_event}\ndetection: {s: {TargetFilename: /etc/x}, condition: s}\n",
    );
    assert_eq!(security.reload_rules().await.unwrap(), (2, 1, 2));
    let rows = security.list_rules().await.unwrap();
    for (title, fate, reason) in [
        ("Netcat", "loaded", ""),
        ("W", "not-applicable", "it is for windows, this is linux"),
        (
            "typo.yml",
            "failed",
            "typo.yml:5: unknown modifier `endwith`",
        ),
        ("bomb.yml", "failed", "bomb.yml:2: aliases"),
    ] {
        assert!(
            rows.iter()
                .any(|row| row.1.ends_with(title) && row.3 == fate && row.4.contains(reason)),
            "{title}: {rows:?}"
        );
    }
    assert_eq!(security.rules_failed().await.unwrap(), 2);
    let problems = service.problems().await.unwrap();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("typo.yml:5")),
        "{problems:?}"
    );
    assert_eq!(stage.source.watches.lock().unwrap().len(), 1);

    stage.source.give([
        exec(1, "/usr/bin/nc", b"nc\0"),
        exec(2, "/usr/bin/ncat", b"ncat\0"),
    ]);
    eventually("the new rule decides", async || {
        let paths = alerts(&client).await;
        let [path] = paths.as_slice() else {
            return None;
        };
        (alert(&client, path).await.executable().await.unwrap() == "/usr/bin/ncat").then_some(())
    })
    .await;

    // SIGHUP does the same.
    for name in ["typo.yml", "bomb.yml"] {
        std::fs::remove_file(stage.root.path().join(etc).join(name)).unwrap();
    }
    put(
        stage.root.path(),
        "etc/quantumos/security-ai.toml",
        "[rules]\ndisabled = [\"netcat\"]\n",
    );
    running.reload().await;
    assert_eq!(security.rules_failed().await.unwrap(), 0);
    eventually("the problem is over", async || {
        service.problems().await.unwrap().is_empty().then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn only_who_may_manage_changes_anything() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: callers of other users need root");
        return;
    }
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let polkit = FakePolkit::start(&stage.bus).await.unwrap();
    let own = stage.bus.connect().await.unwrap();
    stage.source.give([
        exec(1, "/usr/bin/nc", b"nc\0"),
        exec(2, "/usr/bin/nc", b"nc\0b\0"),
    ]);
    eventually("both are there", async || {
        (alerts(&own).await.len() == 2).then_some(())
    })
    .await;

    let nobody = stage.bus.connect_as(NOBODY).await.unwrap();
    let security = Security1Proxy::new(&nobody).await.unwrap();
    let all = Alerts1Proxy::new(&nobody).await.unwrap();
    let path = format!("{}/1", path::ALERTS);
    let one = alert(&nobody, &path).await;
    for refused in [
        security.reload_rules().await.map(drop),
        all.clear().await.map(drop),
        one.acknowledge().await,
    ] {
        assert!(
            matches!(&refused, Err(Error::NotAuthorized(text)) if text.contains(MANAGE)),
            "{refused:?}"
        );
    }
    assert_eq!(polkit.asked().len(), 3);
    polkit.allow(MANAGE);
    security.reload_rules().await.unwrap();
    one.acknowledge().await.unwrap();
    assert!(one.acknowledge().await.is_err());
    assert_eq!(all.clear().await.unwrap(), 1);
    assert!(alerts(&own).await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn without_a_source_or_a_place_for_its_file_it_serves_and_says_so() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    SOURCES
        .lock()
        .unwrap()
        .as_mut()
        .unwrap()
        .remove(stage.root.path());
    std::fs::create_dir_all(stage.root.path().join("state/alerts.jsonl")).unwrap();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let service = Service1Proxy::new(&client, "org.quantumos.Security1", path::SECURITY)
        .await
        .unwrap();
    assert_eq!(service.state().await.unwrap(), "degraded");
    let problems = service.problems().await.unwrap();
    for words in ["this test has no source", "their file can't be opened"] {
        assert!(
            problems.iter().any(|problem| problem.contains(words)),
            "{words}: {problems:?}"
        );
    }
    assert!(
        security
            .coverage()
            .await
            .unwrap()
            .iter()
            .all(|row| row.2 == "unavailable")
    );
    assert_eq!(security.reload_rules().await.unwrap(), (1, 0, 0));
    running.stop().await;
}

#[tokio::test]
async fn the_kernels_own_events_raise_alerts() {
    let root = tempfile::tempdir().unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../daemons/security-ai/rules");
    for entry in std::fs::read_dir(rules).unwrap().flatten() {
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "yml")
        {
            let name = entry.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            put(
                root.path(),
                &format!("usr/lib/quantumos/security-ai/rules.d/{name}"),
                &text,
            );
        }
    }
    let bus = PrivateBus::start().unwrap();
    let running = bus
        .serve::<SecurityAi>(root.path(), Settings::default())
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let coverage = security.coverage().await.unwrap();
    if coverage
        .iter()
        .any(|row| row.0 == "exec" && row.2 == "unavailable")
    {
        eprintln!("skipped: this kernel or user can't load probes: {coverage:?}");
        return;
    }
    let mut raised = security.receive_alert_raised().await.unwrap();
    let program = format!("/dev/shm/quantumos-test-{}", std::process::id());
    std::fs::copy("/bin/true", &program).unwrap();
    let status = tokio::process::Command::new(&program)
        .arg("--token=abc")
        .status()
        .await;
    std::fs::remove_file(&program).unwrap();
    assert!(status.unwrap().success());
    // Other programs of this host may raise alerts of their own.
    let path = loop {
        let signal = raised.next().await.unwrap();
        let arguments = signal.args().unwrap();
        if <&str>::try_from(&arguments.details["Executable"]).unwrap() == program {
            break arguments.alert.to_string();
        }
    };
    let one = alert(&client, &path).await;
    assert_eq!(one.title().await.unwrap(), "Program Run From Shared Memory");
    assert_eq!(
        one.command_line().await.unwrap(),
        format!("{program} --token=***")
    );
    assert_eq!(one.uid().await.unwrap(), nix::unistd::getuid().as_raw());
    let this = std::env::current_exe().unwrap().display().to_string();
    let ancestors = one.ancestors().await.unwrap();
    assert!(
        ancestors
            .iter()
            .any(|(pid, _, executable)| *pid == std::process::id() && *executable == this),
        "{ancestors:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn connections_are_matched_by_network_and_port() {
    let rule = "title: Pool\nid: pool\nlogsource: {category: network_connection}\ndetection:\n  s: {DestinationPort: 3333}\n  \
        f: {DestinationIp|cidr: 10.0.0.0/8}\n  condition: s and not f\n";
    let stage = Stage::new(&[("pool.yml", rule)]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let connect = |address: &str, port| {
        let context = EventContext {
            process: ProcessKey {
                pid: 7,
                start_time: 1,
            },
            ..EventContext::default()
        };
        Event::Connect(ConnectEvent {
            context,
            address: address.parse().unwrap(),
            port,
            protocol: 6,
        })
    };
    stage.source.give([
        connect("10.1.1.1", 3333),
        connect("203.0.113.9", 443),
        connect("::ffff:203.0.113.9", 3333),
    ]);
    let path = eventually("one alert", async || {
        let mut paths = alerts(&client).await;
        (paths.len() == 1).then(|| paths.remove(0))
    })
    .await;
    assert_eq!(
        alert(&client, &path).await.fields().await.unwrap()["DestinationIp"],
        "203.0.113.9"
    );
    running.stop().await;
}

//! resource-ai over a private bus, on a made-up machine and a systemd that the test sees,
//! and on this kernel where only the real thing says anything.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "resource/disk.rs"]
mod disk;
#[path = "resource/kernel.rs"]
mod kernel;
#[path = "resource/life.rs"]
mod life;
#[path = "resource/systemd.rs"]
mod systemd;
#[path = "resource/world.rs"]
mod world;

use quantumos_dbus::{Decision1Proxy, Error, Resource1Proxy, Service1Proxy, bus_name, path};
use quantumos_harness::{FakePolkit, PrivateBus, contract, eventually};
use quantumos_service::Running;
use resource_ai::ResourceAi;
use resource_ai::settings::{Mode, Settings};
use systemd::{FakeSystemd, UNSET};
use world::World;
use zbus::fdo::ObjectManagerProxy;
use zbus::{Connection, Fd};

const NOBODY: u32 = 65_534;
const WEB: &str = "/system.slice/web.service";
const BACKUP: &str = "/system.slice/backup.service";
const UNITS: [&str; 3] = ["/system.slice", WEB, BACKUP];

/// The machine's settings: its files, no triggers (its files are no kernel's), and a
/// controller that does not wait long.
fn settings(world: &World, mode: Mode) -> Settings {
    let mut settings = Settings {
        mode,
        ..Settings::default()
    };
    settings.sources.proc = world.proc();
    settings.sources.cgroup = world.cgroup();
    settings.triggers.resources.clear();
    settings.sampling.idle_ms = 1_000;
    settings.latency.enabled = false;
    settings.policy.enter_ms = 0;
    settings.model.directory = world.proc().join("no-models");
    settings
}

/// A service that waits while a backup beside it works.
fn contend(world: &World) {
    world.set(WEB, 0.6, 0.2);
    world.set(BACKUP, 0.1, resource_ai::sampler::cpus().into());
}

async fn proxy(connection: &Connection) -> Resource1Proxy<'_> {
    Resource1Proxy::builder(connection)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap()
}

async fn decision(connection: &Connection) -> Decision1Proxy<'_> {
    let manager = ObjectManagerProxy::builder(connection)
        .destination(bus_name::RESOURCE)
        .path(path::DECISIONS)
        .build()
        .await
        .unwrap();
    let path = eventually("a decision", async || {
        manager
            .get_managed_objects()
            .await
            .unwrap()
            .into_keys()
            .next()
    })
    .await;
    Decision1Proxy::builder(connection)
        .path(path)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap()
}

async fn becomes(decision: &Decision1Proxy<'_>, state: &str) {
    eventually(state, async || {
        (decision.state().await.unwrap() == state).then_some(())
    })
    .await;
}

/// Waits until the daemon has read so many times again, which its forecasts show: totals move.
async fn rounds(connection: &Connection, wanted: usize) {
    let resource = proxy(connection).await;
    for _ in 0..wanted {
        let before = resource.forecast().await.unwrap();
        eventually("another round", async || {
            (resource.forecast().await.unwrap() != before).then_some(())
        })
        .await;
    }
}

/// A bus, a machine under contention, its systemd and the daemon.
struct Stage {
    bus: PrivateBus,
    world: World,
    systemd: FakeSystemd,
    root: tempfile::TempDir,
    running: Running<ResourceAi>,
    client: Connection,
}

impl Stage {
    async fn new(mode: Mode, backup: u64) -> Self {
        let bus = PrivateBus::start().unwrap();
        let world = World::new(&UNITS);
        contend(&world);
        let systemd =
            FakeSystemd::start(&bus, &[("web.service", UNSET), ("backup.service", backup)]).await;
        let root = tempfile::tempdir().unwrap();
        let running = bus
            .serve::<ResourceAi>(root.path(), settings(&world, mode))
            .await
            .unwrap();
        let client = bus.connect().await.unwrap();
        Self {
            bus,
            world,
            systemd,
            root,
            running,
            client,
        }
    }
}

#[tokio::test]
async fn every_object_keeps_the_contract() {
    let stage = Stage::new(Mode::Advise, UNSET).await;
    let decision = decision(&stage.client).await;
    let table = [
        (
            path::RESOURCE,
            vec!["org.quantumos.Service1", "org.quantumos.Resource1"],
        ),
        (
            decision.inner().path().as_str(),
            vec!["org.quantumos.Decision1"],
        ),
    ];
    for (path, expected) in table {
        let lines = contract::differences(&stage.client, bus_name::RESOURCE, path, &expected)
            .await
            .unwrap();
        assert_eq!(lines, Vec::<String>::new(), "{path}");
    }
}

#[tokio::test]
async fn observing_decides_nothing_and_explains() {
    let stage = Stage::new(Mode::Observe, UNSET).await;
    let resource = proxy(&stage.client).await;
    assert_eq!(resource.mode().await.unwrap(), "observe");
    let rows = eventually("a forecast above 20 %", async || {
        let rows = resource.forecast().await.unwrap();
        rows.iter()
            .any(|(_, unit, now, ..)| unit == "web.service" && *now > 20.0)
            .then_some(rows)
    })
    .await;
    assert!(
        rows.iter()
            .any(|(cgroup, unit, ..)| cgroup == "/" && unit.is_empty()),
        "{rows:?}"
    );
    let explained: serde_json::Value =
        serde_json::from_str(&resource.explain("web.service").await.unwrap()).unwrap();
    assert_eq!(explained["class"], "service");
    assert_eq!(explained["CPUWeight"], "not set");
    assert_eq!(explained["model"]["state"], "simple");
    assert_eq!(explained["decisions"], serde_json::json!([]));
    let backup: serde_json::Value =
        serde_json::from_str(&resource.explain("backup.service").await.unwrap()).unwrap();
    assert_eq!(
        (backup["class"].as_str(), backup["classBecause"].as_str()),
        (Some("background"), Some("*backup*.service"))
    );
    assert_eq!(stage.systemd.state().calls, []);
    let pressure = resource.pressure().await.unwrap();
    let names: Vec<&str> = pressure.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(names, ["cpu.some", "memory.some", "io.some"]);
}

#[tokio::test]
async fn advice_is_only_advice() {
    let stage = Stage::new(Mode::Advise, UNSET).await;
    let decision = decision(&stage.client).await;
    assert_eq!(decision.state().await.unwrap(), "proposed");
    assert_eq!(decision.unit().await.unwrap(), "backup.service");
    assert_eq!(stage.systemd.state().calls, []);
    decision.undo().await.unwrap();
    assert_eq!(decision.state().await.unwrap(), "undone");
    assert_eq!(stage.systemd.state().calls, []);
}

#[tokio::test]
async fn acting_sets_a_weight_and_undo_gives_it_back() {
    let stage = Stage::new(Mode::Act, UNSET).await;
    let resource = proxy(&stage.client).await;
    let decision = decision(&stage.client).await;
    becomes(&decision, "applied").await;
    assert_eq!(
        (
            decision.property().await.unwrap().as_str(),
            decision.from().await.unwrap(),
            decision.to().await.unwrap()
        ),
        ("CPUWeight", UNSET, 10)
    );
    assert_eq!(
        stage.systemd.state().calls,
        [("backup.service".to_owned(), true, 10)]
    );
    let evidence = decision.evidence().await.unwrap();
    assert!(
        evidence.contains_key("pressure_in_5s") && evidence.contains_key("rule"),
        "{evidence:?}"
    );
    assert!(decision.expires().await.unwrap() > decision.time().await.unwrap());
    let explained = resource.explain("web.service").await.unwrap();
    assert!(explained.contains("less-for-the-waiting"), "{explained}");
    decision.undo().await.unwrap();
    assert_eq!(decision.state().await.unwrap(), "undone");
    assert_eq!(stage.systemd.state().weights["backup.service"], UNSET);
    let again = decision.undo().await.unwrap_err();
    assert!(
        matches!(&again, Error::InvalidArgument(text) if text.contains("undone already")),
        "{again}"
    );
}

#[tokio::test]
async fn calm_gives_the_weight_back() {
    let bus = PrivateBus::start().unwrap();
    let world = World::new(&UNITS);
    contend(&world);
    let systemd =
        FakeSystemd::start(&bus, &[("web.service", UNSET), ("backup.service", UNSET)]).await;
    let root = tempfile::tempdir().unwrap();
    let mut settings = settings(&world, Mode::Act);
    settings.policy.leave_ms = 1_000;
    let _running = bus
        .serve::<ResourceAi>(root.path(), settings)
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let decision = decision(&client).await;
    becomes(&decision, "applied").await;
    world.set(BACKUP, 0.0, 0.0);
    world.set(WEB, 0.0, 0.0);
    becomes(&decision, "expired").await;
    assert_eq!(systemd.state().weights["backup.service"], UNSET);
}

#[tokio::test]
async fn the_administrators_weight_is_not_touched() {
    let stage = Stage::new(Mode::Act, 100).await;
    // Rounds pass, and nothing was asked of systemd but the weight.
    rounds(&stage.client, 3).await;
    assert_eq!(stage.systemd.state().calls, []);
}

#[tokio::test]
async fn another_hand_ends_a_decision_without_a_change() {
    let stage = Stage::new(Mode::Act, UNSET).await;
    let decision = decision(&stage.client).await;
    becomes(&decision, "applied").await;
    stage
        .systemd
        .state()
        .weights
        .insert("backup.service".into(), 300);
    becomes(&decision, "expired").await;
    assert_eq!(stage.systemd.state().weights["backup.service"], 300);
}

#[tokio::test]
async fn a_refusal_by_systemd_is_told_and_not_repeated() {
    let bus = PrivateBus::start().unwrap();
    let world = World::new(&UNITS);
    contend(&world);
    let systemd =
        FakeSystemd::start(&bus, &[("web.service", UNSET), ("backup.service", UNSET)]).await;
    systemd.state().refuses = true;
    let root = tempfile::tempdir().unwrap();
    let _running = bus
        .serve::<ResourceAi>(root.path(), settings(&world, Mode::Act))
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let decision = decision(&client).await;
    becomes(&decision, "failed").await;
    let service = Service1Proxy::builder(&client)
        .destination(bus_name::RESOURCE)
        .path(path::RESOURCE)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap();
    let problems = service.problems().await.unwrap();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("backup.service")
                && problem.contains("Interactive authentication")),
        "{problems:?}"
    );
    assert_eq!(systemd.state().calls, []);
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let stage = Stage::new(Mode::Observe, UNSET).await;
    let resource = proxy(&stage.client).await;
    let table = [
        ("", "InvalidArgument"),
        ("no unit", "InvalidArgument"),
        ("gone.service", "NotFound"),
        (&"x".repeat(300), "LimitExceeded"),
    ];
    for (unit, name) in table {
        let error = resource.explain(unit).await.unwrap_err();
        assert!(
            format!("{error:?}").starts_with(name),
            "{unit:?}: {error:?}"
        );
    }
    let file = std::fs::File::open("/dev/null").unwrap();
    let error = resource.set_foreground(Fd::from(&file)).await.unwrap_err();
    assert!(
        matches!(&error, Error::InvalidArgument(text) if text.contains("pidfd")),
        "{error:?}"
    );
    assert!(matches!(
        resource.latency().await.unwrap_err(),
        Error::NotSupported(_)
    ));
}

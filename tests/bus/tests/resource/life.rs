//! Restarts, stops, modes and reloads.

use std::collections::BTreeSet;

use quantumos_resource::class::{Class, Rule};

use super::*;

#[tokio::test]
async fn a_killed_daemon_finds_its_decision_again() {
    let first = Stage::new(Mode::Act, UNSET).await;
    let made = decision(&first.client).await;
    becomes(&made, "applied").await;
    let (id, kept) = (
        made.id().await.unwrap(),
        first.root.path().join("runtime/decisions.json"),
    );
    // What a kill leaves behind: the file, and the weight that systemd has.
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("runtime")).unwrap();
    std::fs::copy(kept, root.path().join("runtime/decisions.json")).unwrap();
    let bus = PrivateBus::start().unwrap();
    let world = World::new(&UNITS);
    let systemd = FakeSystemd::start(&bus, &[("web.service", UNSET), ("backup.service", 10)]).await;
    let _running = bus
        .serve::<ResourceAi>(root.path(), settings(&world, Mode::Act))
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let found = decision(&client).await;
    assert_eq!(
        (
            found.id().await.unwrap(),
            found.state().await.unwrap().as_str()
        ),
        (id, "applied")
    );
    found.undo().await.unwrap();
    assert_eq!(systemd.state().weights["backup.service"], UNSET);
}

#[tokio::test]
async fn a_broken_file_of_decisions_is_told() {
    let bus = PrivateBus::start().unwrap();
    let world = World::new(&UNITS);
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("runtime")).unwrap();
    std::fs::write(root.path().join("runtime/decisions.json"), "[{\"id\":").unwrap();
    let running = bus
        .serve::<ResourceAi>(root.path(), settings(&world, Mode::Act))
        .await
        .unwrap();
    let problems = running.context().status.problems();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("decisions.json")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn stopping_takes_everything_back() {
    let stage = Stage::new(Mode::Act, UNSET).await;
    becomes(&decision(&stage.client).await, "applied").await;
    stage.running.stop().await;
    assert_eq!(stage.systemd.state().weights["backup.service"], UNSET);
}

#[tokio::test]
async fn the_mode_is_asked_for_checked_kept_and_left_clean() {
    let mut stage = Stage::new(Mode::Act, UNSET).await;
    let resource = proxy(&stage.client).await;
    let decision = decision(&stage.client).await;
    becomes(&decision, "applied").await;
    assert!(
        resource
            .set_mode("obey")
            .await
            .unwrap_err()
            .to_string()
            .contains("none of observe, advise, act")
    );
    if nix::unistd::geteuid().is_root() {
        let polkit = FakePolkit::start(&stage.bus).await.unwrap();
        let nobody = stage.bus.connect_as(NOBODY).await.unwrap();
        let theirs = proxy(&nobody).await;
        assert!(
            theirs
                .set_mode("observe")
                .await
                .unwrap_err()
                .to_string()
                .contains("polkit refused")
        );
        let path = decision.inner().path().clone();
        let other = Decision1Proxy::builder(&nobody)
            .path(path)
            .build()
            .await
            .unwrap();
        assert!(matches!(
            other.undo().await.unwrap_err(),
            Error::NotAuthorized(_)
        ));
        let asked: Vec<String> = polkit
            .asked()
            .into_iter()
            .map(|question| question.action)
            .collect();
        assert_eq!(
            asked,
            [
                "org.quantumos.resource.set-mode",
                "org.quantumos.resource.undo"
            ]
        );
    } else {
        println!("skipped: callers of other users need root");
    }
    resource.set_mode("observe").await.unwrap();
    assert_eq!(resource.mode().await.unwrap(), "observe");
    assert_eq!(decision.state().await.unwrap(), "undone");
    assert_eq!(stage.systemd.state().weights["backup.service"], UNSET);
    // It holds over a restart, until the configuration says something new.
    assert_eq!(
        resource_ai::interface::kept_mode(&stage.root.path().join("state"), Mode::Act),
        Mode::Observe
    );
    assert_eq!(
        resource_ai::interface::kept_mode(&stage.root.path().join("state"), Mode::Advise),
        Mode::Advise
    );
    let etc = stage.root.path().join("etc/quantumos");
    std::fs::create_dir_all(&etc).unwrap();
    std::fs::write(
        etc.join("resource-ai.toml"),
        "mode = \"act\"\n[policy]\nhigh = 7\n",
    )
    .unwrap();
    stage.running.reload().await;
    let service = Service1Proxy::builder(&stage.client)
        .destination(bus_name::RESOURCE)
        .path(path::RESOURCE)
        .build()
        .await
        .unwrap();
    let refused = service.configuration_error().await.unwrap();
    assert!(
        refused.contains("resource-ai.toml:3") && refused.contains("policy.high"),
        "{refused}"
    );
    assert!(stage.world.proc().exists());
}

#[tokio::test]
async fn a_weight_that_was_set_without_an_answer_is_taken_back() {
    let bus = PrivateBus::start().unwrap();
    let world = World::new(&UNITS);
    contend(&world);
    let units = [("web.service", UNSET), ("backup.service", UNSET)];
    let systemd = FakeSystemd::start(&bus, &units).await;
    systemd.state().silent = true;
    let root = tempfile::tempdir().unwrap();
    let running = bus
        .serve::<ResourceAi>(root.path(), settings(&world, Mode::Act))
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let made = decision(&client).await;
    // Nobody knows whether 10 is in force. It holds until it is known to be taken back, and every
    // round tries.
    let asked = eventually("it is taken back more than once", async || {
        let calls = systemd.state().calls.clone();
        (calls.len() >= 3).then_some(calls)
    })
    .await;
    let call = |weight| ("backup.service".to_owned(), true, weight);
    assert_eq!(asked[..3], [call(10), call(UNSET), call(UNSET)]);
    assert_eq!(made.state().await.unwrap(), "applied");
    let problems = running.context().status.problems();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("backup.service") && problem.contains("trying again")),
        "{problems:?}"
    );
    // A kill in between leaves the decision behind for the next start.
    let kept = std::fs::read_to_string(root.path().join("runtime/decisions.json")).unwrap();
    assert!(kept.contains("backup.service"), "{kept}");

    systemd.state().silent = false;
    becomes(&made, "failed").await;
    assert_eq!(systemd.state().weights["backup.service"], UNSET);
    eventually("the problem is over", async || {
        let problems = running.context().status.problems();
        (!problems.iter().any(|problem| problem.contains("backup"))).then_some(())
    })
    .await;
    let kept = std::fs::read_to_string(root.path().join("runtime/decisions.json")).unwrap();
    assert_eq!(kept, "[]");
    // The unit is left alone from now on: no new decision for it.
    let calls = systemd.state().calls.len();
    rounds(&client, 3).await;
    assert_eq!(systemd.state().calls.len(), calls);
}

#[tokio::test]
async fn what_the_host_needs_is_neither_slowed_down_nor_preferred() {
    // By rules of the administrator the first three have to wait and the last two are preferred.
    let protected = [
        "systemd-journald.service",
        "systemd-udevd.service",
        "quantumd.service",
        "dbus.service",
        "systemd-logind.service",
    ];
    let mut paths: Vec<String> = protected
        .iter()
        .map(|unit| format!("/system.slice/{unit}"))
        .collect();
    paths.extend(["/init.scope".to_owned(), BACKUP.to_owned()]);
    paths.push("/system.slice".to_owned());
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let bus = PrivateBus::start().unwrap();
    let world = World::new(&paths);
    let cpus: f64 = resource_ai::sampler::cpus().into();
    for path in &paths[..3] {
        world.set(path, 0.1, cpus / 4.0);
    }
    for path in &paths[3..6] {
        world.set(path, 0.6, cpus / 20.0);
    }
    world.set(BACKUP, 0.1, cpus / 4.0);
    let mut units: Vec<(&str, u64)> = protected.iter().map(|unit| (*unit, UNSET)).collect();
    units.extend([("init.scope", UNSET), ("backup.service", UNSET)]);
    let systemd = FakeSystemd::start(&bus, &units).await;
    let mut settings = settings(&world, Mode::Act);
    for (at, unit) in protected.iter().chain(&["init.scope"]).enumerate() {
        let class = if at < 3 {
            Class::Background
        } else {
            Class::Interactive
        };
        let unit = (*unit).to_owned();
        settings.classes.rules.push(Rule { unit, class });
    }
    let root = tempfile::tempdir().unwrap();
    let _running = bus
        .serve::<ResourceAi>(root.path(), settings)
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    // The one unit that may be touched is, for the pressed ones' sake.
    becomes(&decision(&client).await, "applied").await;
    rounds(&client, 3).await;
    let calls = systemd.state().calls.clone();
    let touched: BTreeSet<&str> = calls.iter().map(|(unit, ..)| unit.as_str()).collect();
    assert_eq!(touched, BTreeSet::from(["backup.service"]), "{calls:?}");
}

//! Restarts, stops, modes and reloads.

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

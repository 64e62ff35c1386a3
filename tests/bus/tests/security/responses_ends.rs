//! Responses to units end with their unit, and only then.

use crate::manager::{FakeSystemd, Unit};
use crate::responses::{none, response, responses, stage};
use crate::responses_units::unit;
use crate::stage::Stage;
use quantumos_harness::eventually;
use security_ai::Settings;
use std::path::PathBuf;
use zbus::Connection;

const GRADES: [&str; 4] = ["throttle", "isolate", "freeze", "deny"];

/// Makes the control group of a unit, or another one in its place.
fn group(stage: &Stage, name: &str) {
    let folder = gone(stage, name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.parent().unwrap().join("cgroup.controllers"), "cpu").unwrap();
}

/// Removes the control group of a unit. It stays somewhere, so that its number is not given again.
fn gone(stage: &Stage, name: &str) -> PathBuf {
    let groups = stage.root.path().join("groups");
    let before = tempfile::tempdir_in(stage.root.path()).unwrap().keep();
    // There may be none.
    let _ = std::fs::rename(groups.join(name), before.join(name));
    groups.join(name)
}

/// Responds in each grade to a unit of that name, and gives the responses.
async fn held(client: &Connection, stage: &Stage, names: &[&str]) -> Vec<String> {
    let all = responses(client).await;
    let mut held = Vec::new();
    for (grade, name) in GRADES.into_iter().zip(names) {
        group(stage, name);
        let made = all.respond(unit(name), grade, none()).await;
        let made = made.unwrap_or_else(|error| panic!("{grade}: {error}"));
        held.push(made.as_str().to_owned());
    }
    held
}

async fn stands(client: &Connection, path: &str) -> (String, String) {
    let one = response(client, path).await;
    (one.state().await.unwrap(), one.detail().await.unwrap())
}

/// Waits until a response has ended, and gives why.
async fn ended(client: &Connection, path: &str) -> String {
    eventually("the response ends", async || {
        let (state, why) = stands(client, path).await;
        (state == "ended").then_some(why)
    })
    .await
}

const TRANSIENT: [&str; 4] = [
    "slow.service",
    "cut.service",
    "cold.service",
    "barred.service",
];

#[tokio::test]
async fn what_holds_a_transient_unit_ends_with_it() {
    let stage = stage();
    let systemd = FakeSystemd::start(&stage.bus, &TRANSIENT).await;
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let held = held(&client, &stage, &TRANSIENT).await;
    // A reload of systemd says of each unit that it goes.
    eventually("somebody listens", async || {
        systemd.state.lock().unwrap().subscribed.then_some(())
    })
    .await;
    for name in TRANSIENT {
        systemd.tell_removed(name).await;
    }
    for (name, path) in TRANSIENT.iter().zip(&held) {
        assert_eq!(
            stands(&client, path).await,
            ("applied".into(), String::new())
        );
        gone(&stage, name);
        systemd.remove(name).await;
        assert_eq!(ended(&client, path).await, "the unit is gone");
    }
    assert!(stage.source.denied.lock().unwrap().is_empty());
    assert_eq!(responses(&client).await.undo_all().await.unwrap(), (0, 0));
    running.stop().await;
}

#[tokio::test]
async fn what_holds_a_unit_ends_when_that_was_started_anew_or_let_go() {
    let stage = stage();
    let systemd = FakeSystemd::start(&stage.bus, &TRANSIENT).await;
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let held = held(&client, &stage, &TRANSIENT).await;
    let [slow, cut, cold, barred] = TRANSIENT;
    // It is started anew while it is loaded: what was set on it stays, its control group does not.
    for name in [slow, cut, barred] {
        group(&stage, name);
        systemd.alter(name, |unit| unit.active = "activating").await;
        systemd.alter(name, |unit| unit.active = "active").await;
    }
    let why = ended(&client, &held[3]).await;
    assert!(why.contains("control groups are gone"), "{why}");
    assert!(stage.source.denied.lock().unwrap().is_empty());
    for path in &held[..3] {
        assert_eq!(
            stands(&client, path).await,
            ("applied".into(), String::new())
        );
    }
    // Another unit has the name by now; half of what was set is still in force.
    systemd.alter(slow, |unit| unit.quota = 7).await;
    systemd.alter(cut, |unit| *unit = Unit::default()).await;
    let why = ended(&client, &held[1]).await;
    assert!(why.contains("started anew without it"), "{why}");
    assert_eq!(stands(&client, &held[0]).await.0, "applied");
    systemd.alter(slow, |unit| *unit = Unit::default()).await;
    ended(&client, &held[0]).await;
    systemd.alter(cold, |unit| unit.frozen = false).await;
    assert_eq!(ended(&client, &held[2]).await, "the unit was thawed");
    assert_eq!(systemd.unit(slow), Unit::default());
    running.stop().await;
}

#[tokio::test]
async fn a_unit_with_a_file_keeps_its_limits_while_it_is_not_loaded_until_they_are_undone() {
    let stage = stage();
    let systemd = FakeSystemd::start(&stage.bus, &[]).await;
    let file = Unit {
        transient: false,
        ..Unit::default()
    };
    for name in TRANSIENT {
        systemd.add(name, file.clone()).await;
    }
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let held = held(&client, &stage, &TRANSIENT).await;
    let [slow, cut, cold, barred] = TRANSIENT;
    // Its last process was killed while it was frozen.
    systemd.alter(cold, |unit| unit.active = "failed").await;
    let why = ended(&client, &held[2]).await;
    assert!(why.contains("systemd takes it for frozen"), "{why}");
    for name in [slow, cut, barred] {
        gone(&stage, name);
        systemd.remove(name).await;
    }
    assert_eq!(ended(&client, &held[3]).await, "the unit is gone");
    for (path, name) in held.iter().zip([slow, cut]) {
        assert_eq!(
            stands(&client, path).await,
            ("applied".into(), String::new())
        );
        response(&client, path).await.undo().await.unwrap();
        assert_eq!(stands(&client, path).await.0, "undone");
        let unit = systemd.unit(name);
        let before = (file.quota, file.io_weight, &file.deny);
        assert_eq!((unit.quota, unit.io_weight, &unit.deny), before, "{name}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_unit_that_is_killed_while_it_is_frozen_is_thawed_first_and_runs_nothing() {
    let stage = stage();
    let systemd = FakeSystemd::start(&stage.bus, &["cold.service", "warm.service"]).await;
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    let frozen = all.respond(unit("cold.service"), "freeze", none()).await;
    for name in ["cold.service", "warm.service"] {
        all.respond(unit(name), "kill", none()).await.unwrap();
    }
    let calls = systemd.state.lock().unwrap().calls.clone();
    let wanted = [
        "begin to freeze cold.service",
        "freeze cold.service",
        "stop cold.service",
        "thaw cold.service",
        "kill cold.service",
        "kill warm.service",
    ];
    assert_eq!(calls, wanted);
    systemd.alter("cold.service", |_| {}).await;
    let why = ended(&client, frozen.unwrap().as_str()).await;
    assert_eq!(why, "the unit was thawed");
    running.stop().await;
}

#[tokio::test]
async fn what_held_a_unit_that_went_while_the_daemon_was_away_has_ended_and_the_rest_holds() {
    let stage = stage();
    let systemd = FakeSystemd::start(&stage.bus, &TRANSIENT).await;
    systemd.add("kept.service", Unit::default()).await;
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let mut held = held(&client, &stage, &TRANSIENT).await;
    let all = responses(&client).await;
    let kept = all.respond(unit("kept.service"), "freeze", none()).await;
    let kept = kept.unwrap();
    let slow = held.remove(0);
    running.stop().await;

    stage.source.denied.lock().unwrap().clear();
    for name in &TRANSIENT[1..] {
        gone(&stage, name);
    }
    // The one that was slow is another one by now.
    let second = stage.moved();
    let systemd = FakeSystemd::start(&second.bus, &[TRANSIENT[0]]).await;
    let frozen = Unit {
        frozen: true,
        ..Unit::default()
    };
    systemd.add("kept.service", frozen.clone()).await;
    let client = second.bus.connect().await.unwrap();
    let running = second.serve(Settings::default()).await;
    for path in &held {
        assert_eq!(ended(&client, path).await, "the unit is gone");
    }
    let why = ended(&client, &slow).await;
    assert!(why.contains("started anew without it"), "{why}");
    assert!(second.source.denied.lock().unwrap().is_empty());
    assert_eq!(systemd.unit(TRANSIENT[0]), Unit::default());
    // What is there still holds, and ends when it goes.
    assert_eq!(stands(&client, kept.as_str()).await.0, "applied");
    systemd.remove("kept.service").await;
    ended(&client, kept.as_str()).await;
    running.stop().await;
}

//! Responses to units, with what systemd is asked for.

use crate::manager::{FakeSystemd, UNSET, Unit};
use crate::responses::{Victim, entries, none, response, responses, stage, value};
use quantumos_dbus::{Dictionary, Error};
use quantumos_ebpf::Denial;
use quantumos_harness::{PrivateBus, eventually};
use security_ai::Settings;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use tokio::sync::Semaphore;

pub fn unit(name: &str) -> Dictionary {
    entries([("unit", value(name.to_owned()))])
}

#[tokio::test]
async fn a_unit_is_throttled_isolated_frozen_and_killed_and_all_but_that_is_undone() {
    let stage = stage();
    let systemd = FakeSystemd::start(&stage.bus, &["web.service"]).await;
    let network = (2, vec![10, 0, 0, 0], 8);
    systemd
        .state
        .lock()
        .unwrap()
        .units
        .get_mut("web.service")
        .unwrap()
        .allow = vec![network];
    let before = systemd.unit("web.service");
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    let any = vec![(2, vec![0; 4], 0), (10, vec![0; 16], 0)];
    for (grade, after) in [
        (
            "throttle",
            Unit {
                quota: 100_000,
                io_weight: 1,
                ..before.clone()
            },
        ),
        (
            "isolate",
            Unit {
                deny: any,
                allow: Vec::new(),
                ..before.clone()
            },
        ),
        (
            "freeze",
            Unit {
                frozen: true,
                ..before.clone()
            },
        ),
    ] {
        let made = all.respond(unit("web.service"), grade, none()).await;
        let made = made.unwrap_or_else(|error| panic!("{grade}: {error}"));
        assert_eq!(systemd.unit("web.service"), after, "{grade}");
        let made = response(&client, made.as_str()).await;
        assert_eq!(made.scope().await.unwrap(), "unit");
        made.undo().await.unwrap();
        assert_eq!(systemd.unit("web.service"), before, "{grade} undone");
        assert_eq!(made.state().await.unwrap(), "undone");
    }
    all.respond(unit("web.service"), "kill", none())
        .await
        .unwrap();
    assert_eq!(systemd.unit("web.service").killed, 1);

    // What somebody else has set since stays.
    let made = all
        .respond(unit("web.service"), "throttle", none())
        .await
        .unwrap();
    systemd
        .state
        .lock()
        .unwrap()
        .units
        .get_mut("web.service")
        .unwrap()
        .quota = 7;
    let made = response(&client, made.as_str()).await;
    made.undo().await.unwrap();
    let now = systemd.unit("web.service");
    assert_eq!((now.quota, now.io_weight), (7, UNSET));
    let detail = made.detail().await.unwrap();
    assert!(
        detail.contains("CPUQuotaPerSecUSec was changed since"),
        "{detail}"
    );
    running.stop().await;
}

#[tokio::test]
async fn what_systemd_says_is_believed() {
    let stage = stage();
    let systemd = FakeSystemd::start(&stage.bus, &["systemd-logind.service", "web.service"]).await;
    let alias = (
        "login.service".to_owned(),
        "systemd-logind.service".to_owned(),
    );
    systemd.state.lock().unwrap().aliases.extend([alias]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    // By another name it is the same unit.
    let refused = all.respond(unit("login.service"), "freeze", none()).await;
    assert!(
        matches!(&refused, Err(Error::NotAuthorized(text)) if text.contains("systemd-logind")),
        "{refused:?}"
    );
    let refused = all.respond(unit("none.service"), "freeze", none()).await;
    assert!(matches!(&refused, Err(Error::NotFound(_))), "{refused:?}");

    let frozen = all
        .respond(unit("web.service"), "freeze", none())
        .await
        .unwrap();
    let frozen = response(&client, frozen.as_str()).await;
    systemd.state.lock().unwrap().refuses = true;
    let stuck = frozen.undo().await;
    assert!(matches!(&stuck, Err(Error::Unavailable(_))), "{stuck:?}");
    assert_eq!(frozen.state().await.unwrap(), "applied");
    let refused = all.respond(unit("web.service"), "isolate", none()).await;
    assert!(
        matches!(&refused, Err(Error::NotSupported(_))),
        "{refused:?}"
    );
    systemd.state.lock().unwrap().refuses = false;
    systemd.lose("web.service").await;
    frozen.undo().await.unwrap();
    assert_eq!(frozen.state().await.unwrap(), "ended");
    running.stop().await;
}

#[tokio::test]
async fn executions_are_denied_in_a_unit_and_again_after_a_restart() {
    let stage = stage();
    let systemd = FakeSystemd::start(&stage.bus, &["web.service"]).await;
    let groups = stage.root.path().join("groups");
    std::fs::create_dir_all(groups.join("web.service/below")).unwrap();
    std::fs::write(groups.join("cgroup.controllers"), "cpu").unwrap();
    let number = |name: &str| std::fs::metadata(groups.join(name)).unwrap().ino();
    let wanted = BTreeSet::from([
        Denial::Group(number("web.service")),
        Denial::Group(number("web.service/below")),
    ]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    let made = all
        .respond(unit("web.service"), "deny", none())
        .await
        .unwrap();
    let denied = stage.source.denied.clone();
    assert_eq!(*denied.lock().unwrap(), wanted);
    running.stop().await;
    drop(systemd);

    // Probes go with the daemon, and so does what they deny.
    denied.lock().unwrap().clear();
    let second = crate::stage::Stage {
        bus: PrivateBus::start().unwrap(),
        root: stage.root,
        source: stage.source,
    };
    let running = second.serve(Settings::default()).await;
    assert_eq!(*denied.lock().unwrap(), wanted);
    let client = second.bus.connect().await.unwrap();
    response(&client, made.as_str()).await.undo().await.unwrap();
    assert!(denied.lock().unwrap().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_unit_that_is_slow_to_freeze_holds_up_no_other_but_what_concerns_it_is_in_order() {
    let stage = stage();
    let units = ["slow.service", "web.service", "mail.service"];
    let systemd = FakeSystemd::start(&stage.bus, &units).await;
    let gate = Arc::new(Semaphore::new(0));
    let begun = |call: &str| {
        let state = systemd.state.lock().unwrap();
        state.calls.iter().any(|one| one == call).then_some(())
    };
    let slow = ("slow.service".to_owned(), gate.clone());
    systemd.state.lock().unwrap().gates.extend([slow]);
    let alias = ("creeping.service".to_owned(), "slow.service".to_owned());
    systemd.state.lock().unwrap().aliases.extend([alias]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    let respond = |name: &'static str, grade: &'static str| {
        let client = client.clone();
        tokio::spawn(async move {
            let all = responses(&client).await;
            all.respond(unit(name), grade, none()).await
        })
    };

    let freeze = respond("slow.service", "freeze");
    eventually("systemd is asked", async || {
        begun("begin to freeze slow.service")
    })
    .await;
    // What else concerns the unit waits, by whatever name it is asked for; what is under way is not done twice.
    let isolate = respond("slow.service", "isolate");
    let twice = respond("creeping.service", "freeze").await.unwrap();
    assert!(matches!(&twice, Err(Error::Busy(_))), "{twice:?}");
    let throttle = respond("creeping.service", "throttle");
    // Nobody else does.
    let mut victim = Victim::start();
    all.respond(victim.target(), "kill", none()).await.unwrap();
    victim.killed();
    all.respond(unit("web.service"), "kill", none())
        .await
        .unwrap();
    let frozen = all.respond(unit("mail.service"), "freeze", none()).await;
    let frozen = response(&client, frozen.unwrap().as_str()).await;
    frozen.undo().await.unwrap();
    let plan = all.plan(unit("slow.service"), "kill", none()).await;
    assert_eq!(plan.unwrap()["Allowed"], value(true));
    let others = [
        "begin to freeze slow.service",
        "kill web.service",
        "begin to freeze mail.service",
        "freeze mail.service",
        "thaw mail.service",
    ];
    assert_eq!(systemd.state.lock().unwrap().calls, others);
    assert!(!freeze.is_finished() && !isolate.is_finished() && !throttle.is_finished());

    gate.add_permits(1);
    let made = freeze.await.unwrap().unwrap();
    isolate.await.unwrap().unwrap();
    throttle.await.unwrap().unwrap();
    let rest = [
        "freeze slow.service",
        "set slow.service",
        "set slow.service",
    ];
    let calls = systemd.state.lock().unwrap().calls.clone();
    assert_eq!(calls, [&others[..], &rest].concat());
    let made = response(&client, made.as_str()).await;
    assert_eq!(made.state().await.unwrap(), "applied");
    assert_eq!(all.undo_all().await.unwrap(), (3, 0));
    assert_eq!(systemd.unit("slow.service"), Unit::default());
    running.stop().await;
}

#[tokio::test]
async fn many_units_that_are_slow_to_freeze_hold_up_no_kill() {
    let names: Vec<String> = (0..12).map(|n| format!("slow-{n}.service")).collect();
    let units: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = stage();
    let systemd = FakeSystemd::start(&stage.bus, &[&units[..], &["web.service"]].concat()).await;
    let gate = Arc::new(Semaphore::new(0));
    let gates = names.iter().map(|name| (name.clone(), gate.clone()));
    systemd.state.lock().unwrap().gates.extend(gates);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    let mut freezing = tokio::task::JoinSet::new();
    for name in names.clone() {
        let client = client.clone();
        freezing.spawn(async move {
            let all = responses(&client).await;
            all.respond(unit(&name), "freeze", none()).await
        });
    }
    let asked = || systemd.state.lock().unwrap().calls.len();
    eventually("as many calls as may be", async || {
        (asked() == 8).then_some(())
    })
    .await;
    all.respond(unit("web.service"), "kill", none())
        .await
        .unwrap();
    assert_eq!(systemd.unit("web.service").killed, 1);
    assert_eq!(asked(), 9, "no more than eight at a time");
    gate.add_permits(names.len());
    while let Some(done) = freezing.join_next().await {
        done.unwrap().unwrap();
    }
    assert!(names.iter().all(|name| systemd.unit(name).frozen));
    assert_eq!(all.undo_all().await.unwrap(), (12, 0));
    running.stop().await;
}

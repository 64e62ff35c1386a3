//! What the daemon says of itself, and whom it obeys.

use crate::stage::{MANAGE, NOBODY, RULE, SOURCES, Stage, alert, alerts, exec, put};
use futures_util::StreamExt;
use quantumos_dbus::{Alerts1Proxy, Error, Security1Proxy, Service1Proxy, path};
use quantumos_harness::{FakePolkit, eventually};
use security_ai::Settings;

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
    // The client learns of it by a signal, which comes when it comes.
    eventually("no rule fails any more", async || {
        (security.rules_failed().await.unwrap() == 0).then_some(())
    })
    .await;
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

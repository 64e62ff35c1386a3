//! From events to a signed model: security-ai, ai-learnd and quantumd with a software TPM on one private bus.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

mod chain;
mod life;
#[path = "../support/quantumd.rs"]
mod quantumd_support;
#[allow(dead_code)] // the tests of security-ai use the rest
#[path = "../security/stage.rs"]
mod stage;

use ai_learnd::AiLearnd;
use nix::time::{ClockId, clock_gettime};
use quantumd::Quantumd;
use quantumd_support::{ALGORITHM, NOBODY, context, key, with_tpm};
use quantumos_dbus::{Error, Keys1Proxy, Learn1Proxy, Windows1Proxy, path};
use quantumos_ebpf::Event;
use quantumos_harness::{FakePolkit, Swtpm, contract, eventually};
use quantumos_learn::Manifest;
use quantumos_learn::manifest::SIGNATURE_CONTEXT;
use quantumos_service::Running;
use stage::{Stage, alert, alerts, exec};
use std::path::Path;
use zbus::Connection;

/// Windows of a host with four servers, each with habits of its own.
const WINDOWS: u32 = 240;

fn now(pid: u32, image: &str) -> Event {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap();
    match exec(pid, image, b"x\0") {
        Event::Exec(mut exec) => {
            exec.context.time = time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64;
            Event::Exec(exec)
        }
        other => other,
    }
}

/// A run of one of the first four servers: itself, then what it always executes.
fn habits(pid: u32) -> Vec<Event> {
    habits_of(pid % 4, pid)
}

fn habits_of(server: u32, pid: u32) -> Vec<Event> {
    let mut events = vec![now(pid, &format!("/usr/sbin/server{server}"))];
    for step in 0..3 + pid / 4 % 3 {
        events.push(now(
            pid,
            &format!("/usr/libexec/server{server}/task{}", step % 3),
        ));
    }
    events
}

/// security-ai with short windows and the models below `root`.
async fn watching(stage: &Stage, root: &Path) -> Running<stage::Tested> {
    let mut settings = security_ai::Settings::default();
    settings.windows.seconds = 1;
    settings.model.directory = root.join("models/published");
    settings.model.trusted = Vec::new();
    stage.serve(settings).await
}

/// Has so many windows end, of runs with these numbers.
async fn live(stage: &Stage, client: &Connection, events: impl Iterator<Item = Vec<Event>>) {
    let windows = Windows1Proxy::new(client).await.unwrap();
    let before = windows.closed().await.unwrap();
    let mut runs = 0;
    stage.source.give(events.inspect(|_| runs += 1).flatten());
    eventually("all windows end", async || {
        (windows.closed().await.unwrap() >= before + runs).then_some(())
    })
    .await;
}

fn learning(root: &Path) -> ai_learnd::Settings {
    let mut settings = ai_learnd::Settings::default();
    settings.training.windows_needed = 200;
    settings.training.every_hours = 0;
    settings.training.false_positive_rate = 0.01;
    settings.models.directory = root.join("models");
    settings
}

#[tokio::test]
async fn a_model_is_trained_signed_published_and_only_replaced_by_a_better_one() {
    let stage = Stage::new(&[]);
    let root = tempfile::tempdir().unwrap();
    let security = watching(&stage, root.path()).await;
    let client = stage.bus.connect().await.unwrap();
    let windows = Windows1Proxy::new(&client).await.unwrap();
    live(&stage, &client, (1000..1000 + WINDOWS).map(habits)).await;

    let settings = learning(root.path());
    let learnd = stage.bus.serve::<AiLearnd>(root.path(), settings).await;
    let learnd = learnd.unwrap();
    let learn = Learn1Proxy::new(&client).await.unwrap();
    eventually("the windows are collected", async || {
        (learn.windows().await.unwrap() == WINDOWS).then_some(())
    })
    .await;
    assert_eq!(learn.published().await.unwrap(), 0);
    // Nobody signs: no model.
    let refused = learn.train().await;
    assert!(
        matches!(&refused, Err(Error::Unavailable(_))),
        "{refused:?}"
    );
    assert!(learn.list_models().await.unwrap().is_empty());

    let (house, tpm) = (tempfile::tempdir().unwrap(), Swtpm::start().unwrap());
    let quantumd = stage.bus.serve::<Quantumd>(house.path(), with_tpm(&tpm));
    let quantumd = quantumd.await.unwrap();
    let (serial, published, reason) = learn.train().await.unwrap();
    assert_eq!((serial, published), (1, true), "{reason}");
    let models = learn.list_models().await.unwrap();
    assert_eq!((models.len(), models[0].2.as_str()), (1, "published"));
    assert!(models[0].4 > 0.95, "{models:?}");

    let folder = root.path().join("models/published");
    let papers = std::fs::read(folder.join("manifest.toml")).unwrap();
    let manifest: Manifest = toml::from_str(std::str::from_utf8(&papers).unwrap()).unwrap();
    assert_eq!(manifest.signer, learn.signer().await.unwrap());
    assert_eq!(manifest.held_out.windows, u64::from(WINDOWS) / 4);
    let public = key(&client, &format!("{}/{}", path::KEYS, manifest.signer)).await;
    let public = public.public_key().await.unwrap();
    let signature = std::fs::read(folder.join("manifest.toml.sig")).unwrap();
    let keys = Keys1Proxy::new(&client).await.unwrap();
    let options = context(SIGNATURE_CONTEXT);
    assert!(
        keys.verify(ALGORITHM, &public, &papers, &signature, options)
            .await
            .unwrap()
    );

    chain::each_broken_link_is_refused_by_name(&root.path().join("models/1"), &public);
    chain::what_is_signed_and_hostile_is_refused_by_name(&root.path().join("models/1"));

    // The same windows give the same model, which is not better.
    let (serial, published, reason) = learn.train().await.unwrap();
    assert_eq!((serial, published), (0, false));
    assert!(reason.contains("not better than model 1"), "{reason}");
    // security-ai takes the model up with the next window, and believes the key since quantumd says whose it is.
    stage.source.give(habits(5000));
    eventually("an ordinary window ends", async || {
        (windows.closed().await.unwrap() == u64::from(WINDOWS) + 1).then_some(())
    })
    .await;
    stage.source.give([
        now(6001, "/usr/sbin/server1"),
        now(6001, "/usr/bin/sh"),
        now(6001, "/tmp/.x/implant"),
        now(6001, "/usr/bin/base64"),
        now(6001, "/tmp/.x/implant"),
    ]);
    let raised = eventually("the strange window is told of", async || {
        let paths = alerts(&client).await;
        (!paths.is_empty()).then_some(paths)
    })
    .await;
    assert_eq!(raised.len(), 1, "{raised:?}");
    let alert = alert(&client, &raised[0]).await;
    assert_eq!(alert.rule_id().await.unwrap(), "quantumos-model-windows");
    assert_eq!(
        (
            alert.pid().await.unwrap(),
            alert.class().await.unwrap().as_str()
        ),
        (6001, "window")
    );
    let explanation = alert.explanation().await.unwrap();
    for words in [
        "strange above",
        "compared with 180 windows of 4 units",
        "spreads",
        "exec /tmp/.x/implant",
    ] {
        assert!(explanation.contains(words), "{words}: {explanation}");
    }
    assert!(alert.tags().await.unwrap().is_empty());
    let pinned = std::fs::read(stage.root.path().join("state/model.pub")).unwrap();
    assert_eq!(pinned, public);

    let nothing = learn.rollback(0).await;
    assert!(matches!(&nothing, Err(Error::NotFound(_))), "{nothing:?}");
    assert_eq!(learn.rollback(1).await.unwrap(), 1);
    let lines = contract::differences(
        &client,
        "org.quantumos.Learn1",
        path::LEARN,
        &["org.quantumos.Learn1", "org.quantumos.Service1"],
    );
    assert_eq!(lines.await.unwrap(), Vec::<String>::new());
    learnd.stop().await;
    quantumd.stop().await;
    security.stop().await;
}

#[tokio::test]
async fn too_few_windows_and_others_are_refused() {
    let stage = Stage::new(&[]);
    let root = tempfile::tempdir().unwrap();
    let settings = learning(root.path());
    let learnd = stage.bus.serve::<AiLearnd>(root.path(), settings).await;
    let learnd = learnd.unwrap();
    let client = stage.bus.connect().await.unwrap();
    let learn = Learn1Proxy::new(&client).await.unwrap();
    let refused = learn.train().await.unwrap_err().to_string();
    assert!(refused.contains("0 windows, 200 needed"), "{refused}");
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: callers of other users need root");
        return;
    }
    let polkit = FakePolkit::start(&stage.bus).await.unwrap();
    let other = stage.bus.connect_as(NOBODY).await.unwrap();
    let learn = Learn1Proxy::new(&other).await.unwrap();
    for refused in [
        learn.train().await.map(drop),
        learn.rollback(0).await.map(drop),
    ] {
        assert!(
            matches!(&refused, Err(Error::NotAuthorized(_))),
            "{refused:?}"
        );
    }
    polkit.allow("org.quantumos.learn.manage");
    let nothing = learn.rollback(0).await;
    assert!(matches!(&nothing, Err(Error::NotFound(_))), "{nothing:?}");
    let asked = polkit.asked();
    assert_eq!(asked.len(), 3);
    learnd.stop().await;
}

//! What happens to models over time: a better one takes the place of the one in force and can be rolled back; quantumd
//! is away; the disk is full.

use crate::quantumd_support::without_tpm;
use crate::stage::Stage;
use crate::{WINDOWS, habits, habits_of, learning, live, watching};
use ai_learnd::AiLearnd;
use quantumd::Quantumd;
use quantumos_dbus::{Error, Learn1Proxy, Service1Proxy, path};
use quantumos_harness::{SmallDisk, eventually};
use serde_json::Value;
use zbus::Connection;

/// The serial number of the model that security-ai uses; null for none.
async fn in_use(client: &Connection) -> Value {
    let service = security(client).await;
    let text = service.describe().await.unwrap();
    let description: Value = serde_json::from_str(&text).unwrap();
    description["model"]["serial"].clone()
}

async fn security(client: &Connection) -> Service1Proxy<'static> {
    Service1Proxy::builder(client)
        .destination("org.quantumos.Security1")
        .path(path::SECURITY)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap()
}

/// Has ordinary windows end until security-ai uses that model: it looks when one ends.
async fn becomes(stage: &Stage, client: &Connection, serial: u64) {
    eventually("security-ai uses the model", async || {
        stage.source.give(habits(900));
        (in_use(client).await == serial).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_better_model_replaces_and_a_rollback_is_followed() {
    let (stage, root) = (Stage::new(&[]), tempfile::tempdir().unwrap());
    let security = watching(&stage, root.path()).await;
    let client = stage.bus.connect().await.unwrap();
    let house = tempfile::tempdir().unwrap();
    let quantumd = stage.bus.serve::<Quantumd>(house.path(), without_tpm(true));
    let quantumd = quantumd.await.unwrap();
    let settings = learning(root.path());
    let learnd = stage.bus.serve::<AiLearnd>(root.path(), settings).await;
    let (learnd, learn) = (learnd.unwrap(), Learn1Proxy::new(&client).await.unwrap());

    live(&stage, &client, (1000..1000 + WINDOWS).map(habits)).await;
    let (serial, published, reason) = learn.train().await.unwrap();
    assert_eq!((serial, published), (1, true), "{reason}");
    becomes(&stage, &client, 1).await;
    // Four more servers come: the old model knows nothing of them, the new one tells them apart.
    let more = (2000..2000 + WINDOWS).map(|pid| habits_of(4 + pid % 4, pid));
    live(&stage, &client, more).await;
    let (serial, published, reason) = learn.train().await.unwrap();
    assert_eq!((serial, published), (2, true), "{reason}");
    becomes(&stage, &client, 2).await;
    for (wanted, then) in [(0, 1), (2, 2), (1, 1)] {
        assert_eq!(learn.rollback(wanted).await.unwrap(), then);
        becomes(&stage, &client, then).await;
    }
    let nothing = learn.rollback(9).await;
    assert!(matches!(&nothing, Err(Error::NotFound(_))), "{nothing:?}");
    // One that can't be read is not put in force.
    std::fs::write(root.path().join("models/2/model.onnx"), b"no model").unwrap();
    let refused = learn.rollback(2).await.unwrap_err().to_string();
    assert!(refused.contains("the model has 8 bytes"), "{refused}");
    assert_eq!(learn.published().await.unwrap(), 1);
    learnd.stop().await;
    quantumd.stop().await;
    security.stop().await;
}

#[tokio::test]
async fn windows_are_taken_as_soon_as_security_ai_comes() {
    let (stage, root) = (Stage::new(&[]), tempfile::tempdir().unwrap());
    let mut settings = learning(root.path());
    settings.windows.every_seconds = 3600;
    let learnd = stage.bus.serve::<AiLearnd>(root.path(), settings).await;
    let learnd = learnd.unwrap();
    let problems = || learnd.context().status.problems();
    let problem = eventually("its absence is a problem", async || problems().pop()).await;
    assert!(problem.starts_with("no new windows: "), "{problem}");
    assert!(problem.contains("ServiceUnknown"), "{problem}");
    let security = watching(&stage, root.path()).await;
    eventually("the problem is over", async || {
        problems().is_empty().then_some(())
    })
    .await;
    learnd.stop().await;
    security.stop().await;
}

#[tokio::test]
async fn both_wait_for_quantumd_and_go_on_by_themselves() {
    let (stage, root) = (Stage::new(&[]), tempfile::tempdir().unwrap());
    let watcher = watching(&stage, root.path()).await;
    let client = stage.bus.connect().await.unwrap();
    let mut settings = learning(root.path());
    settings.windows.every_seconds = 1;
    settings.training.every_hours = 1;
    let learnd = stage.bus.serve::<AiLearnd>(root.path(), settings).await;
    let (learnd, learn) = (learnd.unwrap(), Learn1Proxy::new(&client).await.unwrap());
    let problems = || learnd.context().status.problems();
    live(&stage, &client, (1000..1000 + WINDOWS).map(habits)).await;
    eventually("that nobody signs is a problem", async || {
        let words = "no model could be trained: key in quantumd";
        problems()
            .iter()
            .any(|one| one.starts_with(words))
            .then_some(())
    })
    .await;
    assert_eq!(learn.published().await.unwrap(), 0);

    let house = tempfile::tempdir().unwrap();
    let quantumd = stage.bus.serve::<Quantumd>(house.path(), without_tpm(true));
    let quantumd = quantumd.await.unwrap();
    eventually("a model is published", async || {
        (learn.published().await.unwrap() == 1).then_some(())
    })
    .await;
    eventually("no problem is left", async || {
        problems().is_empty().then_some(())
    })
    .await;
    quantumd.stop().await;
    let service = security(&client).await;
    eventually(
        "that nobody says whose key it is is a problem",
        async || {
            stage.source.give(habits(901));
            let problems = service.problems().await.unwrap();
            let words = "the published model is not used yet: quantumd does not say whose key";
            problems
                .iter()
                .any(|one| one.starts_with(words))
                .then_some(())
        },
    )
    .await;
    assert_eq!(in_use(&client).await, Value::Null);
    let quantumd = stage.bus.serve::<Quantumd>(house.path(), without_tpm(true));
    let quantumd = quantumd.await.unwrap();
    becomes(&stage, &client, 1).await;
    assert!(service.problems().await.unwrap().is_empty());
    learnd.stop().await;
    quantumd.stop().await;
    watcher.stop().await;
}

#[tokio::test]
async fn windows_and_models_wait_for_a_disk_that_takes_them() {
    let (stage, root) = (Stage::new(&[]), tempfile::tempdir().unwrap());
    let Some(disk) = SmallDisk::mount(&root.path().join("state"), 4096).unwrap() else {
        return;
    };
    let watcher = watching(&stage, root.path()).await;
    let client = stage.bus.connect().await.unwrap();
    let house = tempfile::tempdir().unwrap();
    let quantumd = stage.bus.serve::<Quantumd>(house.path(), without_tpm(true));
    let quantumd = quantumd.await.unwrap();
    let mut settings = learning(root.path());
    settings.windows.every_seconds = 1;
    settings.models.directory = root.path().join("state/models");
    let learnd = stage.bus.serve::<AiLearnd>(root.path(), settings).await;
    let (learnd, learn) = (learnd.unwrap(), Learn1Proxy::new(&client).await.unwrap());
    let kept = async |count: u32| {
        eventually("the windows are kept", async || {
            (learn.windows().await.unwrap() == count).then_some(())
        })
        .await;
    };
    live(&stage, &client, (1000..1000 + WINDOWS).map(habits)).await;
    kept(WINDOWS).await;

    disk.fill().unwrap();
    live(&stage, &client, (2000..2040).map(habits)).await;
    eventually("the full disk is named", async || {
        let problems = learnd.context().status.problems();
        let full = |one: &String| one.contains("windows.jsonl: No space left");
        problems.iter().any(full).then_some(())
    })
    .await;
    let refused = learn.train().await.unwrap_err().to_string();
    assert!(refused.contains("No space left"), "{refused}");
    assert_eq!(
        learn.signer().await.unwrap(),
        "",
        "a key that nobody remembers"
    );
    assert_eq!(learn.windows().await.unwrap(), WINDOWS);
    disk.empty().unwrap();
    kept(WINDOWS + 40).await;
    let (serial, published, reason) = learn.train().await.unwrap();
    assert_eq!((serial, published), (1, true), "{reason}");

    // A model that has no room is not there at all, and the one in force stays.
    let more = (3000..3000 + WINDOWS).map(|pid| habits_of(4 + pid % 4, pid));
    live(&stage, &client, more).await;
    kept(2 * WINDOWS + 40).await;
    disk.fill().unwrap();
    let refused = learn.train().await.unwrap_err().to_string();
    assert!(refused.contains("No space left"), "{refused}");
    let models = std::fs::read_dir(root.path().join("state/models")).unwrap();
    let mut names: Vec<_> = models.map(|one| one.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["1", "published"]);
    disk.empty().unwrap();
    let (serial, published, reason) = learn.train().await.unwrap();
    assert_eq!((serial, published), (2, true), "{reason}");
    learnd.stop().await;
    quantumd.stop().await;
    watcher.stop().await;
}

//! A disk that is full or can't be written: alerts go on, the problem is named and ends by itself.

use crate::stage::{RULE, Stage, alerts, exec};
use quantumos_dbus::{Service1Proxy, path};
use quantumos_harness::{SmallDisk, eventually};
use security_ai::Settings;
use std::path::Path;
use zbus::Connection;

async fn problem(client: &Connection, words: &str) {
    let service = Service1Proxy::builder(client)
        .destination("org.quantumos.Security1")
        .path(path::SECURITY)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap();
    eventually(words, async || {
        let problems = service.problems().await.unwrap();
        let about_file = |one: &&String| one.contains("their file can't be");
        match words {
            "" => (!problems.iter().any(|one| about_file(&one))).then_some(()),
            words => problems
                .iter()
                .find(about_file)
                .filter(|one| one.contains(words))
                .map(drop),
        }
    })
    .await;
}

async fn raise(stage: &Stage, client: &Connection, pid: u32, standing: usize) {
    let command = format!("nc\0--number={pid}\0");
    stage
        .source
        .give([exec(pid, "/bin/nc", command.as_bytes())]);
    eventually("the alert", async || {
        (alerts(client).await.len() == standing).then_some(())
    })
    .await;
}

fn kept(state: &Path) -> usize {
    let text = std::fs::read_to_string(state.join("alerts.jsonl")).unwrap();
    text.matches("\"raised\"").count()
}

#[tokio::test]
async fn alerts_outlive_a_full_disk() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let state = stage.root.path().join("state");
    let Some(disk) = SmallDisk::mount(&state, 256).unwrap() else {
        return;
    };
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    raise(&stage, &client, 1, 1).await;
    disk.fill().unwrap();
    // What is left of a page that the file has already may still take a few.
    let mut standing = 1;
    while kept(&state) == standing {
        standing += 1;
        raise(&stage, &client, standing as u32, standing).await;
    }
    problem(&client, "No space left").await;
    raise(&stage, &client, 1000, standing + 1).await;
    disk.empty().unwrap();
    problem(&client, "").await;
    assert_eq!(kept(&state), standing + 1);
    running.stop().await;

    let running = stage.serve(Settings::default()).await;
    assert_eq!(alerts(&client).await.len(), standing + 1);
    running.stop().await;
}

#[tokio::test]
async fn alerts_are_kept_as_soon_as_their_directory_can_be_written() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let state = stage.root.path().join("state");
    let Some(disk) = SmallDisk::mount(&state, 256).unwrap() else {
        return;
    };
    disk.set_read_only(true).unwrap();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    problem(&client, "Read-only file system").await;
    raise(&stage, &client, 1, 1).await;
    disk.set_read_only(false).unwrap();
    problem(&client, "").await;
    assert_eq!(kept(&state), 1);
    running.stop().await;
}

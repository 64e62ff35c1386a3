//! Containers over a private bus: made, opened, verified, chained and listed; guessed at, cut, altered,
//! and hidden from other users.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use quantumos_dbus::{Containers1Proxy, Error, Job1Proxy, bus_name, path};
use quantumos_harness::contract;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use support::{House, NOBODY, Options, content, fd, file, is_root, none, with, without_tpm};
use zbus::{OwnedObjectPath, Variant};

type Verdict = Result<serde_json::Value, Error>;

const WAVEFORM: &[u8] =
    b"[0.123456789012345, -0.98765432109876, 0.3141592653589793, -0.2718281828459045]";

/// A daemon, its containers for a client, and a key to sign with.
struct Stage {
    house: House,
    containers: Containers1Proxy<'static>,
    key: String,
}

impl Stage {
    async fn build() -> (Self, quantumos_service::Running<quantumd::Quantumd>) {
        let house = House::build().await;
        let running = house.serve(without_tpm(true)).await;
        let containers = Containers1Proxy::new(&house.client).await.unwrap();
        let path = house.create("author").await.inner().path().to_string();
        let key = path.rsplit('/').next().unwrap().to_owned();
        let stage = Self {
            house,
            containers,
            key,
        };
        (stage, running)
    }

    fn by_key(&self) -> Options<'static> {
        with(none(), "key", self.key.clone())
    }

    async fn end(&self, path: Result<OwnedObjectPath, Error>) -> Verdict {
        let job = Job1Proxy::builder(&self.house.client)
            .path(path?)
            .build()
            .await
            .unwrap();
        job.wait().await?;
        let mut text = String::new();
        File::from(std::os::fd::OwnedFd::from(job.result().await?.0))
            .read_to_string(&mut text)
            .unwrap();
        Ok(serde_json::from_str(&text).unwrap())
    }

    async fn create(&self, data: &[u8], waveform: &[u8], options: Options<'_>) -> (File, Verdict) {
        let (data, waveform, output) = (file(data), file(waveform), file(b"old"));
        let path = self
            .containers
            .create(fd(&data), fd(&waveform), fd(&output), options)
            .await;
        let done = self.end(path).await;
        (output, done)
    }

    async fn open(&self, container: &File, waveform: &[u8]) -> (Vec<u8>, Verdict) {
        let (waveform, output) = (file(waveform), file(b"old"));
        let path = self
            .containers
            .open(fd(container), fd(&waveform), fd(&output), none())
            .await;
        let done = self.end(path).await;
        (content(&output), done)
    }

    async fn verify(&self, container: &File, options: Options<'_>) -> Verdict {
        self.end(self.containers.verify(fd(container), options).await)
            .await
    }
}

fn refused(verdict: Verdict, words: &str) {
    assert_eq!(fault(verdict, words), None);
}

/// What is not as it should be.
fn fault(verdict: Verdict, words: &str) -> Option<String> {
    match verdict {
        Err(Error::InvalidArgument(text)) if text.contains(words) => None,
        other => Some(format!("{words}: {other:?}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_are_made_opened_verified_and_chained() {
    let (stage, _running) = Stage::build().await;
    let data: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
    let metadata = HashMap::from([("subject", "test")]);
    let options = with(stage.by_key(), "author", "Ada");
    let options = with(options, "metadata", metadata);
    let (first, made) = stage.create(&data, WAVEFORM, options).await;
    let made = made.unwrap();
    assert_eq!(
        (&made["author"], &made["weak"]),
        (&"Ada".into(), &false.into())
    );
    assert_eq!(made["metadata"]["subject"], "test");
    let id = made["id"].as_str().unwrap().to_owned();
    let (opened, done) = stage.open(&first, WAVEFORM).await;
    assert_eq!(done.unwrap()["id"], id);
    assert!(opened == data);

    let child = with(stage.by_key(), "parent", id.clone());
    let (second, made) = stage.create(b"", WAVEFORM, child).await;
    let child = made.unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(stage.open(&second, WAVEFORM).await.0, b"");
    assert_eq!(
        stage.containers.chain(&child).await.unwrap(),
        [child.clone(), id.clone()]
    );
    let waveform = file(WAVEFORM);
    let own = waveform.as_fd().try_clone_to_owned().unwrap();
    let given = with(none(), "waveform", Variant::Fd(own.into()));
    let verified = stage.verify(&second, given).await.unwrap();
    assert_eq!(verified["coherent"], true);
    assert_eq!(verified["chain"], serde_json::json!([child, id]));
    let listed = stage.containers.list().await.unwrap();
    assert_eq!(listed.len(), 2);
    let line = listed.iter().find(|line| line.0 == child).unwrap();
    assert_eq!((&line.3, line.5), (&id, false));

    // Without the parent there is no history; registering it gives it back.
    stage.containers.remove(&id).await.unwrap();
    let broken = stage.containers.chain(&child).await;
    assert!(matches!(broken, Err(Error::NotFound(text)) if text.contains(&id)));
    let again = stage.containers.remove(&id).await;
    assert!(matches!(again, Err(Error::NotFound(_))));
    assert_eq!(stage.containers.register(fd(&first)).await.unwrap(), id);
    assert_eq!(stage.containers.register(fd(&first)).await.unwrap(), id);
    stage.verify(&second, none()).await.unwrap();
    let live = contract::differences(
        &stage.house.client,
        bus_name::QUANTUM,
        path::CONTAINERS,
        &["org.quantumos.Containers1"],
    );
    assert_eq!(live.await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_has_words_of_its_own_and_leaves_nothing() {
    let (stage, _running) = Stage::build().await;
    let data = vec![7; 200_000];
    let (made, _) = stage.create(&data, WAVEFORM, stage.by_key()).await;
    let whole = content(&made);
    let front = whole.len() - 200_000 - 4 * 16 - 86;
    let altered = |at: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[at] = to;
        bytes
    };
    let mut faults = Vec::new();
    for (bytes, words) in [
        (altered(0, b'X'), "not a container"),
        (altered(4, 9), "version 9"),
        (altered(30, !whole[30]), "signature"),
        (altered(5, 0xff), "container"),
        (whole[..50].to_vec(), "cut off"),
        (whole[..front - 5].to_vec(), "cut off"),
        (whole[..whole.len() - 70_000].to_vec(), "cut off"),
        (
            altered(whole.len() - 100_000, whole[whole.len() - 100_000] ^ 1),
            "altered",
        ),
        ([whole.as_slice(), b"x"].concat(), ""),
        (Vec::new(), "cut off"),
    ] {
        let bad = file(&bytes);
        let (opened, verdict) = stage.open(&bad, WAVEFORM).await;
        faults.extend(fault(verdict, words));
        assert_eq!(opened, b"", "{words}");
        assert!(stage.verify(&bad, none()).await.is_err(), "{words}");
    }
    for (waveform, words) in [
        (&b"[1, 2]"[..], "at least 64 are needed"),
        (b"nan", "not a finite"),
        (b"[NaN]", "value 0, NaN"),
        (b"what", "is not a number"),
    ] {
        let (output, verdict) = stage.create(&data, waveform, stage.by_key()).await;
        faults.extend(fault(verdict, words));
        assert_eq!(content(&output), b"old", "nothing was begun");
    }
    let insist = with(stage.by_key(), "insist", true);
    let (_, weak) = stage.create(&data, b"[1, 2]", insist).await;
    assert_eq!(weak.unwrap()["weak"], true);
    for (options, words) in [
        (none(), "need a key"),
        (
            with(stage.by_key(), "parent", "zz"),
            "64 hexadecimal digits",
        ),
        (with(stage.by_key(), "metadata", 7u32), "option metadata"),
        (
            with(stage.by_key(), "author", "x".repeat(300)),
            "author's name",
        ),
        (with(stage.by_key(), "auth", "x"), "option auth"),
    ] {
        let (output, verdict) = stage.create(&data, WAVEFORM, options).await;
        faults.extend(fault(verdict, words));
        assert_eq!(content(&output), b"old");
    }
    assert_eq!(faults, Vec::<String>::new());
    let orphan = with(stage.by_key(), "parent", "00".repeat(32));
    let (_, verdict) = stage.create(&data, WAVEFORM, orphan).await;
    assert!(matches!(verdict, Err(Error::NotFound(_))));
    let (pipe, _end) = std::io::pipe().unwrap();
    let error = stage.containers.register(fd(&pipe)).await.unwrap_err();
    assert!(
        error.to_string().contains("neither a regular file"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_gets_slow_and_users_see_their_own() {
    if !is_root() {
        return;
    }
    let (stage, _running) = Stage::build().await;
    let (made, done) = stage.create(b"data", WAVEFORM, stage.by_key()).await;
    let id = done.unwrap()["id"].as_str().unwrap().to_owned();
    for _ in 0..4 {
        let (opened, verdict) = stage.open(&made, b"[1, 2, 3]").await;
        refused(verdict, "the waveform is wrong");
        assert_eq!(opened, b"");
    }
    // The right one makes up for the wrong ones.
    assert_eq!(stage.open(&made, WAVEFORM).await.0, b"data");
    let mut last = None;
    for _ in 0..8 {
        last = stage.open(&made, b"[1, 2, 3]").await.1.err();
        if matches!(last, Some(Error::LimitExceeded(_))) {
            break;
        }
    }
    let error = last.unwrap();
    assert!(
        matches!(&error, Error::LimitExceeded(text) if text.contains("too many failed attempts")),
        "{error}"
    );

    let theirs = stage.house.bus.connect_as(NOBODY).await.unwrap();
    let theirs = Containers1Proxy::new(&theirs).await.unwrap();
    assert!(theirs.list().await.unwrap().is_empty());
    assert!(matches!(theirs.chain(&id).await, Err(Error::NotFound(_))));
    assert!(matches!(theirs.remove(&id).await, Err(Error::NotFound(_))));
    let output = file(b"kept");
    let waveform = file(WAVEFORM);
    let refused = theirs
        .create(fd(&made), fd(&waveform), fd(&output), stage.by_key())
        .await;
    assert!(matches!(refused, Err(Error::NotAuthorized(_))));
    assert_eq!(content(&output), b"kept");
}

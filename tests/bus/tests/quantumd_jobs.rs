//! The resonance suite of quantumd over a private bus: streams as jobs, under keys and passphrases,
//! and what hostile callers and damaged streams get.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use quantumos_dbus::{Error, Job1Proxy, Resonance1Proxy, bus_name};
use quantumos_harness::{FakePolkit, contract, eventually};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use support::{House, NOBODY, Options, content, fd, file, is_root, none, with, without_tpm};
use zbus::{Connection, Fd, OwnedFd, OwnedObjectPath, Variant};

fn under_key(id: &str) -> Options<'static> {
    HashMap::from([("key", Variant::from(id.to_owned()))])
}

fn under_phrase(phrase: &File) -> Options<'static> {
    let own = phrase.as_fd().try_clone_to_owned().unwrap();
    HashMap::from([("passphrase", Variant::Fd(own.into()))])
}

async fn job(client: &Connection, path: &OwnedObjectPath) -> Job1Proxy<'static> {
    Job1Proxy::builder(client)
        .path(path.clone())
        .build()
        .await
        .unwrap()
}

fn text(descriptor: OwnedFd) -> String {
    let mut text = String::new();
    File::from(std::os::fd::OwnedFd::from(descriptor))
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// Waits for the end, and gives the result.
async fn end(client: &Connection, path: OwnedObjectPath) -> Result<serde_json::Value, Error> {
    let live = contract::differences(
        client,
        bus_name::QUANTUM,
        path.as_str(),
        &["org.quantumos.Job1"],
    );
    assert_eq!(live.await.unwrap(), Vec::<String>::new());
    let job = job(client, &path).await;
    job.wait().await?;
    let (result, kind) = job.result().await?;
    assert_eq!(kind, "application/json");
    Ok(serde_json::from_str(&text(result)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_sealed_and_opened_by_jobs() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let suite = Resonance1Proxy::new(&house.client).await.unwrap();
    let keys = house.keys().await;
    let path = keys.create("AES-256-GCM", "", none()).await.unwrap();
    let id = path.rsplit('/').next().unwrap().to_owned();
    let message: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let (plain, phrase) = (file(&message), file(b"correct horse battery staple"));
    let client = &house.client;
    for options in [
        |_: &File, id: &str| under_key(id),
        |phrase: &File, _: &str| under_phrase(phrase),
    ] {
        let (sealed, back) = (file(b"old content"), file(b""));
        let bound = || with(options(&phrase, &id), "context", b"c".to_vec());
        let path = suite
            .encrypt(fd(&plain), fd(&sealed), bound())
            .await
            .unwrap();
        let kind = job(client, &path).await.kind().await.unwrap();
        assert_eq!(kind, "encrypt");
        let done = end(client, path).await.unwrap();
        assert_eq!(done["written"], sealed.metadata().unwrap().len());
        let path = suite
            .decrypt(fd(&sealed), fd(&back), bound())
            .await
            .unwrap();
        let done = end(client, path).await.unwrap();
        assert_eq!(done["written"], message.len());
        assert!(content(&back) == message);

        // Each thing that is wrong has its own words, and leaves nothing behind.
        let whole = content(&sealed);
        let altered = |at: usize, to: u8| {
            let mut bytes = whole.clone();
            bytes[at] = to;
            bytes
        };
        let (chunk, start) = (65_552, whole.len() % 65_552 + 65_552 * 2);
        let mut swapped = whole.clone();
        let head = whole.len() - (message.len() + 16 * message.len().div_ceil(65_536));
        swapped[head..head + 2 * chunk].rotate_left(chunk);
        let cut = whole[..whole.len() - chunk].to_vec();
        let cases = [
            (altered(start, whole[start] ^ 1), bound(), "was altered"),
            (cut, bound(), "cut off"),
            (whole[..20].to_vec(), bound(), "cut off"),
            (Vec::new(), bound(), "cut off"),
            (swapped, bound(), "out of order"),
            (altered(0, b'X'), bound(), "not a"),
            (altered(4, 9), bound(), "version 9"),
            (altered(7, 0xff), bound(), "length that no header has"),
            (altered(12, !whole[12]), bound(), "damaged"),
            (whole.clone(), options(&phrase, &id), "is wrong"),
        ];
        for (bytes, options, words) in cases {
            let path = suite.decrypt(fd(&file(&bytes)), fd(&back), options).await;
            let path = path.unwrap();
            let error = end(client, path.clone()).await.unwrap_err();
            assert!(
                matches!(&error, Error::InvalidArgument(text) if text.contains(words)),
                "{words}: {error}"
            );
            let (name, message) = job(client, &path).await.error().await.unwrap();
            assert_eq!(name, "org.quantumos.Error.InvalidArgument");
            assert!(message.contains(words));
            assert_eq!(content(&back), b"");
        }
    }
    // A passphrase doesn't open what a key sealed, nor a key what another one did.
    let sealed = file(b"");
    let path = suite.encrypt(fd(&plain), fd(&sealed), under_key(&id)).await;
    end(client, path.unwrap()).await.unwrap();
    let other = keys.create("AES-256-GCM", "", none()).await.unwrap();
    let other = under_key(other.rsplit('/').next().unwrap());
    for (options, words) in [(under_phrase(&phrase), "under a key"), (other, id.as_str())] {
        let back = file(b"");
        let path = suite
            .decrypt(fd(&sealed), fd(&back), options)
            .await
            .unwrap();
        let error = end(client, path).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_stream_leaves_nothing_behind() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let suite = Resonance1Proxy::new(&house.client).await.unwrap();
    let phrase = file(b"correct horse battery staple");
    // The pipe never ends.
    let (from, mut to) = std::io::pipe().unwrap();
    let sealed = file(b"");
    to.write_all(&[7; 65_536]).unwrap();
    let path = suite
        .encrypt(Fd::from(from.as_fd()), fd(&sealed), under_phrase(&phrase))
        .await
        .unwrap();
    let running = job(&house.client, &path).await;
    eventually("the header is written", async || {
        (sealed.metadata().unwrap().len() > 0).then_some(())
    })
    .await;
    assert_eq!(running.state().await.unwrap(), "running");
    assert!(matches!(running.result().await, Err(Error::Busy(_))));
    running.cancel().await.unwrap();
    assert_eq!(running.wait().await.unwrap(), "cancelled");
    assert!(matches!(running.result().await, Err(Error::Cancelled(_))));
    assert_eq!(content(&sealed), b"");
}

#[tokio::test]
async fn options_and_descriptors_are_refused_before_anything_is_begun() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let suite = Resonance1Proxy::new(&house.client).await.unwrap();
    let keys = house.keys().await;
    let signer = keys.create("ML-DSA-87", "", none()).await.unwrap();
    let signer = under_key(signer.rsplit('/').next().unwrap());
    let (plain, kept, phrase) = (file(b"m"), file(b"kept"), file(b"phrase"));
    let both = with(under_phrase(&phrase), "key", "00".repeat(16));
    for (options, words) in [
        (HashMap::new(), "either key or passphrase"),
        (both, "either key or passphrase"),
        (under_key("nonsense"), "no key nonsense"),
        (under_key(&"00".repeat(16)), "no key 0000"),
        (signer, "ML-DSA-87"),
        (HashMap::from([("key", 7u32.into())]), "option key"),
        (
            HashMap::from([("passphrase", "x".into())]),
            "option passphrase",
        ),
        (with(under_phrase(&phrase), "detach", 1u32), "option detach"),
        (
            with(under_phrase(&phrase), "context", vec![0u8; 256]),
            "256 bytes",
        ),
        (
            with(under_phrase(&phrase), "contxt", vec![0u8]),
            "option contxt",
        ),
    ] {
        let error = suite
            .encrypt(fd(&plain), fd(&kept), options)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(content(&kept), b"kept");
    }
    let same = suite
        .encrypt(fd(&plain), fd(&plain), under_phrase(&phrase))
        .await;
    let error = end(&house.client, same.unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("it is the input"), "{error}");
    assert_eq!(content(&plain), b"m");
    let long = file(&[b'x'; 4097]);
    let path = suite
        .encrypt(fd(&plain), fd(&kept), under_phrase(&long))
        .await;
    let error = end(&house.client, path.unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::LimitExceeded(_)), "{error}");
}

#[tokio::test]
async fn keys_of_others_need_a_grant_or_polkit() {
    if !is_root() {
        return;
    }
    let house = House::build().await;
    let polkit = FakePolkit::start(&house.bus).await.unwrap();
    let _running = house.serve(without_tpm(true)).await;
    let theirs = house.bus.connect_as(NOBODY).await.unwrap();
    let path = house
        .keys()
        .await
        .create("AES-256-GCM", "", none())
        .await
        .unwrap();
    let key = support::key(&house.client, &path).await;
    let id = key.id().await.unwrap();
    let suite = Resonance1Proxy::new(&theirs).await.unwrap();
    let (plain, out) = (file(b"m"), file(b"kept"));
    let refused = suite.encrypt(fd(&plain), fd(&out), under_key(&id)).await;
    assert!(matches!(refused, Err(Error::NotAuthorized(_))));
    assert_eq!(
        polkit.asked().last().unwrap().action,
        "org.quantumos.keys.use"
    );
    key.grant("user", &NOBODY.to_string(), &["encrypt"])
        .await
        .unwrap();
    let path = suite
        .encrypt(fd(&plain), fd(&out), under_key(&id))
        .await
        .unwrap();
    end(&theirs, path).await.unwrap();
    let refused = suite
        .decrypt(fd(&out), fd(&file(b"")), under_key(&id))
        .await;
    assert!(matches!(refused, Err(Error::NotAuthorized(_))));
    assert_eq!(polkit.asked().len(), 2);
}

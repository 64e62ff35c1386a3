//! What keys of each algorithm do over a private bus: streams through descriptors, encapsulated
//! secrets, MACs; versions, and grants to users, groups and units.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use quantumos_dbus::{Crypto1Proxy, Error, Key1Proxy, RootKey1Proxy};
use quantumos_harness::FakePolkit;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use support::{
    ALGORITHM, House, NOBODY, SOMEBODY, content, context, file, is_root, key, none, without_tpm,
};
use zbus::{Fd, OwnedFd};

async fn make(house: &House, algorithm: &str) -> Key1Proxy<'static> {
    let keys = house.keys().await;
    let path = keys.create(algorithm, "", none()).await.unwrap();
    key(&house.client, &path).await
}

fn version(number: u32) -> HashMap<&'static str, zbus::Variant<'static>> {
    HashMap::from([("version", number.into())])
}

fn secret(descriptor: OwnedFd) -> Vec<u8> {
    let mut bytes = Vec::new();
    File::from(std::os::fd::OwnedFd::from(descriptor))
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes.len(), 32);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_pass_from_descriptor_to_descriptor() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let message: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    for algorithm in ["AES-256-GCM", "XChaCha20-Poly1305"] {
        let made = make(&house, algorithm).await;
        let (plain, sealed, back) = (file(&message), file(b"old content"), file(b""));
        let fd = |file: &'static File| Fd::from(file.as_fd());
        let (plain, sealed, back): (&'static File, &'static File, &'static File) = (
            Box::leak(Box::new(plain)),
            Box::leak(Box::new(sealed)),
            Box::leak(Box::new(back)),
        );
        let written = made
            .encrypt(fd(plain), fd(sealed), context(b"c"))
            .await
            .unwrap();
        assert_eq!(written, sealed.metadata().unwrap().len());
        made.rotate().await.unwrap();
        let written = made
            .decrypt(fd(sealed), fd(back), context(b"c"))
            .await
            .unwrap();
        assert_eq!(
            (written as usize, content(back) == message),
            (message.len(), true)
        );

        // Through pipes, by the new version.
        let (from, mut to) = std::io::pipe().unwrap();
        let (out, into) = std::io::pipe().unwrap();
        let piped = message.clone();
        let writer = std::thread::spawn(move || to.write_all(&piped).unwrap());
        let reader = std::thread::spawn(move || {
            let (mut out, mut bytes) = (out, Vec::new());
            out.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let done = made
            .encrypt(Fd::from(from.as_fd()), Fd::from(into.as_fd()), none())
            .await;
        drop(into);
        writer.join().unwrap();
        let piped = reader.join().unwrap();
        assert_eq!(done.unwrap() as usize, piped.len());
        let piped = Box::leak(Box::new(file(&piped)));
        made.decrypt(fd(piped), fd(back), none()).await.unwrap();
        assert!(content(back) == message);

        // Each thing that is wrong has its own words, and leaves nothing behind.
        let whole = content(sealed);
        let mut flipped = whole.clone();
        flipped[100_000] ^= 1;
        let cases = [
            (flipped, context(b"c"), "was altered"),
            (
                whole[..whole.len() - 70_000].to_vec(),
                context(b"c"),
                "cut off",
            ),
            (whole.clone(), context(b"d"), "is wrong"),
            (b"something else altogether".to_vec(), none(), "not a"),
            (Vec::new(), none(), "cut off"),
        ];
        for (bytes, options, words) in cases {
            let bad = file(&bytes);
            let error = made
                .decrypt(Fd::from(bad.as_fd()), fd(back), options)
                .await
                .unwrap_err();
            assert!(
                matches!(&error, Error::InvalidArgument(text) if text.contains(words)),
                "{words}: {error}"
            );
            assert_eq!(content(back), b"");
        }
        let other = make(&house, algorithm).await;
        let error = other
            .decrypt(fd(sealed), fd(back), context(b"c"))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains(&made.id().await.unwrap()),
            "{error}"
        );
        let same = made
            .encrypt(fd(plain), fd(plain), none())
            .await
            .unwrap_err();
        assert!(same.to_string().contains("it is the input"), "{same}");
        assert!(content(plain) == message);
        assert!(matches!(
            made.sign(b"m", none()).await,
            Err(Error::NotSupported(_))
        ));
    }
    let signer = make(&house, ALGORITHM).await;
    let (plain, sealed) = (file(b"m"), file(b"kept"));
    let refused = signer
        .encrypt(Fd::from(plain.as_fd()), Fd::from(sealed.as_fd()), none())
        .await;
    assert!(matches!(refused, Err(Error::NotSupported(_))));
    assert_eq!(content(&sealed), b"kept", "nothing was begun");
}

#[tokio::test]
async fn secrets_are_encapsulated_to_versions() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    for algorithm in ["ML-KEM-1024", "X25519+ML-KEM-1024"] {
        let made = make(&house, algorithm).await;
        let (ciphertext, sent, number) = made.encapsulate(none()).await.unwrap();
        let sent = secret(sent);
        assert_eq!(number, 1);
        assert_eq!(
            secret(made.decapsulate(&ciphertext, none()).await.unwrap()),
            sent
        );
        // Who has only the public half does the same.
        let algorithm = algorithm.parse().unwrap();
        let public = made.public_key().await.unwrap();
        let public = quantumos_pqc::PublicHalf::from_bytes(algorithm, &public).unwrap();
        let (theirs, carried) = public.encapsulate().unwrap();
        let opened = secret(made.decapsulate(&theirs, none()).await.unwrap());
        assert_eq!(opened, carried.expose());

        assert_eq!(made.rotate().await.unwrap(), 2);
        let opened = secret(made.decapsulate(&ciphertext, version(1)).await.unwrap());
        assert_eq!(opened, sent);
        let opened = secret(made.decapsulate(&ciphertext, none()).await.unwrap());
        assert_ne!(opened, sent);
        assert_eq!(made.public_key_of(1).await.unwrap(), public.as_bytes());
        assert_ne!(made.public_key().await.unwrap(), public.as_bytes());
        for error in [
            made.decapsulate(b"short", none())
                .await
                .map(drop)
                .unwrap_err(),
            made.decapsulate(&ciphertext, version(3))
                .await
                .map(drop)
                .unwrap_err(),
        ] {
            let named = matches!(&error, Error::InvalidArgument(text) if text.contains("ciphertext"))
                || matches!(&error, Error::NotFound(text) if text.contains("version 3"));
            assert!(named, "{error}");
        }
        made.revoke("").await.unwrap();
        let refused = made.decapsulate(&ciphertext, version(1)).await;
        assert!(matches!(refused, Err(Error::KeyRevoked(_))));
    }
}

#[tokio::test]
async fn macs_hybrids_and_the_registry() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    for algorithm in ["HMAC-SHA-512", "Ed25519+ML-DSA-87"] {
        let made = make(&house, algorithm).await;
        let signature = made.sign(b"m", context(b"c")).await.unwrap();
        assert!(made.verify(b"m", &signature, context(b"c")).await.unwrap());
        assert!(!made.verify(b"n", &signature, context(b"c")).await.unwrap());
        made.rotate().await.unwrap();
        assert!(made.verify(b"m", &signature, context(b"c")).await.unwrap());
        let mut options = context(b"c");
        options.insert("version", 2u32.into());
        assert!(!made.verify(b"m", &signature, options).await.unwrap());
        let message = file(b"m");
        let fd = Fd::from(message.as_fd());
        assert!(
            made.verify_descriptor(fd, &signature, context(b"c"))
                .await
                .unwrap()
        );
        let versions = made.versions().await.unwrap();
        assert_eq!(versions.iter().map(|v| v.0).collect::<Vec<_>>(), [1, 2]);
    }
    let registry = Crypto1Proxy::new(&house.client)
        .await
        .unwrap()
        .algorithms()
        .await
        .unwrap();
    let keys = house.keys().await.algorithms().await.unwrap();
    let names: Vec<&String> = registry.iter().map(|line| &line.0).collect();
    assert!(keys.iter().all(|name| names.contains(&name)), "{names:?}");
    assert!(registry.iter().all(|line| line.1 == 1));
    // Wrapped anew, everything stays as it is.
    let signer = make(&house, ALGORITHM).await;
    let root = RootKey1Proxy::new(&house.client).await.unwrap();
    assert_eq!(root.rotate_kek().await.unwrap(), 2);
    signer.sign(b"m", none()).await.unwrap();
}

#[tokio::test]
async fn grants_open_what_they_name_and_no_more() {
    if !is_root() {
        return;
    }
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let polkit = FakePolkit::start(&house.bus).await.unwrap();
    let mac = make(&house, "HMAC-SHA-512").await;
    let nobody = house.bus.connect_as(NOBODY).await.unwrap();
    let theirs = key(&nobody, mac.inner().path().as_str()).await;
    let refused =
        |done: Result<quantumos_dbus::Bytes, Error>| matches!(done, Err(Error::NotAuthorized(_)));
    let tag = mac.sign(b"m", none()).await.unwrap();
    assert!(refused(theirs.sign(b"m", none()).await));
    // A MAC is verified by its secret: that is a use too.
    let verified = theirs.verify(b"m", &tag, none()).await;
    assert!(
        matches!(verified, Err(Error::NotAuthorized(_))),
        "{verified:?}"
    );

    let uid = NOBODY.to_string();
    mac.grant("user", &uid, &["verify"]).await.unwrap();
    assert!(theirs.verify(b"m", &tag, none()).await.unwrap());
    assert!(refused(theirs.sign(b"m", none()).await));
    mac.grant("user", &uid, &["sign"]).await.unwrap();
    assert!(
        theirs.verify(b"m", &tag, none()).await.is_err(),
        "replaced, not added"
    );
    assert_eq!(theirs.sign(b"m", none()).await.unwrap(), tag);
    assert!(theirs.rotate().await.is_err());
    let somebody = house.bus.connect_as(SOMEBODY).await.unwrap();
    let other = key(&somebody, mac.inner().path().as_str()).await;
    assert!(refused(other.sign(b"m", none()).await));
    assert_eq!(
        mac.grants().await.unwrap(),
        [("user".into(), uid.clone(), vec!["sign".to_owned()])]
    );
    mac.ungrant("user", &uid).await.unwrap();
    assert!(refused(theirs.sign(b"m", none()).await));

    // By group, as the bus saw it when the caller connected: these connections are in group 0.
    mac.grant("group", "0", &["sign", "rotate"]).await.unwrap();
    theirs.sign(b"m", none()).await.unwrap();
    assert_eq!(theirs.rotate().await.unwrap(), 2);
    mac.ungrant("group", "0").await.unwrap();
    // Nobody here runs in a unit, and a grant to one is not more than that.
    mac.grant("unit", "web.service", &["sign"]).await.unwrap();
    assert!(refused(theirs.sign(b"m", none()).await));

    // Grants are the owner's to give, or an administrator's.
    let before = polkit.asked().len();
    let granted = theirs.grant("user", &uid, &["sign"]).await;
    assert!(matches!(granted, Err(Error::NotAuthorized(_))));
    let taken = theirs.ungrant("unit", "web.service").await;
    assert!(matches!(taken, Err(Error::NotAuthorized(_))));
    let root = RootKey1Proxy::new(&nobody).await.unwrap();
    assert!(matches!(
        root.rotate_kek().await,
        Err(Error::NotAuthorized(_))
    ));
    let asked: Vec<_> = polkit.asked().split_off(before);
    assert!(
        asked
            .iter()
            .all(|q| q.action == "org.quantumos.keys.manage"),
        "{asked:?}"
    );
    assert_eq!(asked.len(), 3);
    for (kind, subject, operations, words) in [
        ("user", "root", &["sign"][..], "number"),
        ("people", "1", &["sign"], "kind"),
        ("unit", "../x", &["sign"], "unit"),
        ("user", "1", &[], "operations"),
        ("user", "1", &["fly"], "fly"),
        ("user", "1", &["decrypt"], "can not decrypt"),
    ] {
        let error = mac.grant(kind, subject, operations).await.unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArgument(text) if text.contains(words)),
            "{error}"
        );
    }
}

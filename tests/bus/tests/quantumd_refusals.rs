//! What quantumd refuses over the bus, and what it withstands: callers without rights, bad input,
//! large messages, a full disk.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use quantumos_dbus::{Backup1Proxy, Error, Keys1Proxy, bus_name, path};
use quantumos_harness::{FakePolkit, SmallDisk};
use std::collections::HashMap;
use std::io::Write;
use std::os::fd::AsFd;
use support::{ALGORITHM, House, NOBODY, SOMEBODY, context, is_root, key, none, without_tpm};
use zbus::{Fd, Variant};

#[tokio::test]
async fn callers_without_rights_are_refused_and_owners_are_not_asked() {
    if !is_root() {
        return;
    }
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let polkit = FakePolkit::start(&house.bus).await.unwrap();
    let nobody = house.bus.connect_as(NOBODY).await.unwrap();
    let somebody = house.bus.connect_as(SOMEBODY).await.unwrap();
    let keys = Keys1Proxy::new(&nobody).await.unwrap();

    let refused = keys.create(ALGORITHM, "", none()).await;
    assert!(
        matches!(refused, Err(Error::NotAuthorized(_))),
        "{refused:?}"
    );
    polkit.allow("org.quantumos.keys.create");
    let path = keys.create(ALGORITHM, "theirs", none()).await.unwrap();
    let own = key(&nobody, &path).await;
    assert_eq!(own.owner().await.unwrap(), NOBODY);
    let before = polkit.asked().len();
    let signature = own.sign(b"m", none()).await.unwrap();
    assert_eq!(polkit.asked().len(), before, "an owner is not asked about");

    let foreign = key(&somebody, &path).await;
    assert!(
        foreign.verify(b"m", &signature, none()).await.unwrap(),
        "anybody may verify"
    );
    assert!(matches!(
        foreign.sign(b"m", none()).await,
        Err(Error::NotAuthorized(_))
    ));
    let file = tempfile::tempfile().unwrap();
    let signed = foreign
        .sign_descriptor(Fd::from(file.as_fd()), none())
        .await;
    assert!(matches!(signed, Err(Error::NotAuthorized(_))));
    assert!(matches!(
        foreign.revoke("").await,
        Err(Error::NotAuthorized(_))
    ));
    assert_eq!(own.state().await.unwrap(), "active");
    let asked: Vec<_> = polkit.asked().split_off(before);
    let actions: Vec<_> = asked
        .iter()
        .map(|question| question.action.as_str())
        .collect();
    let expected = [
        "org.quantumos.keys.use",
        "org.quantumos.keys.use",
        "org.quantumos.keys.revoke",
    ];
    assert_eq!(actions, expected);
    polkit.allow("org.quantumos.keys.use");
    foreign.sign(b"m", none()).await.unwrap();
    assert!(matches!(
        foreign.revoke("").await,
        Err(Error::NotAuthorized(_))
    ));
    // Backups are for administrators, also of keys that one owns.
    let inbox = keys.create("X25519+ML-KEM-1024", "inbox", none()).await;
    let inbox = inbox.unwrap();
    let recipient = key(&nobody, &inbox).await.public_key().await.unwrap();
    let backups = Backup1Proxy::new(&nobody).await.unwrap();
    let out = async || backups.backup(&[], &recipient, &path, none()).await;
    let refused = out().await;
    assert!(
        matches!(refused, Err(Error::NotAuthorized(_))),
        "{refused:?}"
    );
    let public = own.public_key().await.unwrap();
    let back = backups.restore(Fd::from(file.as_fd()), &inbox, ALGORITHM, &public, none());
    let refused = back.await;
    assert!(
        matches!(refused, Err(Error::NotAuthorized(_))),
        "{refused:?}"
    );
    polkit.allow("org.quantumos.keys.backup");
    assert_eq!(out().await.unwrap().2, 2);
    let back = backups.restore(Fd::from(file.as_fd()), &inbox, ALGORITHM, &public, none());
    let refused = back.await;
    assert!(
        matches!(&refused, Err(Error::InvalidArgument(text)) if text.contains("cut off")),
        "{refused:?}"
    );
    polkit.allow("org.quantumos.keys.revoke");
    foreign.revoke("by an administrator").await.unwrap();
    assert!(matches!(
        own.sign(b"m", none()).await,
        Err(Error::KeyRevoked(_))
    ));
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let house = House::build().await;
    let mut settings = without_tpm(true);
    settings.keys.per_owner = 2;
    let _running = house.serve(settings).await;
    let keys = house.keys().await;
    let made = house.create("").await;
    let option = |name, value: Variant<'static>| HashMap::from([(name, value)]);
    let long = "x".repeat(200);
    for (algorithm, label, options, words) in [
        ("ML-DSA-44", "", none(), "unknown algorithm \"ML-DSA-44\""),
        (ALGORITHM, "a\nb", none(), "label: character U+000A"),
        (ALGORITHM, &long, none(), "label: 200 bytes"),
        (
            ALGORITHM,
            "",
            option("size", 1u32.into()),
            "option size: not known",
        ),
    ] {
        let error = keys.create(algorithm, label, options).await.unwrap_err();
        let kind = matches!(error, Error::InvalidArgument(_) | Error::NotSupported(_));
        assert!(kind && error.to_string().contains(words), "{error:?}");
    }
    for (options, words) in [
        (
            option("contxt", vec![1u8].into()),
            "option contxt: not known",
        ),
        (
            option("context", "text".into()),
            "option context: has to be an array",
        ),
        (
            option("context", vec![1u8; 256].into()),
            "option context: 256 bytes",
        ),
    ] {
        let error = made.sign(b"m", options).await.unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArgument(text) if text.contains(words)),
            "{error:?}"
        );
    }
    let large = vec![0u8; (1 << 20) + 1];
    made.sign(&large[1..], none()).await.unwrap();
    for error in [
        made.sign(&large, none()).await.unwrap_err(),
        made.verify(&large, b"", none())
            .await
            .map(drop)
            .map(|()| Vec::<u8>::new())
            .unwrap_err(),
    ] {
        assert!(
            matches!(&error, Error::LimitExceeded(text) if text.contains("1048577")),
            "{error:?}"
        );
    }
    let error = keys
        .verify(ALGORITHM, b"short", b"m", b"s", none())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::InvalidArgument(text) if text.contains("public key is 5 bytes long")),
        "{error:?}"
    );
    house.create("").await;
    let error = keys.create(ALGORITHM, "", none()).await.unwrap_err();
    assert!(
        matches!(&error, Error::LimitExceeded(text) if text.contains("2 active keys")),
        "{error:?}"
    );

    // Wrong types, an object that isn't there, a method that isn't there.
    let call = async |path: &str, method: &str, body: (u32,)| {
        let answer = house
            .client
            .call_method(
                Some(bus_name::QUANTUM),
                path,
                Some("org.quantumos.Key1"),
                method,
                &body,
            )
            .await;
        answer.unwrap_err().to_string()
    };
    let there = made.inner().path().to_string();
    let nowhere = format!("{}/{}", path::KEYS, "0".repeat(32));
    for (path, method, words) in [
        (there.as_str(), "Sign", "InvalidArgs"),
        (nowhere.as_str(), "Sign", "UnknownObject"),
        (there.as_str(), "Frobnicate", "UnknownMethod"),
    ] {
        let error = call(path, method, (7,)).await;
        assert!(error.contains(words), "{error}");
    }
    made.sign(b"it still works", none()).await.unwrap();
}

#[tokio::test]
async fn descriptors_are_signed_and_verified_up_to_the_limit() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let made = house.create("").await;
    let message = vec![7u8; 3 << 20];
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&message).unwrap();
    let signature = made
        .sign_descriptor(Fd::from(file.as_fd()), context(b"c"))
        .await
        .unwrap();
    let public = quantumos_pqc::PublicKey::from_bytes(&made.public_key().await.unwrap()).unwrap();
    let valid = |message: &[u8], signature: &[u8], context: &[u8]| {
        let signature = quantumos_pqc::Signature::from_bytes(signature).unwrap();
        public.verify(message, &signature, context).unwrap()
    };
    assert!(valid(&message, &signature, b"c"));
    assert!(!valid(&message[1..], &signature, b"c"));

    let keys = house.keys().await;
    let key_bytes = made.public_key().await.unwrap();
    for (options, expected) in [(context(b"c"), true), (none(), false)] {
        let fd = || Fd::from(file.as_fd());
        let by_key = made
            .verify_descriptor(fd(), &signature, options.clone())
            .await;
        assert_eq!(by_key.unwrap(), expected);
        let by_bytes = keys.verify_descriptor(ALGORITHM, &key_bytes, fd(), &signature, options);
        assert_eq!(by_bytes.await.unwrap(), expected);
    }

    let (reader, mut writer) = std::io::pipe().unwrap();
    let error = made
        .verify_descriptor(Fd::from(reader.as_fd()), &signature, none())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::InvalidArgument(text) if text.contains("neither a regular file")),
        "strangers may not make the daemon wait: {error:?}"
    );
    let piped = message.clone();
    let thread = std::thread::spawn(move || writer.write_all(&piped).unwrap());
    let signature = made
        .sign_descriptor(Fd::from(reader.as_fd()), none())
        .await
        .unwrap();
    thread.join().unwrap();
    assert!(valid(&message, &signature, b""));

    file.set_len((64 << 20) + 1).unwrap();
    let too_large = Fd::from(file.as_fd());
    let signed = made.sign_descriptor(too_large, none()).await.map(drop);
    let too_large = Fd::from(file.as_fd());
    let verified = made.verify_descriptor(too_large, &signature, none()).await;
    for error in [signed.unwrap_err(), verified.map(drop).unwrap_err()] {
        assert!(
            matches!(&error, Error::LimitExceeded(text) if text.contains("67108864")),
            "{error:?}"
        );
    }
    let zero = std::fs::File::open("/dev/zero").unwrap();
    let error = made
        .sign_descriptor(Fd::from(zero.as_fd()), none())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
}

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let house = House::build().await;
    let state = house.root.path().join("state");
    let Some(disk) = SmallDisk::mount(&state, 2048).unwrap() else {
        return;
    };
    let running = house.serve(without_tpm(true)).await;
    let made = house.create("kept").await;
    disk.fill().unwrap();

    let keys = house.keys().await;
    let mut more = Vec::new();
    let error = loop {
        // What is left in pages that the store has already may still take a few.
        match keys.create(ALGORITHM, "too many", none()).await {
            Ok(path) => more.push(path),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, Error::Io(text) if text.contains("keys.sqlite") || text.contains("ledger")),
        "{error:?}"
    );
    let signature = made.sign(b"m", none()).await.unwrap();
    assert!(made.verify(b"m", &signature, none()).await.unwrap());
    disk.empty().unwrap();
    more.push(keys.create(ALGORITHM, "again", none()).await.unwrap());
    running.stop().await;

    let _running = house.serve(without_tpm(true)).await;
    made.sign(b"m", none()).await.unwrap();
    for path in more {
        key(&house.client, &path)
            .await
            .sign(b"m", none())
            .await
            .unwrap();
    }
}

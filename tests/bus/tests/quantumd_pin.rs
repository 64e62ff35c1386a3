//! A root key that a PIN opens, over a private bus: who may give it, how it travels, what a wrong
//! one gives.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use futures_util::StreamExt;
use quantumos_dbus::{Error, RootKey1Proxy};
use quantumos_harness::{FakePolkit, Swtpm};
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsFd;
use support::{House, NOBODY, is_root, none, with_tpm};
use zbus::Fd;

fn descriptor(pin: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(pin.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

#[tokio::test]
async fn a_pin_enrols_opens_and_is_changed() {
    let (house, tpm) = (House::build().await, Swtpm::start().unwrap());
    let mut settings = with_tpm(&tpm);
    settings.protection.pin = true;
    let running = house.serve(settings.clone()).await;
    let problem = house.only_problem().await;
    assert!(problem.contains("quantumctl keys unlock"), "{problem}");
    let root = RootKey1Proxy::new(&house.client).await.unwrap();
    let mut opened = root.receive_open_changed().await;
    assert!(!opened.next().await.unwrap().get().await.unwrap());
    let unlock = async |pin: &str| {
        let file = descriptor(pin);
        root.unlock(Fd::from(file.as_fd())).await
    };
    for short in ["", "\n", "123\n"] {
        let refused = unlock(short).await;
        assert!(
            matches!(refused, Err(Error::InvalidArgument(_))),
            "{refused:?}"
        );
    }
    unlock("a PIN\n").await.unwrap();
    assert!(opened.next().await.unwrap().get().await.unwrap());
    assert_eq!(root.conditions().await.unwrap(), ["pin"]);
    assert_eq!(house.service().await.state().await.unwrap(), "ready");
    let made = house.create("").await;
    let reseal = async |old: &str, new: &str| {
        let (old, new) = (descriptor(old), descriptor(new));
        root.reseal(Fd::from(old.as_fd()), Fd::from(new.as_fd()))
            .await
    };
    let refused = reseal("wrong", "another PIN").await;
    assert!(
        matches!(&refused, Err(Error::NotAuthorized(text)) if text.contains("2 more before lockout")),
        "{refused:?}"
    );
    reseal("a PIN", "another PIN").await.unwrap();
    made.sign(b"m", none()).await.unwrap();
    running.stop().await;

    let _running = house.serve(settings).await;
    assert!(matches!(
        made.sign(b"m", none()).await,
        Err(Error::Unavailable(_))
    ));
    let wrong = unlock("a PIN").await;
    assert!(matches!(wrong, Err(Error::NotAuthorized(_))), "{wrong:?}");
    assert!(
        house
            .only_problem()
            .await
            .contains("quantumctl keys unlock")
    );
    unlock("another PIN").await.unwrap();
    made.sign(b"m", none()).await.unwrap();
}

#[tokio::test]
async fn only_who_polkit_lets_gives_a_pin() {
    if !is_root() {
        return;
    }
    let (house, tpm) = (House::build().await, Swtpm::start().unwrap());
    let mut settings = with_tpm(&tpm);
    settings.protection.pin = true;
    let _running = house.serve(settings).await;
    let polkit = FakePolkit::start(&house.bus).await.unwrap();
    let nobody = house.bus.connect_as(NOBODY).await.unwrap();
    let root = RootKey1Proxy::new(&nobody).await.unwrap();
    let pin = descriptor("a PIN");
    let unlocked = root.unlock(Fd::from(pin.as_fd())).await;
    assert!(
        matches!(unlocked, Err(Error::NotAuthorized(_))),
        "{unlocked:?}"
    );
    let resealed = root
        .reseal(Fd::from(pin.as_fd()), Fd::from(pin.as_fd()))
        .await;
    assert!(
        matches!(resealed, Err(Error::NotAuthorized(_))),
        "{resealed:?}"
    );
    assert!(!root.open().await.unwrap());
    let asked: Vec<_> = polkit.asked().into_iter().map(|q| q.action).collect();
    assert_eq!(asked, ["org.quantumos.keys.unlock"; 2]);
    polkit.allow("org.quantumos.keys.unlock");
    root.unlock(Fd::from(pin.as_fd())).await.unwrap();
}

#[tokio::test]
async fn a_tpm_that_wrong_pins_locked_says_for_how_long() {
    let (house, tpm) = (House::build().await, Swtpm::start().unwrap());
    let mut settings = with_tpm(&tpm);
    settings.protection.pin = true;
    let running = house.serve(settings.clone()).await;
    let root = RootKey1Proxy::new(&house.client).await.unwrap();
    let unlock = async |pin: &str| {
        let file = descriptor(pin);
        root.unlock(Fd::from(file.as_fd())).await
    };
    unlock("the PIN").await.unwrap();
    let made = house.create("").await;
    running.stop().await;

    let _running = house.serve(settings).await;
    let locked = loop {
        match unlock("a guess").await {
            Err(Error::NotAuthorized(_)) => {}
            other => break other,
        }
    };
    let says = |answer: &Result<(), Error>| {
        let Err(Error::Unavailable(text)) = answer else {
            panic!("{answer:?}");
        };
        let words = ["locked after too many wrong PINs", "seconds"];
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    says(&locked);
    // The right one does not help now; what the daemon knows without a secret it goes on telling.
    says(&unlock("the PIN").await);
    assert!(!root.open().await.unwrap());
    assert_eq!(made.label().await.unwrap(), "");
    assert!(matches!(
        made.sign(b"m", none()).await,
        Err(Error::Unavailable(_))
    ));
}

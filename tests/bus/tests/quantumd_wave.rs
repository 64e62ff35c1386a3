//! Waveforms and light over a private bus: hash, Wave HMAC, transforms, frames and five-dimensional
//! signatures, and what hostile input gets.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use quantumos_dbus::{Error, Job1Proxy, Resonance1Proxy, Wavelength1Proxy};
use quantumos_resonance::{hmac, rft::Rft, wave};
use quantumos_wavelength::FRAME_LEN;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use support::{House, Options, content, fd, file, none, with, without_tpm};
use zbus::{OwnedObjectPath, Variant};

/// A descriptor as an option.
fn hold<'a>(options: Options<'a>, name: &'a str, held: &File) -> Options<'a> {
    let own = held.as_fd().try_clone_to_owned().unwrap();
    with(options, name, Variant::Fd(own.into()))
}

/// Waits for the end, and gives the result.
async fn end(house: &House, path: OwnedObjectPath) -> Result<serde_json::Value, Error> {
    let job = Job1Proxy::builder(&house.client)
        .path(path)
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

async fn new_key(house: &House, algorithm: &str) -> String {
    let path = house.keys().await.create(algorithm, "", none()).await;
    path.unwrap().rsplit('/').next().unwrap().to_owned()
}

fn words(error: Result<impl std::fmt::Debug, Error>, words: &str) {
    let error = error.unwrap_err();
    assert!(
        matches!(&error, Error::InvalidArgument(text) if text.contains(words)),
        "{words}: {error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waveforms_are_hashed_and_messages_authenticated() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let suite = Resonance1Proxy::new(&house.client).await.unwrap();
    let id = new_key(&house, "HMAC-SHA-512").await;
    let (waveform, phases) = (file(b"[0.1, 0.7, -3]"), file(b"0.5 0.25"));
    let (values, turns) = ([0.1, 0.7, -3.0], [0.5, 0.25]);
    let secret = file(b"0123456789abcdef");
    let secret_bytes = &b"0123456789abcdef"[..];

    let (hash, summary) = suite.hash(fd(&waveform), none()).await.unwrap();
    assert_eq!(hash, wave::hash(&values, None, None).unwrap());
    assert!(summary.starts_with('A'), "{summary}");
    let keyed = hold(hold(none(), "secret", &secret), "phases", &phases);
    let (hash, _) = suite.hash(fd(&waveform), keyed).await.unwrap();
    let want = wave::hash(&values, Some(&turns), Some(secret_bytes)).unwrap();
    assert_eq!(hash, want);
    let by_key = || with(none(), "key", id.clone());
    let (under, _) = suite.hash(fd(&waveform), by_key()).await.unwrap();
    assert_ne!(under, hash);

    let message = file(b"message");
    let keyed = hold(hold(none(), "secret", &secret), "phases", &phases);
    let mac = suite.hmac(fd(&message), keyed).await.unwrap();
    let want = hmac::wave_hmac(secret_bytes, Some(&turns), b"message").unwrap();
    assert_eq!(mac, want);
    let mac = suite.hmac(fd(&message), by_key()).await.unwrap();
    // What the key signs is another thing, also over the same bytes.
    let key = support::key(&house.client, &format!("/org/quantumos/keys/{id}")).await;
    assert_ne!(key.sign(b"message", none()).await.unwrap(), mac);
    key.rotate().await.unwrap();
    let valid = async |message: &File, mac: &[u8], options: Options<'_>| {
        suite.verify_hmac(fd(message), mac, options).await.unwrap()
    };
    assert!(valid(&message, &mac, by_key()).await, "of the old version");
    assert!(!valid(&file(b"messagf"), &mac, by_key()).await);
    assert!(!valid(&message, &mac, hold(by_key(), "phases", &phases)).await);
    assert!(!valid(&message, &mac, hold(none(), "secret", &secret)).await);
    assert!(!valid(&message, &mac[..63], by_key()).await);
    assert!(!valid(&message, b"", by_key()).await);

    words(
        suite.hmac(fd(&message), none()).await,
        "either key or secret",
    );
    let both = hold(by_key(), "secret", &secret);
    words(suite.hmac(fd(&message), both).await, "both key and secret");
    let short = hold(none(), "secret", &file(b"short"));
    words(suite.hmac(fd(&message), short).await, "at least 16");
    for (bytes, said) in [
        (&b"1 nan"[..], "value 1 is not a finite"),
        (b"[1, NaN]", "value 1, NaN, is not a number"),
        (b"1 1e999", "value 1 is not a finite"),
        (b"", "at least 1 is needed"),
        (b"\xff", "not text"),
        (b"[1, 2", "does not end"),
    ] {
        words(suite.hash(fd(&file(bytes)), none()).await, said);
    }
    let (pipe, _end) = std::io::pipe().unwrap();
    words(
        suite.hash(fd(&pipe), none()).await,
        "neither a regular file",
    );
    let signer = new_key(&house, "ML-DSA-87").await;
    let wrong = suite.hash(fd(&waveform), with(none(), "key", signer)).await;
    assert!(matches!(wrong, Err(Error::NotSupported(_))), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn transforms_are_jobs_with_results() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let suite = Resonance1Proxy::new(&house.client).await.unwrap();
    let id = new_key(&house, "HMAC-SHA-512").await;
    let values: Vec<f64> = (0..300).map(|i| f64::from(i).sin()).collect();
    let waveform = file(serde_json::to_string(&values).unwrap().as_bytes());
    let secret = file(&[7; 32]);
    for options in [|| none(), || with(none(), "block", 100u32)] {
        for keyed in [
            none(),
            with(none(), "key", id.clone()),
            hold(none(), "secret", &secret),
        ] {
            let all = || {
                let mut all = options();
                all.extend(keyed.iter().map(|(k, v)| (*k, v.try_clone().unwrap())));
                all
            };
            let path = suite.transform(fd(&waveform), all()).await.unwrap();
            let spectrum = end(&house, path).await.unwrap();
            let frequencies = spectrum["frequencies"].as_array().unwrap();
            assert_eq!(frequencies.len(), 300);
            if keyed.is_empty() && all().is_empty() {
                let rft = Rft::new(300).unwrap().spectrum(&values).unwrap();
                let first = spectrum["amplitudes"][0].as_f64().unwrap();
                assert!((first - rft.amplitudes[0]).abs() < 1e-12);
            }
            let text = file(spectrum.to_string().as_bytes());
            let path = suite.inverse(fd(&text), all()).await.unwrap();
            let back = end(&house, path).await.unwrap();
            let back = back["waveform"].as_array().unwrap().iter();
            let far = back
                .zip(&values)
                .map(|(a, b)| (a.as_f64().unwrap() - b).abs());
            assert!(far.fold(0.0, f64::max) < 1e-12);
            if keyed.is_empty() {
                let other = hold(all(), "secret", &secret);
                let path = suite.inverse(fd(&text), other).await.unwrap();
                words(end(&house, path).await, "no real waveform");
            }
        }
    }
    for (text, said) in [
        (&b"{}"[..], "missing field"),
        (
            b"{\"frequencies\":[0.5],\"amplitudes\":[],\"phases\":[1]}",
            "equally many",
        ),
        (
            b"{\"frequencies\":[0.5],\"amplitudes\":[1],\"phases\":[1]}",
            "frequencies are not",
        ),
    ] {
        let path = suite.inverse(fd(&file(text)), none()).await.unwrap();
        words(end(&house, path).await, said);
    }
    for (block, said) in [(0u32, "length of 0"), (1 << 20, "at most")] {
        let path = suite
            .transform(fd(&waveform), with(none(), "block", block))
            .await;
        words(end(&house, path.unwrap()).await, said);
    }
    let path = suite.transform(fd(&file(b"1 inf")), none()).await.unwrap();
    words(end(&house, path).await, "value 1 is not a finite");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_travel_as_light() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let suite = Wavelength1Proxy::new(&house.client).await.unwrap();
    let id = new_key(&house, "XChaCha20-Poly1305").await;
    let message: Vec<u8> = (0..70_000u32).map(|i| i as u8).collect();
    let (plain, back) = (file(&message), file(b""));
    let under = || with(none(), "key", id.clone());
    for method in ["FSE", "AME", "PME", "qiml"] {
        let light = file(b"");
        let path = suite.encode(method, fd(&plain), fd(&light), under()).await;
        let done = end(&house, path.unwrap()).await.unwrap();
        assert_eq!(done["written"], light.metadata().unwrap().len());
        let (name, payload, frames) = suite.frames(fd(&light), 2, 3).await.unwrap();
        assert_eq!((name, frames.len()), (method.to_uppercase(), 3));
        assert!(payload > message.len() as u64);
        for (at, (number, nm, photons, phase, energy)) in (2u32..).zip(&frames) {
            assert_eq!(*number, at);
            assert!((380.0..780.0).contains(nm) && (1000..=5080).contains(photons));
            assert!((0.0..std::f64::consts::TAU).contains(phase));
            let energy_nm = 1.986_445_857e-16 / energy;
            assert!((energy_nm - nm).abs() < 1e-5, "{energy_nm} {nm}");
        }
        let path = suite.decode(fd(&light), fd(&back), under()).await.unwrap();
        end(&house, path).await.unwrap();
        assert!(content(&back) == message);

        let whole = content(&light);
        let altered = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let mut swapped = whole.clone();
        swapped[18..18 + 2 * FRAME_LEN].rotate_left(FRAME_LEN);
        for (bytes, said) in [
            (altered(18 + 40 * FRAME_LEN + 6), "frame 40"),
            (swapped, "order"),
            (whole[..whole.len() - FRAME_LEN].to_vec(), "cut off"),
            (whole[..10].to_vec(), "cut off"),
            (altered(0), "first bytes"),
            (altered(4), "version"),
            (altered(7), "damaged"),
            ([whole.as_slice(), b"x"].concat(), "follow"),
        ] {
            let path = suite.decode(fd(&file(&bytes)), fd(&back), under()).await;
            let error = end(&house, path.unwrap()).await.unwrap_err();
            assert!(
                matches!(&error, Error::InvalidArgument(text) if text.contains(said)),
                "{said}: {error}"
            );
            assert_eq!(content(&back), b"");
            let shown = suite.frames(fd(&file(&bytes)), 0, 1).await;
            assert!(matches!(shown, Err(Error::InvalidArgument(_))));
        }
    }
    words(
        suite.encode("XYZ", fd(&plain), fd(&back), under()).await,
        "XYZ",
    );
    words(suite.frames(fd(&plain), 0, 1001).await, "at most 1000");
    let (pipe, _end) = std::io::pipe().unwrap();
    let path = suite
        .encode("FSE", fd(&pipe), fd(&back), under())
        .await
        .unwrap();
    words(end(&house, path).await, "neither a regular file nor");
}

#[tokio::test]
async fn five_dimensions_are_derived_from_a_signature() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let suite = Wavelength1Proxy::new(&house.client).await.unwrap();
    let id = new_key(&house, "ML-DSA-87").await;
    let message = file(b"message");
    let (signature, digest, values) = suite.sign(&id, fd(&message)).await.unwrap();
    assert!((380.0..780.0).contains(&values.0) && digest.len() == 20);
    let key = support::key(&house.client, &format!("/org/quantumos/keys/{id}")).await;
    let public = key.public_key().await.unwrap();
    let again = suite
        .verify(&public, fd(&message), &signature)
        .await
        .unwrap();
    assert_eq!(again, (true, digest, values));
    let mut wrong = signature.clone();
    wrong[9] ^= 1;
    for (message, signature) in [(&b"messagf"[..], &signature), (b"message", &wrong)] {
        let answer = suite.verify(&public, fd(&file(message)), signature).await;
        assert_eq!(answer.unwrap(), (false, Vec::new(), Default::default()));
    }
    words(
        suite.verify(b"short", fd(&message), &signature).await,
        "public key",
    );
    let mac = new_key(&house, "HMAC-SHA-512").await;
    words(suite.sign(&mac, fd(&message)).await, "only ML-DSA-87");
    let gone = suite.sign(&"00".repeat(16), fd(&message)).await;
    assert!(matches!(gone, Err(Error::NotFound(_))));
}

//! Files sealed by quantumctl under keys of a real quantumd: there and back for every kind of key, old
//! versions, foreign keys, damage, and the way back when nothing fits.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/ctl.rs"]
mod support;

use quantumd::{Quantumd, Settings};
use quantumos_harness::PrivateBus;
use support::ctl;

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sealed_under_keys_of_the_store() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.tpm.tcti = "device:/nonexistent/tpm".into();
    settings.protection.allow_software = true;
    let _running = bus.serve::<Quantumd>(root.path(), settings).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let message: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(path("data"), &message).unwrap();
    let (data, back, none) = (path("data"), path("back"), path("none"));
    for algorithm in [
        "AES-256-GCM",
        "XChaCha20-Poly1305",
        "ML-KEM-1024",
        "X25519+ML-KEM-1024",
    ] {
        let create = ["keys", "create", algorithm, "--algorithm", algorithm];
        assert_eq!(ctl(&bus, &create).await.0, 0);
        let sealed = path(algorithm);
        let seal = ["crypto", "encrypt", &data, "--key", algorithm, "--output"];
        let seal = [&seal[..], &[&sealed, "--context", "c"]].concat();
        let (code, done) = ctl(&bus, &seal).await;
        assert_eq!((code, &done["file"]), (0, &sealed.clone().into()), "{done}");
        // The old version goes on opening, and the file says which key it is.
        assert_eq!(ctl(&bus, &["keys", "rotate", algorithm]).await.0, 0);
        for key in [&[][..], &["--key", algorithm]] {
            let open = ["crypto", "decrypt", &sealed, "--context", "c", "--force"];
            let (code, done) = ctl(&bus, &[&open[..], key, &["--output", &back]].concat()).await;
            assert_eq!(code, 0, "{done}");
            assert!(std::fs::read(&back).unwrap() == message);
        }
        let open = ["crypto", "decrypt", &sealed, "--output", &none];
        let (code, error) = ctl(&bus, &open).await;
        assert_eq!((code, &error["error"]["name"]), (7, &"wrong-key".into()));
        let open = [&open[..], &["--context", "c"]].concat();
        let (code, _) = ctl(&bus, &[&open[..], &["--key", "another"]].concat()).await;
        assert_ne!(code, 0);
        // One bit of the capsule, which begins behind 9 + 32 + 1 + 20 + 2 bytes.
        let mut bytes = std::fs::read(&sealed).unwrap();
        bytes[70] ^= 1;
        std::fs::write(path("bad"), &bytes).unwrap();
        let bad = path("bad");
        let open = ["crypto", "decrypt", &bad, "--output", &none];
        let (code, error) = ctl(&bus, &open).await;
        assert_eq!((code, &error["error"]["name"]), (7, &"damaged".into()));
        assert!(!std::path::Path::new(&none).exists());
        let revoke = ["keys", "revoke", algorithm, "--reason", "test"];
        assert_eq!(ctl(&bus, &revoke).await.0, 0);
        let open = ["crypto", "decrypt", &sealed, "--context", "c"];
        let (code, error) = ctl(&bus, &[&open[..], &["--output", &none]].concat()).await;
        assert_ne!(code, 0);
        assert!(
            error["error"]["name"]
                .as_str()
                .unwrap()
                .ends_with("KeyRevoked")
        );
        assert!(!std::path::Path::new(&none).exists());
    }
    let create = ["keys", "create", "signer", "--algorithm", "ML-DSA-87"];
    assert_eq!(ctl(&bus, &create).await.0, 0);
    let seal = ["crypto", "encrypt", &data, "--key", "signer"];
    let (code, error) = ctl(&bus, &[&seal[..], &["--output", &none]].concat()).await;
    assert_eq!((code, &error["error"]["name"]), (2, &"usage".into()));
    // What the daemon sealed itself is for the command that asked it to.
    let create = ["keys", "create", "aead", "--algorithm", "AES-256-GCM"];
    assert_eq!(ctl(&bus, &create).await.0, 0);
    let sealed = path("direct");
    let seal = ["keys", "encrypt", "aead", &data, "--output", &sealed];
    assert_eq!(ctl(&bus, &seal).await.0, 0);
    let open = [
        "crypto", "decrypt", &sealed, "--key", "aead", "--output", &none,
    ];
    let (code, error) = ctl(&bus, &open).await;
    let text = error["error"]["message"].as_str().unwrap();
    assert!(code == 2 && text.contains("keys decrypt"), "{error}");
}

//! `quantumctl keys` against a quantumd whose signature is a checksum of the message.

use std::{
    collections::HashMap,
    fs,
    io::{Read, Seek},
    sync::{Arc, Mutex},
};

use quantumos_dbus::{Dictionary, Error};
use quantumos_harness::PrivateBus;
use serde_json::json;
use zbus::{OwnedFd, OwnedObjectPath};

use crate::{ctl, services};

/// A key that remembers how it was asked to sign.
#[derive(Clone)]
pub struct Key1 {
    pub id: String,
    pub label: String,
    pub calls: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Key1 {
    fn new(id: &str, label: &str) -> Self {
        Self {
            id: id.into(),
            label: label.into(),
            calls: Arc::default(),
        }
    }

    fn note(&self, method: &str, length: usize) {
        self.calls.lock().unwrap().push((method.into(), length));
    }
}

/// Not a signature, but it depends on every byte of message and context.
fn checksum(message: &[u8], options: &Dictionary) -> Vec<u8> {
    let context = options.get("context");
    let context: Vec<u8> = context
        .map(|value| value.clone().try_into().unwrap())
        .unwrap_or_default();
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for byte in context.iter().chain(message) {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    [sum.to_le_bytes().as_slice(), &[0xff; 56]].concat()
}

/// What a descriptor holds.
fn content(descriptor: OwnedFd) -> Vec<u8> {
    let mut file = fs::File::from(std::os::fd::OwnedFd::from(descriptor));
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[zbus::interface(name = "org.quantumos.Key1")]
impl Key1 {
    fn public_key(&self) -> Vec<u8> {
        vec![0xfe; 32]
    }
    fn sign(&self, message: Vec<u8>, options: Dictionary) -> Result<Vec<u8>, Error> {
        self.note("Sign", message.len());
        Ok(checksum(&message, &options))
    }
    fn sign_descriptor(&self, message: OwnedFd, options: Dictionary) -> Result<Vec<u8>, Error> {
        let bytes = content(message);
        self.note("SignDescriptor", bytes.len());
        Ok(checksum(&bytes, &options))
    }
    fn verify(&self, message: Vec<u8>, signature: Vec<u8>, options: Dictionary) -> bool {
        checksum(&message, &options) == signature
    }
    fn verify_descriptor(&self, message: OwnedFd, signature: Vec<u8>, options: Dictionary) -> bool {
        let bytes = content(message);
        self.note("VerifyDescriptor", bytes.len());
        checksum(&bytes, &options) == signature
    }
    fn revoke(&self, reason: &str) -> Result<(), Error> {
        self.note(reason, 0);
        Err(Error::KeyRevoked("since 2025-11-21".into()))
    }
    #[zbus(property)]
    fn id(&self) -> String {
        self.id.clone()
    }
    #[zbus(property)]
    fn algorithm(&self) -> String {
        "ML-DSA-87".into()
    }
    #[zbus(property)]
    fn label(&self) -> String {
        self.label.clone()
    }
    #[zbus(property)]
    fn owner(&self) -> u32 {
        0
    }
    #[zbus(property)]
    fn version(&self) -> u32 {
        1
    }
    #[zbus(property)]
    fn state(&self) -> String {
        "active".into()
    }
    #[zbus(property)]
    fn protection(&self) -> String {
        "tpm".into()
    }
    #[zbus(property)]
    fn created_at(&self) -> u64 {
        1_763_726_400_000_000
    }
    #[zbus(property)]
    fn revoked_at(&self) -> u64 {
        0
    }
    #[zbus(property)]
    fn revocation_reason(&self) -> String {
        String::new()
    }
}

pub struct Keys1;

#[zbus::interface(name = "org.quantumos.Keys1")]
impl Keys1 {
    fn create(
        &self,
        algorithm: &str,
        label: &str,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, Error> {
        assert!(options.is_empty());
        match algorithm {
            "ML-DSA-87" => Ok(format!("/org/quantumos/keys/{label}").try_into().unwrap()),
            other => Err(Error::InvalidArgument(format!("algorithm: {other:?}"))),
        }
    }
    fn verify(
        &self,
        algorithm: &str,
        public_key: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
        options: Dictionary,
    ) -> Result<bool, Error> {
        if algorithm != "ML-DSA-87" || public_key != vec![0xfe; 32] {
            return Err(Error::InvalidArgument("public key".into()));
        }
        Ok(checksum(&message, &options) == signature)
    }
    fn verify_descriptor(
        &self,
        algorithm: &str,
        public_key: Vec<u8>,
        message: OwnedFd,
        signature: Vec<u8>,
        options: Dictionary,
    ) -> Result<bool, Error> {
        self.verify(algorithm, public_key, content(message), signature, options)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_shown_and_made() {
    let bus = PrivateBus::start().unwrap();
    let keys = vec![Key1::new("a1", "release"), Key1::new("b2", "evil\x1b[1A")];
    let _quantum = services::quantum(&bus, keys).await;
    let run = ctl::run(&bus, &["keys", "list"]).await;
    assert_eq!(
        run.out,
        "\
ID  LABEL        ALGORITHM  STATE   PROTECTION  OWNER  CREATED
a1  release      ML-DSA-87  active  tpm             0  2025-11-21 12:00:00
b2  evil\\x1b[1A  ML-DSA-87  active  tpm             0  2025-11-21 12:00:00
"
    );
    let json = ctl::run(&bus, &["keys", "show", "release", "--json"])
        .await
        .json();
    assert_eq!(
        json,
        json!({
            "id": "a1", "algorithm": "ML-DSA-87", "label": "release", "owner": 0, "version": 1,
            "versions": [], "grants": [], "state": "active", "protection": "tpm", "created_at": 1_763_726_400_000_000_u64,
            "revoked_at": 0, "revocation_reason": "", "path": "/org/quantumos/keys/a1",
        })
    );
    // The service says which object it made; here it is the one named like the label.
    let json = ctl::run(&bus, &["keys", "create", "a1", "--json"])
        .await
        .json();
    assert_eq!(json["id"], "a1");
    let run = ctl::run(&bus, &["keys", "create", "a1", "--algorithm", "RSA"]).await;
    assert_eq!(
        (run.code, run.err.as_str()),
        (2, "quantumctl: refused: algorithm: \"RSA\"\n")
    );
    let run = ctl::run(&bus, &["keys", "show", "nobody"]).await;
    assert_eq!(run.code, 5, "{run:?}");
    let run = ctl::run(&bus, &["keys", "revoke", "a1", "--reason", "lost"]).await;
    assert_eq!(
        (run.code, run.err.as_str()),
        (1, "quantumctl: the key is revoked: since 2025-11-21\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_signed_and_verified() {
    let bus = PrivateBus::start().unwrap();
    let key = Key1::new("a1", "release");
    let calls = key.calls.clone();
    let _quantum = services::quantum(&bus, vec![key]).await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (small, large, signature) = (path("small"), path("large"), path("signature"));
    let public = path("public");
    fs::write(&small, b"message").unwrap();
    fs::write(&large, vec![9u8; (1 << 20) + 1]).unwrap();

    let written = ctl::run(&bus, &["keys", "public", "a1", "--output", &public]).await;
    assert_eq!((written.code, written.out.as_str()), (0, ""));
    for format in ["raw", "base64", "hex"] {
        for (file, by) in [(&small, "Sign"), (&large, "SignDescriptor")] {
            calls.lock().unwrap().clear();
            let sign = ["keys", "sign", "a1", file, "--format", format];
            let run = ctl::run(&bus, &sign).await;
            assert_eq!(run.code, 0, "{run:?}");
            let length = fs::metadata(file).unwrap().len() as usize;
            assert_eq!(*calls.lock().unwrap(), [(by.to_owned(), length)]);
            fs::write(&signature, &run.raw).unwrap();
            calls.lock().unwrap().clear();
            for who in [&["a1"][..], &["--public-key", &public]] {
                let verify =
                    [&["keys", "verify", "--signature", &signature], who, &[file]].concat();
                let run = ctl::run(&bus, &verify).await;
                assert_eq!(run.code, 0, "{verify:?}: {run:?}");
                assert!(run.out.starts_with("good signature by "), "{run:?}");
            }
            let handed: &[_] = match by {
                "Sign" => &[],
                _ => &[("VerifyDescriptor".to_owned(), length)],
            };
            assert_eq!(*calls.lock().unwrap(), handed);
            let run = ctl::run(
                &bus,
                &["keys", "verify", "a1", "--signature", &signature, &public],
            )
            .await;
            assert_eq!(
                (run.code, run.out.as_str(), run.err.as_str()),
                (7, "", "quantumctl: the signature does NOT verify\n")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_and_context_count() {
    let bus = PrivateBus::start().unwrap();
    let key = Key1::new("a1", "release");
    let calls = key.calls.clone();
    let _quantum = services::quantum(&bus, vec![key]).await;
    let sign = ["keys", "sign", "a1", "--format", "raw", "--context", "c"];
    let run = ctl::run_with(&bus, &sign, b"from a pipe").await;
    let context = HashMap::from([("context".to_owned(), services::own(b"c".as_slice()))]);
    assert_eq!(run.raw, checksum(b"from a pipe", &context));

    let large = vec![1u8; (1 << 20) + 7];
    let run = ctl::run_with(&bus, &["keys", "sign", "a1", "-", "--json"], &large).await;
    assert_eq!(run.json()["key"], "a1");
    assert_eq!(
        *calls.lock().unwrap(),
        [
            ("Sign".to_owned(), 11),
            ("SignDescriptor".to_owned(), large.len())
        ]
    );
    let run = ctl::run(&bus, &["keys", "sign", "a1", "/nonexistent"]).await;
    assert_eq!(run.code, 1);
    assert!(
        run.err
            .starts_with("quantumctl: /nonexistent: No such file"),
        "{run:?}"
    );
}

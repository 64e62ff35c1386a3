//! Keys on their way between two key stores with root keys of their own: what arrives is what left, once,
//! and only where it was sent; everything else is refused by a cause of its own and changes nothing.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

mod software;

use quantumd::Error;
use quantumd::audit::Who;
use quantumd::grant::{Operations, Subject};
use quantumd::keyring::{Choices, Keyring, verify};
use quantumd::record::{KeyId, Record};
use quantumos_pqc::{Algorithm, Error as Crypto, PublicHalf};
use software::bring_up;
use std::sync::Arc;

const WHO: Who = Who::User(0);

struct Host {
    keyring: Keyring,
    signer: KeyId,
    recipient: KeyId,
    state: tempfile::TempDir,
}

/// With few keys, so that a backup can be too many.
fn open(state: &std::path::Path) -> Keyring {
    bring_up(software::keyring(state, 12))
}

impl Host {
    fn build() -> Self {
        let state = tempfile::tempdir().unwrap();
        let keyring = open(state.path());
        let make = |algorithm| keyring.create(0, algorithm, "").unwrap().id;
        Self {
            signer: make(Algorithm::MlDsa87),
            recipient: make(Algorithm::X25519MlKem1024),
            keyring,
            state,
        }
    }

    fn public(&self, id: KeyId) -> PublicHalf {
        let record = self.keyring.record(id).unwrap();
        record.version_of(None).unwrap().public.clone()
    }

    fn backup(&self, keys: &[KeyId], to: &Self) -> Vec<u8> {
        let recipient = to.public(to.recipient);
        let made = self.keyring.backup(keys, &recipient, self.signer, &WHO);
        made.unwrap().bytes
    }

    fn restore(
        &self,
        bytes: &[u8],
        from: &Self,
        choices: Choices,
    ) -> Result<Vec<Arc<Record>>, Error> {
        let signer = from.public(from.signer);
        let done = self
            .keyring
            .restore(bytes.to_vec(), self.recipient, &signer, choices, &WHO)?;
        Ok(done.records)
    }
}

#[test]
fn keys_arrive_with_all_versions_and_work() {
    let (from, to) = (Host::build(), Host::build());
    let user = Who::User(1000);
    let mut made = Vec::new();
    for algorithm in Algorithm::ALL {
        let id = from
            .keyring
            .create(1000, algorithm, algorithm.name())
            .unwrap()
            .id;
        from.keyring.rotate(id, &user).unwrap();
        made.push(id);
    }
    let [signs, .., authenticates] = made[..] else {
        panic!("{made:?}");
    };
    let operations = Operations::of(&["sign"]).unwrap();
    from.keyring
        .grant(signs, Subject::User(7), operations, &user)
        .unwrap();
    let gone = from
        .keyring
        .create(1000, Algorithm::HmacSha512, "gone")
        .unwrap()
        .id;
    from.keyring.revoke(gone, "lost", &user).unwrap();
    let signature = from.keyring.sign(signs, b"m", b"c").unwrap();
    let tag = from.keyring.sign(authenticates, b"m", b"c").unwrap();

    // The recipient gets a new version meanwhile: the one that it was sealed to still opens it.
    let bytes = from.backup(&[], &to);
    to.keyring.rotate(to.recipient, &WHO).unwrap();
    let arrived = to.restore(&bytes, &from, Choices::default()).unwrap();
    assert_eq!(
        arrived.len(),
        made.len() + 2,
        "with signer and recipient, without the revoked one"
    );
    assert!(to.keyring.record(gone).is_err());
    let reopened = open(to.state.path());
    for keyring in [&to.keyring, &reopened] {
        for id in &made {
            let (there, here) = (
                from.keyring.record(*id).unwrap(),
                keyring.record(*id).unwrap(),
            );
            assert_eq!(
                (&here.versions, &here.label, here.owner, here.created_at),
                (&there.versions, &there.label, there.owner, there.created_at)
            );
            assert!(keyring.grants(&here).unwrap().is_empty(), "not asked for");
        }
        let record = keyring.record(signs).unwrap();
        assert!(verify(&record, None, b"m", &signature, b"c").unwrap());
        let again = keyring.sign(signs, b"m", b"c").unwrap();
        assert!(
            verify(
                &from.keyring.record(signs).unwrap(),
                None,
                b"m",
                &again,
                b"c"
            )
            .unwrap()
        );
        let good = keyring.verify_mac(authenticates, None, b"m", &tag, b"c");
        assert!(good.unwrap());
    }
}

#[test]
fn owner_and_grants_are_chosen() {
    let (from, to) = (Host::build(), Host::build());
    let id = from
        .keyring
        .create(1000, Algorithm::HmacSha512, "x")
        .unwrap()
        .id;
    let operations = Operations::of(&["sign"]).unwrap();
    let user = Who::User(1000);
    from.keyring
        .grant(id, Subject::User(7), operations, &user)
        .unwrap();
    let choices = Choices {
        owner: Some(1001),
        grants: true,
        skip_existing: false,
    };
    let bytes = from.backup(&[id, id], &to);
    let records = to.restore(&bytes, &from, choices).unwrap();
    assert_eq!((records.len(), records[0].owner), (1, 1001));
    let grants = open(to.state.path()).grants(&records[0]).unwrap();
    assert_eq!((grants.len(), &grants[0].subject), (1, &Subject::User(7)));
}

#[test]
fn each_refusal_has_its_cause_and_changes_nothing() {
    let (from, to, third) = (Host::build(), Host::build(), Host::build());
    let id = from
        .keyring
        .create(1000, Algorithm::Aes256Gcm, "x")
        .unwrap()
        .id;
    let good = from.backup(&[id], &to);
    let before = to.keyring.records().len();
    let refuse = |bytes: &[u8], by: &Host, signer: &Host| {
        let count = by.keyring.records().len();
        let error = by.restore(bytes, signer, Choices::default()).unwrap_err();
        assert_eq!(by.keyring.records().len(), count, "{error}");
        assert_eq!(open(by.state.path()).records().len(), count, "{error}");
        error
    };
    let error = refuse(&good, &third, &from);
    assert!(
        matches!(error, Error::Crypto(Crypto::OtherRecipient { .. })),
        "{error}"
    );
    let error = refuse(&good, &to, &third);
    assert!(
        matches!(error, Error::Crypto(Crypto::OtherSigner { .. })),
        "{error}"
    );
    let error = refuse(&good[..good.len() - 1], &to, &from);
    assert!(
        matches!(error, Error::Crypto(Crypto::Truncated { .. })),
        "{error}"
    );
    let mut altered = good.clone();
    altered[2000] ^= 1;
    let error = refuse(&altered, &to, &from);
    assert!(
        matches!(error, Error::Crypto(Crypto::Altered { .. })),
        "{error}"
    );
    altered[3] = 2;
    let error = refuse(&altered, &to, &from);
    assert!(
        matches!(error, Error::Crypto(Crypto::UnknownVersion { .. })),
        "{error}"
    );

    // A key that is here, revoked or not, is never replaced, and nothing beside it comes in.
    let other = from
        .keyring
        .create(1000, Algorithm::HmacSha512, "y")
        .unwrap()
        .id;
    let both = from.backup(&[id, other], &to);
    to.restore(&good, &from, Choices::default()).unwrap();
    to.keyring.revoke(id, "here", &WHO).unwrap();
    let error = refuse(&both, &to, &from);
    assert!(
        matches!(&error, Error::KeyExists(key) if *key == id.to_string()),
        "{error}"
    );
    let choices = Choices {
        skip_existing: true,
        ..Choices::default()
    };
    let records = to.restore(&both, &from, choices).unwrap();
    assert_eq!((records.len(), records[0].id), (1, other));
    assert!(
        to.keyring.record(id).unwrap().revoked.is_some(),
        "stays revoked"
    );
    assert_eq!(to.keyring.records().len(), before + 2);

    // Once is enough, also after a restart and with leave to skip.
    for bytes in [&good, &both] {
        let error = refuse(bytes, &to, &from);
        assert!(matches!(error, Error::Replayed { .. }), "{error}");
        let error = to.restore(bytes, &from, choices).unwrap_err();
        assert!(matches!(error, Error::Replayed { .. }), "{error}");
    }

    // More keys than an owner may have.
    for count in 0..11 {
        from.keyring
            .create(1001 + count / 6, Algorithm::HmacSha512, "")
            .unwrap();
    }
    let many: Vec<KeyId> = from
        .keyring
        .records()
        .iter()
        .map(|record| record.id)
        .collect();
    let fresh = Host::build();
    let all = from.backup(&many, &fresh);
    let choices = Choices {
        owner: Some(5),
        ..Choices::default()
    };
    let error = fresh.restore(&all, &from, choices).unwrap_err();
    assert!(
        matches!(error, Error::TooManyKeys { owner: 5, .. }),
        "{error}"
    );
    assert_eq!(fresh.keyring.records().len(), 2);

    // What can not sign or receive.
    let recipient = to.public(to.recipient);
    let wrong = from.keyring.backup(&[], &recipient, id, &WHO);
    assert!(matches!(
        wrong,
        Err(Error::Crypto(Crypto::WrongKind { .. }))
    ));
    from.keyring.revoke(other, "r", &WHO).unwrap();
    let revoked = from.keyring.backup(&[other], &recipient, from.signer, &WHO);
    assert!(matches!(revoked, Err(Error::Revoked { .. })));
}

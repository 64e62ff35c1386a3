//! The TPM module against a software TPM, one for each test.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

use quantumd::tpm::{self, Conditions, Proofs, Sealed, Tcti, TpmError};
use quantumos_harness::Swtpm;
use quantumos_pqc::Secret;
use tss_esapi::handles::{AuthHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::{Hierarchy, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Public, RsaExponent, SymmetricDefinitionObject};

fn seal(tcti: &Tcti, secret: &Secret<32>) -> Result<Sealed, TpmError> {
    tpm::seal(tcti, secret, &Conditions::default())
}

fn unseal(tcti: &Tcti, sealed: &Sealed) -> Result<Secret<32>, TpmError> {
    tpm::unseal(tcti, sealed, &Proofs::default())
}

fn start() -> (Swtpm, Tcti) {
    let swtpm = Swtpm::start().unwrap();
    let tcti = swtpm.tcti().parse().unwrap();
    (swtpm, tcti)
}

#[test]
fn seals_and_unseals_over_restarts_and_many_times() {
    let (mut swtpm, tcti) = start();
    let secret = Secret::random().unwrap();
    let sealed = seal(&tcti, &secret).unwrap();
    // More often than a TPM has slots for objects and sessions: nothing may be left loaded.
    for _ in 0..10 {
        assert_eq!(unseal(&tcti, &sealed).unwrap(), secret);
    }
    swtpm.power_on().unwrap();
    assert_eq!(unseal(&tcti, &sealed).unwrap(), secret);
    tpm::probe(&tcti, &sealed.root_name).unwrap();
    assert!(!tpm::vendor(&tcti).unwrap().is_empty());
}

#[test]
fn the_secret_is_never_on_the_wire() {
    let (swtpm, tcti) = start();
    let secret = Secret::random().unwrap();
    swtpm.record();
    let sealed = seal(&tcti, &secret).unwrap();
    assert_eq!(unseal(&tcti, &sealed).unwrap(), secret);
    let traffic = swtpm.recorded();
    let shows = |bytes: &[u8]| traffic.windows(bytes.len()).any(|window| window == bytes);
    // The second parameter of Load, which no session encrypts.
    assert!(shows(&sealed.public), "the recording sees what passes");
    assert!(!shows(secret.expose()), "the secret passed in the clear");
    // Not even a part of it.
    for part in secret.expose().chunks(8) {
        assert!(!shows(part), "a part of the secret passed in the clear");
    }
}

/// The commands with these codes in what passed, each with its header (tag 2, size 4, code 4).
fn commands(traffic: &[u8], codes: &[u32]) -> Vec<Vec<u8>> {
    let number = |at: usize| {
        let bytes = traffic.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let mut found = Vec::new();
    for at in 0..traffic.len() {
        let tagged = traffic[at] == 0x80 && matches!(traffic.get(at + 1), Some(1 | 2));
        let (Some(size), Some(code)) = (number(at + 2), number(at + 6)) else {
            break;
        };
        let end = at + size as usize;
        if tagged && (10..4096).contains(&size) && codes.contains(&code) && end <= traffic.len() {
            found.push(traffic[at..end].to_vec());
        }
    }
    found
}

/// Two bytes and as many as they say.
fn sized(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (len, rest) = bytes.split_first_chunk::<2>().unwrap();
    rest.split_at(u16::from_be_bytes(*len).into())
}

const START_SESSION: u32 = 0x176;

#[test]
fn every_session_is_salted_and_every_secret_parameter_encrypted() {
    const DECRYPT: u8 = 0x20;
    const ENCRYPT: u8 = 0x40;
    let (swtpm, tcti) = start();
    let secret = Secret::random().unwrap();
    let pin = quantumos_pqc::pin_value(b"123456").unwrap();
    let conditions = Conditions {
        pin: Some(&pin),
        ..Conditions::default()
    };
    swtpm.record();
    let sealed = tpm::seal(&tcti, &secret, &conditions).unwrap();
    let proofs = Proofs {
        pin: Some(&pin),
        ..Proofs::default()
    };
    assert_eq!(tpm::unseal(&tcti, &sealed, &proofs).unwrap(), secret);
    let random = tpm::random(&tcti, &sealed.root_name).unwrap();
    let traffic = swtpm.recorded();
    for hidden in [&secret, &pin, &random] {
        for part in hidden.expose().chunks(8) {
            let shown = traffic.windows(8).any(|window| window == part);
            assert!(!shown, "a part of a secret passed in the clear");
        }
    }

    let sessions = commands(&traffic, &[START_SESSION]);
    assert!(sessions.len() >= 3, "{}", sessions.len());
    for session in &sessions {
        // Salted to the storage root key, by a point that only its private key reads.
        assert_eq!(session[10..14], [0x81, 0, 0, 1]);
        let (_nonce, rest) = sized(&session[18..]);
        let (salt, rest) = sized(rest);
        assert!(salt.len() > 64, "{}", salt.len());
        // HMAC, AES-128 in CFB mode, SHA-256.
        assert_eq!(rest, [0, 0, 6, 0, 128, 0, 0x43, 0, 0x0b]);
    }
    // Create, Unseal, GetRandom: code, handles before the sessions, what has to be encrypted.
    for (code, handles, wanted) in [
        (0x153, 1, DECRYPT | ENCRYPT),
        (0x15e, 1, ENCRYPT),
        (0x17b, 0, ENCRYPT),
    ] {
        let found = commands(&traffic, &[code]);
        assert!(!found.is_empty(), "{code:#x}");
        for command in found {
            assert_eq!(command[..2], [0x80, 2], "{code:#x} has no session");
            let mut area = &command[10 + 4 * handles..];
            let (len, rest) = area.split_first_chunk::<4>().unwrap();
            area = &rest[..u32::from_be_bytes(*len) as usize];
            let mut attributes = 0;
            while !area.is_empty() {
                let (_nonce, rest) = sized(&area[4..]);
                attributes |= rest[0];
                let (hmac, rest) = sized(&rest[1..]);
                assert_eq!(hmac.len(), 32, "{code:#x} is authorised by a MAC");
                area = rest;
            }
            assert_eq!(attributes & wanted, wanted, "{code:#x}: {attributes:#x}");
        }
    }
}

/// What a raw connection to the TPM does, with empty passwords.
fn raw<T>(swtpm: &Swtpm, work: impl FnOnce(&mut tss_esapi::Context) -> T) -> T {
    let mut context = tss_esapi::Context::new(swtpm.tcti().parse().unwrap()).unwrap();
    context.set_sessions((Some(AuthSession::Password), None, None));
    work(&mut context)
}

fn root_handle() -> PersistentTpmHandle {
    PersistentTpmHandle::new(0x8100_0001).unwrap()
}

/// The public area of the storage root key.
fn root_public(swtpm: &Swtpm) -> Public {
    raw(swtpm, |context| {
        context.clear_sessions();
        let root = context.tr_from_tpm_public(TpmHandle::Persistent(root_handle()));
        context.read_public(root.unwrap().into()).unwrap().0
    })
}

#[test]
fn a_cleared_tpm_is_another_one() {
    let (swtpm, tcti) = start();
    let sealed = seal(&tcti, &Secret::random().unwrap()).unwrap();
    raw(&swtpm, |context| {
        context.clear(AuthHandle::Lockout).unwrap()
    });
    for _ in 0..2 {
        let error = unseal(&tcti, &sealed).unwrap_err();
        assert!(matches!(error, TpmError::OtherTpm { .. }), "{error}");
        assert!(error.to_string().contains("or it was cleared"), "{error}");
    }
    // Nothing was put where the storage root key was: that is for who enrols anew.
    let found = raw(&swtpm, |context| {
        context.clear_sessions();
        context.tr_from_tpm_public(TpmHandle::Persistent(root_handle()))
    });
    assert!(found.is_err());
}

#[test]
fn a_substituted_storage_root_key_is_refused_before_anything_is_salted_to_it() {
    let (swtpm, tcti) = start();
    let secret = Secret::random().unwrap();
    let sealed = seal(&tcti, &secret).unwrap();
    // Another key of the same TPM at the handle, as somebody with the owner's authorisation puts it.
    raw(&swtpm, |context| {
        let other = tss_esapi::utils::create_restricted_decryption_rsa_public(
            SymmetricDefinitionObject::AES_128_CFB,
            RsaKeyBits::Rsa2048,
            RsaExponent::default(),
        );
        let primary =
            context.create_primary(Hierarchy::Owner, other.unwrap(), None, None, None, None);
        let primary = primary.unwrap().key_handle;
        let handle = Persistent::Persistent(root_handle());
        context.clear_sessions();
        let root = context
            .tr_from_tpm_public(TpmHandle::Persistent(root_handle()))
            .unwrap();
        context.set_sessions((Some(AuthSession::Password), None, None));
        context
            .evict_control(Provision::Owner, root, handle)
            .unwrap();
        context
            .evict_control(Provision::Owner, primary.into(), handle)
            .unwrap();
    });
    swtpm.record();
    let error = unseal(&tcti, &sealed).unwrap_err();
    assert!(matches!(error, TpmError::OtherTpm { .. }), "{error}");
    assert!(commands(&swtpm.recorded(), &[START_SESSION]).is_empty());
}

#[test]
fn a_storage_root_key_that_is_swapped_on_the_wire_is_refused() {
    let ((swtpm, tcti), (theirs, their_tcti)) = (start(), start());
    let sealed = seal(&tcti, &Secret::random().unwrap()).unwrap();
    seal(&their_tcti, &Secret::random().unwrap()).unwrap();
    let point = |swtpm: &Swtpm| match root_public(swtpm) {
        Public::Ecc { unique, .. } => (unique.x().value().to_vec(), unique.y().value().to_vec()),
        other => panic!("{other:?}"),
    };
    let (mine, other) = (point(&swtpm), point(&theirs));
    // Whoever sits on the bus shows a key of their own under the Name that is pinned.
    swtpm.swap(&mine.0, &other.0);
    swtpm.swap(&mine.1, &other.1);
    swtpm.record();
    let error = unseal(&tcti, &sealed).unwrap_err();
    let traffic = swtpm.recorded();
    let shows = |bytes: &[u8]| traffic.windows(bytes.len()).any(|window| window == bytes);
    assert!(shows(&other.0) && !shows(&mine.0), "the swap happened");
    assert!(commands(&traffic, &[START_SESSION]).is_empty(), "{error}");
}

#[test]
fn another_tpm_is_refused_and_left_as_it_was() {
    let (mut swtpm, tcti) = start();
    let secret = Secret::random().unwrap();
    let sealed = seal(&tcti, &secret).unwrap();
    swtpm.replace().unwrap();
    let error = unseal(&tcti, &sealed).unwrap_err();
    assert!(matches!(error, TpmError::OtherTpm { .. }), "{error}");
    assert!(matches!(
        tpm::probe(&tcti, &sealed.root_name),
        Err(TpmError::OtherTpm { .. })
    ));
    // Enrolling anew works, under another key.
    let other = seal(&tcti, &secret).unwrap();
    assert_ne!(other.root_name, sealed.root_name);
    // The old blob under the new key, its Name forged: the TPM itself refuses.
    let forged = Sealed {
        root_name: other.root_name,
        ..sealed
    };
    assert_eq!(unseal(&tcti, &forged), Err(TpmError::NotItsBlob));
}

#[test]
fn an_altered_blob_does_not_load() {
    let (_swtpm, tcti) = start();
    let sealed = seal(&tcti, &Secret::random().unwrap()).unwrap();
    for at in [0, 2, 10, 40, sealed.private.len() - 1] {
        let mut altered = sealed.clone();
        altered.private[at] ^= 1;
        assert_eq!(
            unseal(&tcti, &altered),
            Err(TpmError::NotItsBlob),
            "byte {at}"
        );
    }
    for len in [0, 1, sealed.private.len() - 1] {
        let mut cut = sealed.clone();
        cut.private.truncate(len);
        assert_eq!(
            unseal(&tcti, &cut),
            Err(TpmError::NotItsBlob),
            "length {len}"
        );
        let mut cut = sealed.clone();
        cut.public.truncate(len.min(cut.public.len() - 1));
        assert_eq!(
            unseal(&tcti, &cut),
            Err(TpmError::NotItsBlob),
            "public {len}"
        );
    }
}

#[test]
fn an_absent_tpm_is_named() {
    let (mut swtpm, tcti) = start();
    let sealed = seal(&tcti, &Secret::random().unwrap()).unwrap();
    swtpm.kill();
    let error = unseal(&tcti, &sealed).unwrap_err();
    assert!(
        matches!(error, TpmError::Absent { .. } | TpmError::Gone { .. }),
        "{error}"
    );
    let none = "device:/nonexistent/tpm".parse().unwrap();
    let error = unseal(&none, &sealed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no TPM at device:/nonexistent/tpm: No such file or directory (os error 2)"
    );
    assert!("device".parse::<Tcti>().is_ok());
    assert!("banana".parse::<Tcti>().is_err());
}

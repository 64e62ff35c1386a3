//! The TPM module against a software TPM, one for each test.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

use quantumd::tpm::{self, Conditions, Proofs, Sealed, Tcti, TpmError};
use quantumos_harness::Swtpm;
use quantumos_pqc::Secret;

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

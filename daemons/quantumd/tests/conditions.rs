//! What the TPM asks for before it gives the root key, against a software TPM: a PIN with its
//! dictionary-attack protection, and states of the PCRs that an authority approved.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

use quantumd::Settings;
use quantumd::keyring::{Keyring, verify};
use quantumd::tpm::{self, Conditions, Proofs, Tcti, TpmError, policy};
use quantumos_harness::Swtpm;
use quantumos_pqc::boot_policy::{self, Authority};
use quantumos_pqc::{Algorithm, Secret, pin_value};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use tss_esapi::Context;
use tss_esapi::constants::PropertyTag;
use tss_esapi::handles::PcrHandle;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Digest, DigestValues, PcrSelectionList, PcrSlot};

fn start() -> (Swtpm, Tcti) {
    let swtpm = Swtpm::start().unwrap();
    let tcti = swtpm.tcti().parse().unwrap();
    (swtpm, tcti)
}

fn raw(swtpm: &Swtpm) -> Context {
    Context::new(swtpm.tcti().parse().unwrap()).unwrap()
}

/// An RSA key in PEM, made by openssl, and its public half.
fn authority_key() -> (Vec<u8>, Authority) {
    let run = |arguments: &[&str], input: &[u8]| {
        use std::io::Write;
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    };
    let private = run(
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ],
        b"",
    );
    let public = run(&["pkey", "-pubout"], &private);
    (private, Authority::from_pem(&public).unwrap())
}

fn pcrs(swtpm: &Swtpm) -> BTreeMap<u8, [u8; 32]> {
    let selection = PcrSelectionList::builder()
        .with_selection(HashingAlgorithm::Sha256, &[PcrSlot::Slot7, PcrSlot::Slot11])
        .build()
        .unwrap();
    let (_, _, values) = raw(swtpm)
        .execute_without_session(|c| c.pcr_read(selection))
        .unwrap();
    let value = |at: usize| values.value()[at].value().try_into().unwrap();
    BTreeMap::from([(7, value(0)), (11, value(1))])
}

fn extend_11(swtpm: &Swtpm) {
    let mut values = DigestValues::new();
    values.set(
        HashingAlgorithm::Sha256,
        Digest::try_from(vec![1; 32]).unwrap(),
    );
    raw(swtpm)
        .execute_with_session(Some(AuthSession::Password), |c| {
            c.pcr_extend(PcrHandle::Pcr11, values)
        })
        .unwrap();
}

/// The present state, approved, as the file has it.
fn approved(swtpm: &Swtpm, private: &[u8]) -> String {
    let policy = boot_policy::pcr_policy(&pcrs(swtpm)).unwrap();
    let (authority, signature) = boot_policy::approve(private, &policy).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    use base64::Engine as _;
    let signature = base64::engine::general_purpose::STANDARD.encode(signature);
    let (key, policy) = (hex(&authority.fingerprint()), hex(&policy));
    format!(
        r#"{{"sha256":[{{"pcrs":[7,11],"pkfp":"{key}","pol":"{policy}","sig":"{signature}"}}]}}"#
    )
}

#[test]
fn wrong_pins_are_counted_and_lock_the_tpm() {
    let (swtpm, tcti) = start();
    let (secret, pin) = (Secret::random().unwrap(), pin_value(b"123456").unwrap());
    let conditions = Conditions {
        pin: Some(&pin),
        ..Conditions::default()
    };
    let sealed = tpm::seal(&tcti, &secret, &conditions).unwrap();
    let unseal = |pin: Option<&Secret<32>>| {
        let proofs = Proofs {
            pin,
            ..Proofs::default()
        };
        tpm::unseal(&tcti, &sealed, &proofs)
    };
    assert_eq!(unseal(Some(&pin)).unwrap(), secret);
    assert_eq!(unseal(None), Err(TpmError::PinNeeded));
    let mut context = raw(&swtpm);
    let most = context
        .get_tpm_property(PropertyTag::MaxAuthFail)
        .unwrap()
        .unwrap();
    let interval = context
        .get_tpm_property(PropertyTag::LockoutInterval)
        .unwrap();
    drop(context);
    let wrong = pin_value(b"123457").unwrap();
    for left in (0..most).rev() {
        assert_eq!(
            unseal(Some(&wrong)),
            Err(TpmError::WrongPin {
                left: Some(left),
                seconds: interval
            })
        );
    }
    // Locked: also for who has the right one, with the time that it takes.
    let error = unseal(Some(&pin)).unwrap_err();
    assert_eq!(error, TpmError::Lockout { seconds: interval });
    let text = error.to_string();
    assert!(
        text.contains(&format!("{} seconds", interval.unwrap())),
        "{text}"
    );
    // What asks for no PIN stands outside.
    let free = tpm::seal(&tcti, &secret, &Conditions::default()).unwrap();
    assert_eq!(
        tpm::unseal(&tcti, &free, &Proofs::default()).unwrap(),
        secret
    );
}

#[test]
fn only_approved_states_open_and_nothing_secret_is_on_the_wire() {
    let (swtpm, tcti) = start();
    let (private, authority) = authority_key();
    let (secret, pin) = (Secret::random().unwrap(), pin_value(b"a PIN").unwrap());
    let conditions = Conditions {
        pin: Some(&pin),
        authority: Some(&authority),
    };
    swtpm.record();
    let sealed = tpm::seal(&tcti, &secret, &conditions).unwrap();
    let open = |approvals: &str, pin| {
        let approvals = policy::approvals(approvals.as_bytes()).unwrap();
        let proofs = Proofs {
            pin: Some(pin),
            approvals: &approvals,
        };
        tpm::unseal(&tcti, &sealed, &proofs)
    };
    let first = approved(&swtpm, &private);
    assert_eq!(open(&first, &pin).unwrap(), secret);
    let traffic = swtpm.recorded();
    for hidden in [secret.expose(), pin.expose()] {
        for part in hidden.chunks(8) {
            let shown = traffic.windows(8).any(|window| window == part);
            assert!(!shown, "a part of a secret passed in the clear");
        }
    }
    let wrong = pin_value(b"another PIN").unwrap();
    assert!(matches!(
        open(&first, &wrong),
        Err(TpmError::WrongPin { .. })
    ));
    assert_eq!(
        open("{}", &pin),
        Err(TpmError::NotApproved { looked_at: 0 })
    );

    extend_11(&swtpm);
    assert_eq!(
        open(&first, &pin),
        Err(TpmError::NotApproved { looked_at: 1 })
    );
    // Approved by somebody else, in the authority's name: the TPM does not take it.
    let (other, _) = authority_key();
    let foreign = approved(&swtpm, &other);
    assert_eq!(
        open(&foreign, &pin),
        Err(TpmError::NotApproved { looked_at: 0 })
    );
    let name = |text: &str| text.split('"').nth(6 + 1).unwrap().to_owned();
    let forged = foreign.replace(&name(&foreign), &name(&first));
    assert_eq!(open(&forged, &pin), Err(TpmError::BadApproval));
    // The new state, approved: no reseal is needed.
    assert_eq!(open(&approved(&swtpm, &private), &pin).unwrap(), secret);
}

fn settings(swtpm: &Swtpm, directory: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.tpm.tcti = swtpm.tcti();
    settings.protection.pcr_signature = directory.join("approvals.json");
    settings
}

fn signs(keyring: &Keyring) {
    for record in keyring.records() {
        let signature = keyring.sign(record.id, b"m", b"").unwrap();
        assert!(verify(&record, None, b"m", &signature, b"").unwrap());
    }
}

#[test]
fn a_store_is_enrolled_with_a_pin_and_resealed_under_other_conditions() {
    let (swtpm, _) = start();
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let mut settings = settings(&swtpm, directory.path());
    settings.protection.pin = true;
    let keyring = Keyring::new(state.clone(), settings.clone());
    let health = keyring.bring_up();
    assert!(health.root.unwrap().contains("quantumctl keys unlock"));
    assert!(
        !state.join("root.sealed").exists(),
        "nothing is sealed without the PIN"
    );
    assert!(keyring.unlock(b"123").is_err(), "too short");
    keyring.unlock(b"first PIN").unwrap();
    assert_eq!(keyring.bring_up().conditions, ["pin"]);
    let id = keyring.create(1, Algorithm::MlDsa87, "").unwrap().id;
    drop(keyring);

    let reopen = |settings: &Settings| Keyring::new(state.clone(), settings.clone());
    let keyring = reopen(&settings);
    keyring.bring_up();
    assert!(!keyring.is_open());
    assert!(
        keyring
            .unlock(b"wrong PIN")
            .unwrap_err()
            .to_string()
            .contains("wrong PIN")
    );
    keyring.unlock(b"first PIN").unwrap();
    signs(&keyring);

    // Another PIN, and approved states only.
    let (private, authority) = authority_key();
    let pem = directory.path().join("authority.pem");
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(authority.der());
    let text = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    std::fs::write(&pem, text).unwrap();
    settings.protection.pcr_public_key = pem;
    keyring.reconfigure(settings.clone());
    let old_file = std::fs::read(state.join("root.sealed")).unwrap();
    assert!(
        keyring.reseal(Some(b"first PIN"), None).is_err(),
        "configuration asks for a PIN"
    );
    assert_eq!(std::fs::read(state.join("root.sealed")).unwrap(), old_file);
    keyring
        .reseal(Some(b"first PIN"), Some(b"second PIN"))
        .unwrap();
    signs(&keyring);
    drop(keyring);

    let keyring = reopen(&settings);
    let error = keyring.unlock(b"second PIN").unwrap_err().to_string();
    assert!(error.contains("no approved state"), "{error}");
    let approvals = settings.protection.pcr_signature.clone();
    std::fs::write(&approvals, approved(&swtpm, &private)).unwrap();
    assert!(keyring.unlock(b"first PIN").is_err());
    keyring.unlock(b"second PIN").unwrap();
    assert_eq!(keyring.bring_up().conditions, ["pin", "pcr"]);
    signs(&keyring);

    // What the old root key opened is gone: with its file back, nothing opens.
    drop(keyring);
    std::fs::write(state.join("root.sealed"), old_file).unwrap();
    let keyring = reopen(&settings);
    let error = keyring.unlock(b"first PIN").unwrap_err().to_string();
    assert!(error.contains("another root key"), "{error}");
    assert!(keyring.sign(id, b"m", b"").is_err());
}

/// The moments of a reseal: the new root key is beside the old one, and the store knows the one or
/// the other. Each is made here as a crash would leave it.
#[test]
fn a_reseal_cut_short_leaves_the_old_root_key_or_the_new_one() {
    let (swtpm, _) = start();
    let directory = tempfile::tempdir().unwrap();
    let (state, settings) = (
        directory.path().join("s"),
        settings(&swtpm, directory.path()),
    );
    std::fs::create_dir(&state).unwrap();
    let open = || {
        let keyring = Keyring::new(state.clone(), settings.clone());
        let health = keyring.bring_up();
        assert_eq!((health.store, health.root), (None, None));
        signs(&keyring);
        assert!(!state.join("root.next").exists());
        keyring
    };
    let keyring = open();
    keyring.create(1, Algorithm::MlDsa87, "").unwrap();
    let old = std::fs::read(state.join("root.sealed")).unwrap();
    // A torn draft, and a whole one that the store does not know.
    for next in [&b"QRO"[..], &old] {
        std::fs::write(state.join("root.next"), next).unwrap();
        std::fs::write(state.join("root.next.new"), b"half").unwrap();
        open();
    }
    open().reseal(None, None).unwrap();
    let new = std::fs::read(state.join("root.sealed")).unwrap();
    assert_ne!(old, new);
    // Committed, but not moved yet.
    std::fs::write(state.join("root.sealed"), &old).unwrap();
    std::fs::write(state.join("root.next"), &new).unwrap();
    open();
    assert_eq!(std::fs::read(state.join("root.sealed")).unwrap(), new);
}

//! Policies spelled out byte by byte; keys and approvals against the library's own encodings.

use super::*;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// A private key made for this test by the library, in PEM.
fn private() -> String {
    let key = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
    let body = STANDARD.encode(der.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

#[test]
fn pcr_policies_are_those_of_part_three() {
    // H(0 || TPM_CC_PolicyPCR || selection of 16 || H(zeroes)), spelled out. That a TPM comes to
    // the same is shown by quantumd's tests.
    let zero = BTreeMap::from([(16, [0; 32])]);
    let expected = sha256(&[
        &[0; 32],
        &hex("0000017f00000001000b03000001"),
        &hex("66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"),
    ]);
    assert_eq!(pcr_policy(&zero).unwrap(), expected);
    let both = BTreeMap::from([(7, [1; 32]), (11, [2; 32])]);
    let other = BTreeMap::from([(7, [2; 32]), (11, [1; 32])]);
    assert_ne!(pcr_policy(&both).unwrap(), pcr_policy(&other).unwrap());
    assert!(pcr_policy(&BTreeMap::new()).is_err());
    assert!(pcr_policy(&BTreeMap::from([(24, [0; 32])])).is_err());
}

#[test]
fn an_approval_verifies_with_the_key_it_names() {
    let private = private();
    let (authority, signature) = approve(private.as_bytes(), &[7; 32]).unwrap();
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
        authority.der(),
    );
    key.verify(&[7; 32], &signature).unwrap();
    assert!(key.verify(&[8; 32], &signature).is_err());
    assert_eq!(
        (authority.modulus().len(), authority.exponent()),
        (256, 65537)
    );
    let body = STANDARD.encode(authority.der());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    assert_eq!(Authority::from_pem(pem.as_bytes()).unwrap(), authority);
    assert!(Authority::from_pem(private.as_bytes()).is_err());
    assert!(approve(pem.as_bytes(), &[7; 32]).is_err());
}

#[test]
fn a_cut_key_is_none() {
    let (authority, _) = approve(private().as_bytes(), &[7; 32]).unwrap();
    for len in 0..authority.der().len() {
        assert!(Authority::from_der(&authority.der()[..len]).is_err());
    }
    assert!(Authority::from_der(&[authority.der(), &[0]].concat()).is_err());
}

#[test]
fn policies_tell_pin_and_key_apart() {
    let all = [
        authorised_policy(b"one", false),
        authorised_policy(b"one", true),
        authorised_policy(b"two", false),
    ];
    assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
}

proptest! {
    #[test]
    fn parsers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Authority::from_der(&bytes);
        let _ = Authority::from_pem(&bytes);
    }
}

//! ML-DSA-87 as keys of quantumd have it, against the library that does it, called bare. Each round times
//! one of each, so that whatever slows the machine slows both.

use std::time::Instant;

use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_87, ML_DSA_87_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};
use quantumos_pqc::{Secret, Signature, SigningKey};

use crate::{Failure, Print};

const ROUNDS: usize = 3000;
const MESSAGE: [u8; 64] = [7; 64];

fn library<E>(_: E) -> Failure {
    "AWS-LC failed".into()
}

/// Measures signing, checking and verifying.
///
/// # Errors
/// When a signature does not verify.
pub(super) fn measure(print: Print<'_>) -> Result<(), Failure> {
    let seed = Secret::<32>::random()?;
    let bare = PqdsaKeyPair::from_seed(&ML_DSA_87_SIGNING, seed.expose()).map_err(library)?;
    let ours = SigningKey::from_seed(&seed)?;
    if bare.public_key().as_ref() != ours.public_key().as_bytes() {
        return Err("one seed gives two public keys".into());
    }
    let mut out = vec![0; ML_DSA_87_SIGNING.signature_len()];
    let mut times: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(timed(|| {
            bare.sign(&MESSAGE, &mut out).map_err(library).map(drop)
        })?);
        times[1].push(timed(|| {
            Ok(ours.sign_unchecked(&MESSAGE, b"").map(drop)?)
        })?);
        times[2].push(timed(|| Ok(ours.sign(&MESSAGE, b"").map(drop)?))?);
        let public = UnparsedPublicKey::new(&ML_DSA_87, bare.public_key().as_ref());
        times[3].push(timed(|| public.verify(&MESSAGE, &out).map_err(library))?);
        let signature = Signature::from_bytes(&out)?;
        times[4].push(timed(|| {
            let valid = ours.public_key().verify(&MESSAGE, &signature, b"")?;
            valid
                .then_some(())
                .ok_or_else(|| "it does not verify".into())
        })?);
    }
    let [raw_sign, sign, checked, raw_verify, verify] = times.map(median);
    let peer = "aws-lc-rs";
    for (name, value, raw) in [
        ("crypto.ml-dsa-87-sign", sign, raw_sign),
        ("crypto.ml-dsa-87-sign-and-check", checked, raw_sign),
        ("crypto.ml-dsa-87-verify", verify, raw_verify),
    ] {
        print(name, value, "us", peer, Some(raw / value));
    }
    // The second implementation's part of each signature, by itself.
    print("crypto.ml-dsa-87-check", checked - sign, "us", "", None);
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<(), Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

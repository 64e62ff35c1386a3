//! Satisfies the policy of a sealed object whose authority signs states of the PCRs: picks the
//! approved policy that the PCRs have now, has the TPM check its signature, and never compares
//! PCR values itself. Approvals are read in the form of systemd's tpm2-pcr-signature.json.

use super::TpmError;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use quantumos_pqc::boot_policy::{Authority, LAST_PCR, approval, sha256};
use serde::Deserialize;
use std::collections::BTreeMap;
use tss_esapi::Context;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    Digest, Nonce, PcrSelectionList, PcrSlot, Public, PublicBuilder, PublicKeyRsa,
    PublicRsaParametersBuilder, RsaExponent, RsaScheme, RsaSignature, Signature,
};
use tss_esapi::traits::Marshall;

/// One approved state of the PCRs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Which PCRs, of the SHA-256 bank.
    pub pcrs: Vec<u8>,
    /// Fingerprint of the key that signed.
    pub key: [u8; 32],
    /// The policy digest that those PCRs give.
    pub policy: [u8; 32],
    /// PKCS #1 v1.5 signature over it.
    pub signature: Vec<u8>,
}

/// The most bytes of a file of approvals.
pub const APPROVALS_MAX: usize = 1 << 20;

#[derive(Deserialize)]
struct Entry {
    pcrs: Vec<u8>,
    pkfp: String,
    pol: String,
    sig: String,
}

/// Reads the approvals for the SHA-256 bank; other banks are not looked at.
///
/// # Errors
/// What is wrong, in words.
pub fn approvals(json: &[u8]) -> Result<Vec<Approval>, String> {
    let banks: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let Some(bank) = banks.get("sha256") else {
        return Ok(Vec::new());
    };
    let entries: Vec<Entry> =
        serde_json::from_value(bank.clone()).map_err(|e| format!("sha256: {e}"))?;
    let read = |(at, entry): (usize, Entry)| {
        let bad = |what: &str| format!("sha256[{at}].{what}");
        if entry.pcrs.is_empty() || entry.pcrs.iter().any(|pcr| *pcr > LAST_PCR) {
            return Err(bad("pcrs: numbers from 0 to 23 are expected"));
        }
        Ok(Approval {
            pcrs: entry.pcrs,
            key: digest(&entry.pkfp).ok_or_else(|| bad("pkfp: 64 hexadecimal digits expected"))?,
            policy: digest(&entry.pol).ok_or_else(|| bad("pol: 64 hexadecimal digits expected"))?,
            signature: STANDARD
                .decode(&entry.sig)
                .map_err(|e| bad(&format!("sig: {e}")))?,
        })
    };
    entries.into_iter().enumerate().map(read).collect()
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(out)
}

/// The TPM's form of the authority's key, and its Name.
pub(super) fn authority_key(authority: &Authority) -> Result<(Public, Vec<u8>), TpmError> {
    let fail = |e| TpmError::from_tss("the PCR authority's key", e);
    let bits = match authority.modulus().len() {
        256 => RsaKeyBits::Rsa2048,
        384 => RsaKeyBits::Rsa3072,
        _ => RsaKeyBits::Rsa4096,
    };
    let attributes = ObjectAttributesBuilder::new()
        .with_user_with_auth(true)
        .with_sign_encrypt(true)
        .build()
        .map_err(fail)?;
    let parameters = PublicRsaParametersBuilder::new()
        .with_scheme(RsaScheme::Null)
        .with_key_bits(bits)
        .with_exponent(RsaExponent::create(authority.exponent()).map_err(fail)?)
        .with_is_signing_key(true)
        .build()
        .map_err(fail)?;
    let public = PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Rsa)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_rsa_parameters(parameters)
        .with_rsa_unique_identifier(
            PublicKeyRsa::try_from(authority.modulus().to_vec()).map_err(fail)?,
        )
        .build()
        .map_err(fail)?;
    let marshalled = public.marshall().map_err(fail)?;
    let name = [&[0, 0x0b][..], &sha256(&[&marshalled])].concat();
    Ok((public, name))
}

/// Brings a policy session to the state that the sealed object's policy asks for.
pub(super) fn satisfy(
    context: &mut Context,
    session: AuthSession,
    authority: &Authority,
    approvals: &[Approval],
    pin: bool,
) -> Result<(), TpmError> {
    const STEP: &str = "satisfying the PCR policy";
    let fail = |e| TpmError::from_tss(STEP, e);
    let AuthSession::PolicySession(policy) = session else {
        return Err(TpmError::Failure { step: STEP });
    };
    let ours = authority.fingerprint();
    let mut looked_at = 0;
    for candidate in approvals.iter().filter(|approval| approval.key == ours) {
        looked_at += 1;
        let now = present(context, policy, &candidate.pcrs)?;
        if now == candidate.policy {
            return approve(context, policy, authority, candidate, pin);
        }
        context
            .execute_without_session(|c| c.policy_restart(policy))
            .map_err(fail)?;
    }
    Err(TpmError::NotApproved { looked_at })
}

/// Asks for the PCRs as they are, and gives the digest that the policy session then has.
fn present(
    context: &mut Context,
    policy: PolicySession,
    pcrs: &[u8],
) -> Result<[u8; 32], TpmError> {
    const STEP: &str = "reading the PCRs";
    let fail = |e| TpmError::from_tss(STEP, e);
    let slots = pcrs
        .iter()
        .map(|pcr| PcrSlot::try_from(1u32 << pcr).map_err(fail))
        .collect::<Result<Vec<_>, _>>()?;
    let selection = PcrSelectionList::builder()
        .with_selection(HashingAlgorithm::Sha256, &slots)
        .build()
        .map_err(fail)?;
    context
        .execute_without_session(|c| c.policy_pcr(policy, Digest::default(), selection))
        .map_err(fail)?;
    let digest = context
        .execute_without_session(|c| c.policy_get_digest(policy))
        .map_err(fail)?;
    digest
        .value()
        .try_into()
        .map_err(|_| TpmError::Failure { step: STEP })
}

/// Has the TPM check the signature and replace the PCR policy by the authority's.
fn approve(
    context: &mut Context,
    policy: PolicySession,
    authority: &Authority,
    candidate: &Approval,
    pin: bool,
) -> Result<(), TpmError> {
    const STEP: &str = "checking the PCR authority's signature";
    let fail = |e| TpmError::from_tss(STEP, e);
    let (public, _) = authority_key(authority)?;
    let key: KeyHandle = context
        .execute_without_session(|c| c.load_external_public(public, Hierarchy::Owner))
        .map_err(fail)?;
    let name = super::root::name_of(context, key.into())?;
    let name = tss_esapi::structures::Name::try_from(name).map_err(fail)?;
    let signature = PublicKeyRsa::try_from(candidate.signature.clone())
        .and_then(|bytes| RsaSignature::create(HashingAlgorithm::Sha256, bytes))
        .map(Signature::RsaSsa)
        .map_err(|_| TpmError::BadApproval)?;
    let hash = Digest::try_from(approval(&candidate.policy).to_vec()).map_err(fail)?;
    let ticket = context
        .execute_without_session(|c| c.verify_signature(key, hash, signature))
        .map_err(|_| TpmError::BadApproval);
    context.flush_context(key.into()).map_err(fail)?;
    let approved = Digest::try_from(candidate.policy.to_vec()).map_err(fail)?;
    let ticket = ticket?;
    context
        .execute_without_session(|c| {
            c.policy_authorize(policy, approved, Nonce::default(), &name, ticket)
        })
        .map_err(fail)?;
    if pin {
        context
            .execute_without_session(|c| c.policy_auth_value(policy))
            .map_err(fail)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approvals_are_read_as_systemd_writes_them() {
        let hex = "ab".repeat(32);
        let good = format!(
            r#"{{"sha1":[],"sha256":[{{"pcrs":[7,11],"pkfp":"{hex}","pol":"{hex}","sig":"AAEC"}}]}}"#
        );
        let read = approvals(good.as_bytes()).unwrap();
        assert_eq!(read[0].pcrs, [7, 11]);
        assert_eq!((read[0].key, read[0].policy), ([0xab; 32], [0xab; 32]));
        assert_eq!(read[0].signature, [0, 1, 2]);
        assert_eq!(approvals(b"{}").unwrap(), []);
        for (bad, words) in [
            ("[]".into(), "map"),
            (good.replace("[7,11]", "[24]"), "sha256[0].pcrs"),
            (good.replace("[7,11]", "[]"), "sha256[0].pcrs"),
            (good.replacen("abab", "abax", 1), "sha256[0].pkfp"),
            (good.replace("AAEC", "?"), "sha256[0].sig"),
            (good.replace(r#","sig":"AAEC""#, ""), "missing field `sig`"),
        ] {
            let error = approvals(bad.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}

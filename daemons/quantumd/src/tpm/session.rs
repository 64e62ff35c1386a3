//! Sessions with the TPM. Each is salted to the storage root key, so that only the TPM that has the
//! key can know the session's secret, and encrypts the first parameter both ways with AES-128-CFB.

use super::TpmError;
use tss_esapi::Context;
use tss_esapi::attributes::SessionAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::SymmetricDefinition;

/// Starts a session of this kind.
pub(super) fn salted(
    context: &mut Context,
    root: KeyHandle,
    kind: SessionType,
) -> Result<AuthSession, TpmError> {
    const STEP: &str = "starting a salted session";
    let fail = |e| TpmError::from_tss(STEP, e);
    let session = context
        .execute_without_session(|c| {
            c.start_auth_session(
                Some(root),
                None,
                None,
                kind,
                SymmetricDefinition::AES_128_CFB,
                HashingAlgorithm::Sha256,
            )
        })
        .map_err(fail)?
        .ok_or(TpmError::Failure { step: STEP })?;
    let (attributes, mask) = SessionAttributesBuilder::new()
        .with_continue_session(true)
        .with_decrypt(true)
        .with_encrypt(true)
        .build();
    context
        .tr_sess_set_attributes(session, attributes, mask)
        .map_err(fail)?;
    Ok(session)
}

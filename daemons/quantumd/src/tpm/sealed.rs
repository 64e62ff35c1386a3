//! The sealed object: what it is created from, and how its conditions are proven to get it back.

use super::error::is_bad_blob;
use super::policy::{self, Approval};
use super::{TpmError, session};
use quantumos_pqc::Secret;
use quantumos_pqc::boot_policy::{Authority, authorised_policy};
use tss_esapi::Context;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::{PropertyTag, SessionType};
use tss_esapi::handles::{KeyHandle, ObjectHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    Auth, Digest, KeyedHashScheme, Private, Public, PublicBuilder, PublicKeyedHashParameters,
    SensitiveData,
};
use tss_esapi::traits::{Marshall, UnMarshall};

/// A root key sealed by a TPM, as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Name (hash algorithm and digest of the public area) of the storage root key.
    pub root_name: Vec<u8>,
    /// Public area of the sealed object (TPMT_PUBLIC).
    pub public: Vec<u8>,
    /// Its private area, encrypted by the storage root key (TPM2B_PRIVATE without its size).
    pub private: Vec<u8>,
    /// Whether it asks for a PIN.
    pub pin: bool,
    /// Who approves states of the PCRs, when it asks for an approved one.
    pub authority: Option<Authority>,
}

/// What unsealing is to ask for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// A PIN, as [`quantumos_pqc::pin_value`] gives it.
    pub pin: Option<&'a Secret<32>>,
    /// An approved state of the PCRs.
    pub authority: Option<&'a Authority>,
}

/// What meets the conditions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proofs<'a> {
    /// The PIN.
    pub pin: Option<&'a Secret<32>>,
    /// The approvals at hand.
    pub approvals: &'a [Approval],
}

/// The TPM drops zeroes at the end of an authorisation value; so does who computes with it.
fn auth(pin: &Secret<32>) -> Result<Auth, TpmError> {
    let bytes = pin.expose();
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    Auth::try_from(&bytes[..used]).map_err(|e| TpmError::from_tss("the PIN", e))
}

/// Creates the sealed object.
pub(super) fn create(
    context: &mut Context,
    root: KeyHandle,
    root_name: Vec<u8>,
    secret: &Secret<32>,
    conditions: &Conditions<'_>,
) -> Result<Sealed, TpmError> {
    let fail = |e| TpmError::from_tss("seal", e);
    let template = template(conditions)?;
    let pin = conditions.pin.map(auth).transpose()?;
    let sensitive = SensitiveData::try_from(secret.expose().to_vec()).map_err(fail)?;
    let session = session::salted(context, root, SessionType::Hmac)?;
    let made = context
        .execute_with_session(Some(session), |c| {
            c.create(root, template, pin, Some(sensitive), None, None)
        })
        .map_err(fail)?;
    Ok(Sealed {
        root_name,
        public: made.out_public.marshall().map_err(fail)?,
        private: made.out_private.value().to_vec(),
        pin: conditions.pin.is_some(),
        authority: conditions.authority.cloned(),
    })
}

/// Loads the sealed object and proves what it asks for.
pub(super) fn unseal(
    context: &mut Context,
    root: KeyHandle,
    sealed: &Sealed,
    proofs: &Proofs<'_>,
) -> Result<Secret<32>, TpmError> {
    if sealed.pin && proofs.pin.is_none() {
        return Err(TpmError::PinNeeded);
    }
    let public = Public::unmarshall(&sealed.public).map_err(|_| TpmError::NotItsBlob)?;
    let private = Private::try_from(sealed.private.clone()).map_err(|_| TpmError::NotItsBlob)?;
    let session = session::salted(context, root, SessionType::Hmac)?;
    let object: ObjectHandle = context
        .execute_with_session(Some(session), |c| c.load(root, private, public))
        .map_err(|error| {
            if is_bad_blob(&error) {
                TpmError::NotItsBlob
            } else {
                TpmError::from_tss("loading the sealed root key", error)
            }
        })?
        .into();
    let opened = match &sealed.authority {
        Some(authority) => session::salted(context, root, SessionType::Policy).and_then(|policy| {
            policy::satisfy(context, policy, authority, proofs.approvals, sealed.pin)?;
            open(context, policy, object, sealed, proofs)
        }),
        None => open(context, session, object, sealed, proofs),
    };
    let flushed = context
        .flush_context(object)
        .map_err(|e| TpmError::from_tss("unsealing the root key", e));
    let secret = opened?;
    flushed.map(|()| secret)
}

fn open(
    context: &mut Context,
    session: AuthSession,
    object: ObjectHandle,
    sealed: &Sealed,
    proofs: &Proofs<'_>,
) -> Result<Secret<32>, TpmError> {
    const STEP: &str = "unsealing the root key";
    if let Some(pin) = proofs.pin.filter(|_| sealed.pin) {
        let value = auth(pin)?;
        context
            .tr_set_auth(object, value)
            .map_err(|e| TpmError::from_tss(STEP, e))?;
    }
    match context.execute_with_session(Some(session), |c| c.unseal(object)) {
        Ok(data) => {
            Secret::from_slice("sealed root key", data.value()).map_err(|_| TpmError::NotItsBlob)
        }
        Err(error) => Err(explain(
            context,
            TpmError::from_tss(STEP, error),
            sealed.pin,
        )),
    }
}

/// Adds what the TPM says of its dictionary-attack protection to an error that has to do with it.
fn explain(context: &mut Context, error: TpmError, pin: bool) -> TpmError {
    let mut property = |tag| context.get_tpm_property(tag).ok().flatten();
    match error {
        TpmError::Authorisation { .. } if pin => {
            let (most, used) = (
                property(PropertyTag::MaxAuthFail),
                property(PropertyTag::LockoutCounter),
            );
            TpmError::WrongPin {
                left: most.zip(used).map(|(most, used)| most.saturating_sub(used)),
                seconds: property(PropertyTag::LockoutInterval),
            }
        }
        TpmError::Lockout { .. } => TpmError::Lockout {
            seconds: property(PropertyTag::LockoutInterval),
        },
        other => other,
    }
}

/// A sealed data object that can't be moved. With a PIN it counts for dictionary-attack protection;
/// without one there is no value to guess, and it stands outside.
fn template(conditions: &Conditions<'_>) -> Result<Public, TpmError> {
    let fail = |e| TpmError::from_tss("the sealed object's template", e);
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_user_with_auth(conditions.authority.is_none())
        .with_no_da(conditions.pin.is_none())
        .build()
        .map_err(fail)?;
    let policy = match conditions.authority {
        Some(authority) => {
            let (_, name) = policy::authority_key(authority)?;
            Digest::try_from(authorised_policy(&name, conditions.pin.is_some()).to_vec())
                .map_err(fail)?
        }
        None => Digest::default(),
    };
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(policy)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()
        .map_err(fail)
}

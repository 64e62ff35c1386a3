//! The storage root key at 0x81000001: found there or created from the TCG's template, and compared
//! with the Name that was pinned at enrolment before anything is entrusted to it.

use super::TpmError;
use super::error::is_no_such_handle;
use tss_esapi::Context;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::{Hierarchy, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    EccParameter, EccPoint, EccScheme, KeyDerivationFunctionScheme, Public, PublicBuilder,
    PublicEccParametersBuilder, SymmetricDefinitionObject,
};

/// Where the storage root key is, by the TCG's provisioning guidance.
const ROOT_HANDLE: u32 = 0x8100_0001;

/// The storage root key and its Name, which must be `pinned` where that is given. ESYS checks that
/// the public area, to which sessions are salted, has the Name that it gives.
pub(super) fn storage_root(
    context: &mut Context,
    pinned: Option<&[u8]>,
) -> Result<(KeyHandle, Vec<u8>), TpmError> {
    const STEP: &str = "reading the storage root key";
    let handle = PersistentTpmHandle::new(ROOT_HANDLE).map_err(|e| TpmError::from_tss(STEP, e))?;
    let found =
        context.execute_without_session(|c| c.tr_from_tpm_public(TpmHandle::Persistent(handle)));
    match found {
        Ok(root) => {
            let name = name_of(context, root)?;
            check_pinned(&name, pinned)?;
            Ok((root.into(), name))
        }
        Err(error) if is_no_such_handle(&error) => create_storage_root(context, handle, pinned),
        Err(error) => Err(TpmError::from_tss(STEP, error)),
    }
}

/// Creates the storage root key. The template makes the same key of the same TPM, so one that was
/// evicted only comes back with its Name; a cleared TPM gives another and nothing is written to it.
fn create_storage_root(
    context: &mut Context,
    handle: PersistentTpmHandle,
    pinned: Option<&[u8]>,
) -> Result<(KeyHandle, Vec<u8>), TpmError> {
    const STEP: &str = "creating the storage root key";
    let fail = |e| TpmError::from_tss(STEP, e);
    let template = storage_root_template()?;
    let primary = context
        .execute_with_session(Some(AuthSession::Password), |c| {
            c.create_primary(Hierarchy::Owner, template, None, None, None, None)
        })
        .map_err(fail)?
        .key_handle;
    let name = name_of(context, primary.into())?;
    check_pinned(&name, pinned)?;
    let root = context
        .execute_with_session(Some(AuthSession::Password), |c| {
            c.evict_control(
                Provision::Owner,
                primary.into(),
                Persistent::Persistent(handle),
            )
        })
        .map_err(fail)?;
    context.flush_context(primary.into()).map_err(fail)?;
    Ok((root.into(), name))
}

pub(super) fn name_of(context: &mut Context, object: ObjectHandle) -> Result<Vec<u8>, TpmError> {
    context
        .tr_get_name(object)
        .map(|name| name.value().to_vec())
        .map_err(|e| TpmError::from_tss("reading a Name", e))
}

fn check_pinned(name: &[u8], pinned: Option<&[u8]>) -> Result<(), TpmError> {
    let short = |name: &[u8]| -> String {
        name.iter()
            .take(10)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    match pinned {
        Some(pinned) if pinned != name => Err(TpmError::OtherTpm {
            found: short(name),
            pinned: short(pinned),
        }),
        _ => Ok(()),
    }
}

/// Somebody else may have put an object there: it must be able to be a parent, and stay.
pub(super) fn check_storage_key(context: &mut Context, root: KeyHandle) -> Result<(), TpmError> {
    let (public, _, _) = context
        .execute_without_session(|c| c.read_public(root))
        .map_err(|e| TpmError::from_tss("reading the storage root key", e))?;
    let attributes = match public {
        Public::Ecc {
            object_attributes, ..
        }
        | Public::Rsa {
            object_attributes, ..
        } => object_attributes,
        _ => return Err(TpmError::UnusableRoot("neither ECC nor RSA")),
    };
    if !(attributes.restricted() && attributes.decrypt() && !attributes.sign_encrypt()) {
        return Err(TpmError::UnusableRoot("not a restricted decryption key"));
    }
    if !(attributes.fixed_tpm() && attributes.fixed_parent()) {
        return Err(TpmError::UnusableRoot("it may leave the TPM"));
    }
    Ok(())
}

/// TCG EK Credential Profile's storage template for ECC P-256, as the provisioning guidance
/// changes it for the storage root key: user authorisation, no dictionary-attack protection, no
/// policy, and a zero-filled point.
fn storage_root_template() -> Result<Public, TpmError> {
    let fail = |e| TpmError::from_tss("the storage root key's template", e);
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_decrypt(true)
        .build()
        .map_err(fail)?;
    let parameters = PublicEccParametersBuilder::new()
        .with_symmetric(SymmetricDefinitionObject::AES_128_CFB)
        .with_ecc_scheme(EccScheme::Null)
        .with_curve(EccCurve::NistP256)
        .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
        .with_is_signing_key(false)
        .with_is_decryption_key(true)
        .with_restricted(true)
        .build()
        .map_err(fail)?;
    let zero = || EccParameter::try_from(vec![0; 32]).map_err(fail);
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(EccPoint::new(zero()?, zero()?))
        .build()
        .map_err(fail)
}

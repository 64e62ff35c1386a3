//! The TPM: seals and unseals 32 bytes under the storage root key at 0x81000001. The key's Name
//! is pinned at enrolment and compared before anything else; every session is salted to that key
//! and encrypts parameters both ways, so that the secret never crosses the bus in the clear.
//! Everything here blocks. Each operation opens the TPM anew, so nothing is held between calls.

mod error;

pub use error::TpmError;

use error::{is_bad_blob, is_no_such_handle};
use quantumos_pqc::Secret;
use std::str::FromStr;
use tss_esapi::Context;
use tss_esapi::attributes::{ObjectAttributesBuilder, SessionAttributesBuilder};
use tss_esapi::constants::SessionType;
use tss_esapi::handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::{Hierarchy, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    Digest, EccParameter, EccPoint, EccScheme, KeyDerivationFunctionScheme, KeyedHashScheme,
    Private, Public, PublicBuilder, PublicEccParametersBuilder, PublicKeyedHashParameters,
    SensitiveData, SymmetricDefinition, SymmetricDefinitionObject,
};
use tss_esapi::tcti_ldr::TctiNameConf;
use tss_esapi::traits::{Marshall, UnMarshall};

/// Where the storage root key is, by the TCG's provisioning guidance.
const ROOT_HANDLE: u32 = 0x8100_0001;

/// Where the TPM is: the TSS's own notation, such as `device:/dev/tpmrm0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcti {
    text: String,
    parsed: TctiNameConf,
}

impl FromStr for Tcti {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = TctiNameConf::from_str(text).map_err(|_| {
            "expected device:PATH, swtpm:host=HOST,port=PORT, mssim:… or tabrmd:…".to_owned()
        })?;
        Ok(Self {
            text: text.into(),
            parsed,
        })
    }
}

/// A root key sealed by a TPM, as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Name (hash algorithm and digest of the public area) of the storage root key.
    pub root_name: Vec<u8>,
    /// Public area of the sealed object (TPMT_PUBLIC).
    pub public: Vec<u8>,
    /// Its private area, encrypted by the storage root key (TPM2B_PRIVATE without its size).
    pub private: Vec<u8>,
}

/// Seals `secret` under the storage root key, which is created from the TCG's template for
/// ECC P-256 when it's absent, and pins that key's Name. Unseals once to be sure.
///
/// # Errors
/// See [`TpmError`].
pub fn seal(tcti: &Tcti, secret: &Secret<32>) -> Result<Sealed, TpmError> {
    let mut context = open(tcti)?;
    let (root, root_name) = storage_root(&mut context, None)?;
    check_storage_key(&mut context, root)?;
    let session = salted_session(&mut context, root)?;
    let sensitive = SensitiveData::try_from(secret.expose().to_vec())
        .map_err(|e| TpmError::from_tss("seal", e))?;
    let template = sealed_template()?;
    let made = context
        .execute_with_session(Some(session), |c| {
            c.create(root, template, None, Some(sensitive), None, None)
        })
        .map_err(|e| TpmError::from_tss("seal", e))?;
    let sealed = Sealed {
        root_name,
        public: made
            .out_public
            .marshall()
            .map_err(|e| TpmError::from_tss("seal", e))?,
        private: made.out_private.value().to_vec(),
    };
    let back = unseal_with(&mut context, root, session, &sealed)?;
    if back == *secret {
        Ok(sealed)
    } else {
        Err(TpmError::NotItsBlob)
    }
}

/// Gives the secret back, if this is the TPM that sealed it.
///
/// # Errors
/// See [`TpmError`].
pub fn unseal(tcti: &Tcti, sealed: &Sealed) -> Result<Secret<32>, TpmError> {
    let mut context = open(tcti)?;
    let (root, _) = storage_root(&mut context, Some(&sealed.root_name))?;
    let session = salted_session(&mut context, root)?;
    unseal_with(&mut context, root, session, sealed)
}

/// Whether the TPM answers and is the one whose storage root key has this Name.
///
/// # Errors
/// See [`TpmError`].
pub fn probe(tcti: &Tcti, pinned: &[u8]) -> Result<(), TpmError> {
    storage_root(&mut open(tcti)?, Some(pinned)).map(drop)
}

/// Vendor string and firmware version, for display.
///
/// # Errors
/// See [`TpmError`].
pub fn vendor(tcti: &Tcti) -> Result<String, TpmError> {
    use tss_esapi::constants::PropertyTag;
    let mut context = open(tcti)?;
    let mut property = |tag| {
        context
            .get_tpm_property(tag)
            .map(Option::unwrap_or_default)
            .map_err(|e| TpmError::from_tss("identification", e))
    };
    let mut text = String::new();
    for tag in [
        PropertyTag::Manufacturer,
        PropertyTag::VendorString1,
        PropertyTag::VendorString2,
        PropertyTag::VendorString3,
        PropertyTag::VendorString4,
    ] {
        let word = property(tag)?.to_be_bytes();
        if tag == PropertyTag::VendorString1 {
            text.push(' ');
        }
        text.extend(
            word.iter()
                .filter(|b| b.is_ascii_graphic())
                .map(|b| char::from(*b)),
        );
    }
    let firmware = property(PropertyTag::FirmwareVersion1)?;
    Ok(format!(
        "{} {}.{}",
        text.trim(),
        firmware >> 16,
        firmware & 0xffff
    ))
}

fn open(tcti: &Tcti) -> Result<Context, TpmError> {
    Context::new(tcti.parsed.clone()).map_err(|error| {
        // The TSS says "IO error" for all causes; the device node itself says more.
        let cause = match tcti.text.strip_prefix("device:") {
            Some(path) => match std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
            {
                Ok(_) => error.to_string(),
                Err(cause) => cause.to_string(),
            },
            None => format!("cannot connect ({error})"),
        };
        TpmError::Absent {
            tcti: tcti.text.clone(),
            cause,
        }
    })
}

/// The storage root key and its Name, which must be `pinned` where that is given. ESYS checks that
/// the public area, to which sessions are salted, has the Name that it gives.
fn storage_root(
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

fn name_of(context: &mut Context, object: ObjectHandle) -> Result<Vec<u8>, TpmError> {
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
fn check_storage_key(context: &mut Context, root: KeyHandle) -> Result<(), TpmError> {
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

/// An HMAC session salted to the storage root key, with AES-128-CFB for the first parameter of
/// commands and of responses.
fn salted_session(context: &mut Context, root: KeyHandle) -> Result<AuthSession, TpmError> {
    const STEP: &str = "starting a salted session";
    let fail = |e| TpmError::from_tss(STEP, e);
    let session = context
        .execute_without_session(|c| {
            c.start_auth_session(
                Some(root),
                None,
                None,
                SessionType::Hmac,
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

fn unseal_with(
    context: &mut Context,
    root: KeyHandle,
    session: AuthSession,
    sealed: &Sealed,
) -> Result<Secret<32>, TpmError> {
    let public = Public::unmarshall(&sealed.public).map_err(|_| TpmError::NotItsBlob)?;
    let private = Private::try_from(sealed.private.clone()).map_err(|_| TpmError::NotItsBlob)?;
    let object = context
        .execute_with_session(Some(session), |c| c.load(root, private, public))
        .map_err(|error| {
            if is_bad_blob(&error) {
                TpmError::NotItsBlob
            } else {
                TpmError::from_tss("loading the sealed root key", error)
            }
        })?;
    let data = context
        .execute_with_session(Some(session), |c| c.unseal(object.into()))
        .map_err(|e| TpmError::from_tss("unsealing the root key", e))?;
    context
        .flush_context(object.into())
        .map_err(|e| TpmError::from_tss("unsealing the root key", e))?;
    Secret::from_slice("sealed root key", data.value()).map_err(|_| TpmError::NotItsBlob)
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

/// A sealed data object: it can't be moved, and is used by (empty) authorisation. It stands
/// outside dictionary-attack protection because there is no value to guess.
fn sealed_template() -> Result<Public, TpmError> {
    let fail = |e| TpmError::from_tss("the sealed object's template", e);
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .build()
        .map_err(fail)?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()
        .map_err(fail)
}

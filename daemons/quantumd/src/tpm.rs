//! The TPM: seals and unseals 32 bytes under the storage root key at 0x81000001, on condition of a
//! PIN, of an approved state of the PCRs, or both. The key's Name is pinned at enrolment and compared
//! before anything else; every session is salted to that key and encrypts parameters both ways, so
//! that neither secret nor PIN crosses the bus in the clear. Everything here blocks. Each operation
//! opens the TPM anew, so nothing is held between calls.

mod error;
pub mod policy;
mod root;
mod sealed;
mod session;

pub use error::TpmError;
pub use sealed::{Conditions, Proofs, Sealed};

use quantumos_pqc::Secret;
use root::{check_storage_key, storage_root};
use std::str::FromStr;
use tss_esapi::Context;
use tss_esapi::tcti_ldr::TctiNameConf;

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

/// Seals `secret` under the storage root key, which is created from the TCG's template for
/// ECC P-256 when it's absent, and pins that key's Name. Without a PCR authority it unseals once to
/// be sure; with one the present state need not be approved yet.
///
/// # Errors
/// See [`TpmError`].
pub fn seal(
    tcti: &Tcti,
    secret: &Secret<32>,
    conditions: &Conditions<'_>,
) -> Result<Sealed, TpmError> {
    let mut context = open(tcti)?;
    let (root, root_name) = storage_root(&mut context, None)?;
    check_storage_key(&mut context, root)?;
    let sealed = sealed::create(&mut context, root, root_name, secret, conditions)?;
    if conditions.authority.is_none() {
        let proofs = Proofs {
            pin: conditions.pin,
            approvals: &[],
        };
        if sealed::unseal(&mut context, root, &sealed, &proofs)? != *secret {
            return Err(TpmError::NotItsBlob);
        }
    }
    Ok(sealed)
}

/// Gives the secret back, if this is the TPM that sealed it and the conditions are met.
///
/// # Errors
/// See [`TpmError`].
pub fn unseal(tcti: &Tcti, sealed: &Sealed, proofs: &Proofs<'_>) -> Result<Secret<32>, TpmError> {
    let mut context = open(tcti)?;
    let (root, _) = storage_root(&mut context, Some(&sealed.root_name))?;
    sealed::unseal(&mut context, root, sealed, proofs)
}

/// Whether the TPM answers and is the one whose storage root key has this Name.
///
/// # Errors
/// See [`TpmError`].
pub fn probe(tcti: &Tcti, pinned: &[u8]) -> Result<(), TpmError> {
    storage_root(&mut open(tcti)?, Some(pinned)).map(drop)
}

/// Bytes from the TPM's own generator, over a salted session: at most 32.
///
/// # Errors
/// See [`TpmError`].
pub fn random(tcti: &Tcti, pinned: &[u8]) -> Result<Secret<32>, TpmError> {
    const STEP: &str = "drawing random bytes";
    let mut context = open(tcti)?;
    let (root, _) = storage_root(&mut context, Some(pinned))?;
    let session = session::salted(&mut context, root, tss_esapi::constants::SessionType::Hmac)?;
    let bytes = context
        .execute_with_session(Some(session), |c| c.get_random(32))
        .map_err(|e| TpmError::from_tss(STEP, e))?;
    Secret::from_slice("random bytes", bytes.value()).map_err(|_| TpmError::Failure { step: STEP })
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

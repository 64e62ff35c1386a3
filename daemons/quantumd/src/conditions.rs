//! What configuration asks of who wants the root key: a PIN, an approved state of the PCRs. Reads
//! the authority's public key and the approvals from files.

use crate::settings::Settings;
use crate::tpm::policy::{self, APPROVALS_MAX, Approval};
use crate::{Error, file};
use quantumos_pqc::boot_policy::{Authority, PEM_MAX};
use std::path::{Path, PathBuf};

/// Where systemd-stub and systemd-pcrphase leave the approvals, in the order of systemd's search.
const APPROVAL_FILES: [&str; 3] = [
    "/etc/systemd/tpm2-pcr-signature.json",
    "/run/systemd/tpm2-pcr-signature.json",
    "/usr/lib/systemd/tpm2-pcr-signature.json",
];

fn damaged(path: &Path, why: impl Into<String>) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        why: why.into(),
    }
}

/// The key that configuration names, if it names one.
///
/// # Errors
/// [`Error::File`], [`Error::Damaged`].
pub fn authority(settings: &Settings) -> Result<Option<Authority>, Error> {
    let path = &settings.protection.pcr_public_key;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let missing = || Error::file(path, std::io::ErrorKind::NotFound.into());
    let text = file::read(path, PEM_MAX)?.ok_or_else(missing)?;
    match Authority::from_pem(&text) {
        Ok(authority) => Ok(Some(authority)),
        Err(error) => Err(damaged(path, error.to_string())),
    }
}

/// The approvals at hand: from the configured file, else from the first that is there.
///
/// # Errors
/// [`Error::File`], [`Error::Damaged`].
pub fn approvals(settings: &Settings) -> Result<Vec<Approval>, Error> {
    let configured = &settings.protection.pcr_signature;
    let places: Vec<PathBuf> = if configured.as_os_str().is_empty() {
        APPROVAL_FILES.iter().map(PathBuf::from).collect()
    } else {
        vec![configured.clone()]
    };
    for path in places {
        if let Some(text) = file::read(&path, APPROVALS_MAX)? {
            return policy::approvals(&text).map_err(|why| damaged(&path, why));
        }
    }
    Ok(Vec::new())
}

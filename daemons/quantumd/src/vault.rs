//! Opens the root key: finds out how it's protected, enrols where nothing is there yet, and never
//! takes a weaker protection than the one that the store was enrolled with. Blocks.

use crate::root_file::{self, Protected, RootFile, SoftwareSealed};
use crate::settings::Settings;
use crate::tpm::{self, Tcti, TpmError};
use crate::{Error, file};
use quantumos_pqc::{Kek, RootKey, Secret};
use std::path::{Path, PathBuf};

/// What protects the root key, and with it each key, at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Sealed by the TPM.
    Tpm,
    /// Sealed by a host key file.
    Software,
}

impl Protection {
    /// The word on the bus and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tpm => "tpm",
            Self::Software => "software",
        }
    }

    /// The reverse of [`Protection::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Tpm, Self::Software]
            .into_iter()
            .find(|p| p.name() == name)
    }
}

/// An open root key. Only the key encryption keys derived from it stay in memory.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Wraps new seeds; opens those of its version.
    pub kek: Kek,
    /// How the root key is protected at rest.
    pub protection: Protection,
    /// Which root key it is.
    pub fingerprint: [u8; 16],
    /// Name of the TPM's storage root key, where there is a TPM.
    pub pinned: Option<Vec<u8>>,
}

/// The version of the key encryption key in use. Rotation, when it comes, keeps this in the store.
const KEK_VERSION: u32 = 1;

/// Where the root key file is.
#[must_use]
pub fn root_path(state: &Path) -> PathBuf {
    state.join("root.sealed")
}

fn host_key_path(state: &Path, settings: &Settings) -> PathBuf {
    let configured = &settings.protection.host_key;
    if configured.as_os_str().is_empty() {
        state.join("host.key")
    } else {
        configured.clone()
    }
}

fn tcti(settings: &Settings) -> Result<Tcti, Error> {
    let text = &settings.tpm.tcti;
    text.parse()
        .map_err(|why: String| Error::argument("tpm.tcti", why))
}

/// Opens the root key, or enrols a new one when neither the file nor `stored` (the fingerprint
/// that the key store remembers) says that there was one.
///
/// # Errors
/// See [`Error`]; nothing changes on disk then.
pub fn open(state: &Path, settings: &Settings, stored: Option<[u8; 16]>) -> Result<Opened, Error> {
    let path = root_path(state);
    let (file, root) = match file::read(&path, root_file::LIMIT)? {
        Some(bytes) => {
            let file = RootFile::from_bytes(&bytes).map_err(|why| Error::Damaged {
                path: path.clone(),
                why: why.into(),
            })?;
            let root = unprotect(state, settings, &file.protected)?;
            (file, root)
        }
        None if stored.is_some() => return Err(Error::RootMissing(path)),
        None => enrol(state, settings, &path)?,
    };
    let fingerprint = root.fingerprint()?;
    if fingerprint != file.fingerprint {
        let why = "its fingerprint is not that of the root key in it".into();
        return Err(Error::Damaged { path, why });
    }
    if stored.is_some_and(|stored| stored != fingerprint) {
        return Err(Error::OtherRoot(path));
    }
    let (protection, pinned) = match file.protected {
        Protected::Tpm(sealed) => (Protection::Tpm, Some(sealed.root_name)),
        Protected::Software(_) => (Protection::Software, None),
    };
    Ok(Opened {
        kek: root.kek(KEK_VERSION)?,
        protection,
        fingerprint,
        pinned,
    })
}

/// Whether the TPM that the root key is sealed by still answers.
///
/// # Errors
/// [`Error::Tpm`].
pub fn check(settings: &Settings, opened: &Opened) -> Result<(), Error> {
    match &opened.pinned {
        Some(name) => Ok(tpm::probe(&tcti(settings)?, name)?),
        None => Ok(()),
    }
}

/// Vendor and firmware of the TPM; empty when none answers.
#[must_use]
pub fn tpm_vendor(settings: &Settings) -> String {
    tcti(settings)
        .ok()
        .and_then(|tcti| tpm::vendor(&tcti).ok())
        .unwrap_or_default()
}

fn unprotect(state: &Path, settings: &Settings, sealed: &Protected) -> Result<RootKey, Error> {
    match sealed {
        Protected::Tpm(sealed) => Ok(RootKey::new(tpm::unseal(&tcti(settings)?, sealed)?)),
        Protected::Software(_) if !settings.protection.allow_software => {
            Err(Error::SoftwareNotAllowed)
        }
        Protected::Software(sealed) => {
            let path = host_key_path(state, settings);
            let host_key = read_host_key(&path)?.ok_or_else(|| {
                let missing = std::io::ErrorKind::NotFound.into();
                Error::file(&path, missing)
            })?;
            sealed.open(&host_key).map_err(|error| match error {
                quantumos_pqc::Error::NotAuthentic(_) => Error::Damaged {
                    path,
                    why: "it is not the host key that the root key was sealed with".into(),
                },
                other => Error::Crypto(other),
            })
        }
    }
}

/// Makes a root key. A TPM that's there but fails is an error; only where none is found may
/// software stand in, and only if configuration says so.
fn enrol(state: &Path, settings: &Settings, path: &Path) -> Result<(RootFile, RootKey), Error> {
    let root = RootKey::random()?;
    let protected = match tpm::seal(&tcti(settings)?, root.secret()) {
        Ok(sealed) => Protected::Tpm(sealed),
        Err(TpmError::Absent { .. }) if settings.protection.allow_software => {
            let host_key = host_key(&host_key_path(state, settings))?;
            Protected::Software(SoftwareSealed::seal(&host_key, &root)?)
        }
        Err(error) => return Err(error.into()),
    };
    let file = RootFile {
        fingerprint: root.fingerprint()?,
        protected,
    };
    file::create(path, &file.to_bytes())?;
    tracing::info!(path = %path.display(), protection = match file.protected {
        Protected::Tpm(_) => Protection::Tpm.name(),
        Protected::Software(_) => Protection::Software.name(),
    }, "root key enrolled");
    Ok((file, root))
}

/// Shorter host keys protect nothing.
const SHORTEST_HOST_KEY: usize = 16;
const LONGEST_HOST_KEY: usize = 4096;

type HostKey = zeroize::Zeroizing<Vec<u8>>;

fn read_host_key(path: &Path) -> Result<Option<HostKey>, Error> {
    use std::os::unix::fs::PermissionsExt;
    let Some(bytes) = file::read(path, LONGEST_HOST_KEY)?.map(HostKey::new) else {
        return Ok(None);
    };
    let damaged = |why: &str| Error::Damaged {
        path: path.to_owned(),
        why: why.into(),
    };
    let mode = std::fs::metadata(path)
        .map_err(|error| Error::file(path, error))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(damaged(
            "others may read the host key; its mode has to be 0600",
        ));
    }
    if bytes.len() < SHORTEST_HOST_KEY {
        return Err(damaged("a host key has at least 16 bytes"));
    }
    Ok(Some(bytes))
}

/// The host key, made of 32 random bytes when there is none.
fn host_key(path: &Path) -> Result<HostKey, Error> {
    if let Some(bytes) = read_host_key(path)? {
        return Ok(bytes);
    }
    let made = Secret::<32>::random()?;
    file::create(path, made.expose())?;
    Ok(HostKey::new(made.expose().to_vec()))
}

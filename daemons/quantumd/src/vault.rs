//! Opens the root key: finds out how it's protected, enrols where nothing is there yet, and never
//! takes a weaker protection than the one that the store was enrolled with. Resealing makes a new root
//! key beside the old one; which of the two counts is what the key store says. Blocks.

use crate::root_file::{self, Protected, RootFile, SoftwareSealed};
use crate::settings::Settings;
use crate::store::Enrolment;
use crate::tpm::{self, Conditions, Proofs, Tcti, TpmError};
use crate::{Error, conditions, file};
use quantumos_pqc::{Authenticator, Kek, RootKey, Secret};
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

/// An open root key and what is derived from it.
#[derive(Debug, Clone)]
pub struct Opened {
    root: RootKey,
    /// Wraps new seeds; opens those of its version, which all are.
    pub kek: Kek,
    /// Authenticates what the store says in the clear.
    pub authenticator: Authenticator,
    /// How the root key is protected at rest.
    pub protection: Protection,
    /// Which root key it is.
    pub fingerprint: [u8; 16],
    /// Name of the TPM's storage root key, where there is a TPM.
    pub pinned: Option<Vec<u8>>,
    /// What the TPM asks for: `pin`, `pcr`, both or nothing.
    pub conditions: Vec<&'static str>,
}

/// A PIN as the TPM compares it.
pub type Pin = Secret<32>;

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

/// A root key that was made but doesn't count yet.
fn next_path(state: &Path) -> PathBuf {
    state.join("root.next")
}

/// Opens the root key, or enrols a new one when neither the file nor `stored` (what the key store
/// remembers) says that there was one.
///
/// # Errors
/// See [`Error`]; nothing changes on disk then.
pub fn open(
    state: &Path,
    settings: &Settings,
    stored: Option<Enrolment>,
    pin: Option<&Pin>,
) -> Result<Opened, Error> {
    if let Some(stored) = stored {
        settle(state, stored.fingerprint)?;
    }
    let path = root_path(state);
    let (file, root) = match read(&path)? {
        Some(file) => {
            let root = unprotect(state, settings, &file.protected, pin)?;
            (file, root)
        }
        None if stored.is_some() => return Err(Error::RootMissing(path)),
        None => {
            let (file, root) = protect(state, settings, pin)?;
            write(&path, &file)?;
            (file, root)
        }
    };
    let opened = Opened::of(&file, root, stored.map_or(1, |stored| stored.kek))?;
    if opened.fingerprint != file.fingerprint {
        let why = "its fingerprint is not that of the root key in it".into();
        return Err(Error::Damaged { path, why });
    }
    if stored.is_some_and(|stored| stored.fingerprint != opened.fingerprint) {
        return Err(Error::OtherRoot(path));
    }
    Ok(opened)
}

impl Opened {
    fn of(file: &RootFile, root: RootKey, kek: u32) -> Result<Self, Error> {
        let (protection, pinned, conditions) = match &file.protected {
            Protected::Tpm(sealed) => {
                let mut conditions = Vec::new();
                conditions.extend(sealed.pin.then_some("pin"));
                conditions.extend(sealed.authority.as_ref().map(|_| "pcr"));
                (Protection::Tpm, Some(sealed.root_name.clone()), conditions)
            }
            Protected::Software(_) => (Protection::Software, None, Vec::new()),
        };
        Ok(Self {
            kek: root.kek(kek)?,
            authenticator: root.authenticator()?,
            fingerprint: root.fingerprint()?,
            root,
            protection,
            pinned,
            conditions,
        })
    }

    /// What the store is to remember.
    #[must_use]
    pub fn enrolment(&self) -> Enrolment {
        Enrolment {
            fingerprint: self.fingerprint,
            kek: self.kek.version(),
        }
    }

    /// The same root key with the next key encryption key.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn with_next_kek(&self) -> Result<Self, Error> {
        Ok(Self {
            kek: self.root.kek(self.kek.version().saturating_add(1))?,
            ..self.clone()
        })
    }
}

/// Makes a new root key beside the old one, sealed under what configuration asks for now. It counts
/// as soon as the key store remembers its fingerprint; [`settle`] then puts it in place.
///
/// # Errors
/// See [`Error`]; the old root key stays in force, also where protection would become weaker.
pub fn renew(
    state: &Path,
    settings: &Settings,
    old: &Opened,
    pin: Option<&Pin>,
) -> Result<Opened, Error> {
    let (file, root) = protect(state, settings, pin)?;
    let new = Opened::of(&file, root, old.kek.version().saturating_add(1))?;
    if old.protection == Protection::Tpm && new.protection != Protection::Tpm {
        return Err(Error::SoftwareNotAllowed);
    }
    let path = next_path(state);
    file::remove(&path)?;
    write(&path, &file)?;
    Ok(new)
}

/// Puts the root key that counts (by its fingerprint) in place and destroys the other.
///
/// # Errors
/// [`Error::File`], [`Error::Damaged`].
pub fn settle(state: &Path, counts: [u8; 16]) -> Result<(), Error> {
    let next = next_path(state);
    // A file that was torn while it was written is no root key that anything was sealed under.
    match read(&next) {
        Ok(Some(file)) if file.fingerprint == counts => file::rename(&next, &root_path(state)),
        Ok(None) => Ok(()),
        Ok(Some(_)) | Err(Error::Damaged { .. }) => file::remove(&next),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> Result<Option<RootFile>, Error> {
    let Some(bytes) = file::read(path, root_file::LIMIT)? else {
        return Ok(None);
    };
    match RootFile::from_bytes(&bytes) {
        Ok(file) => Ok(Some(file)),
        Err(why) => Err(Error::Damaged {
            path: path.to_owned(),
            why: why.into(),
        }),
    }
}

fn write(path: &Path, file: &RootFile) -> Result<(), Error> {
    file::create(path, &file.to_bytes())?;
    tracing::info!(path = %path.display(), protection = match file.protected {
        Protected::Tpm(_) => Protection::Tpm.name(),
        Protected::Software(_) => Protection::Software.name(),
    }, "root key sealed");
    Ok(())
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

/// Bytes of the TPM's own generator.
///
/// # Errors
/// [`Error::Tpm`]; [`Error::Entropy`] where the root key is not a TPM's.
pub fn random(settings: &Settings, opened: &Opened) -> Result<Secret<32>, Error> {
    match &opened.pinned {
        Some(name) => Ok(tpm::random(&tcti(settings)?, name)?),
        None => Err(Error::Entropy("no TPM protects the root key".into())),
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

fn unprotect(
    state: &Path,
    settings: &Settings,
    sealed: &Protected,
    pin: Option<&Pin>,
) -> Result<RootKey, Error> {
    match sealed {
        Protected::Tpm(sealed) => {
            let approvals = match sealed.authority {
                Some(_) => conditions::approvals(settings)?,
                None => Vec::new(),
            };
            let proofs = Proofs {
                pin,
                approvals: &approvals,
            };
            let secret = tpm::unseal(&tcti(settings)?, sealed, &proofs)?;
            Ok(RootKey::new(secret))
        }
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
/// software stand in, and only if configuration says so and asks for nothing that a TPM checks.
fn protect(
    state: &Path,
    settings: &Settings,
    pin: Option<&Pin>,
) -> Result<(RootFile, RootKey), Error> {
    let wanted = &settings.protection;
    if wanted.pin && pin.is_none() {
        return Err(TpmError::PinNeeded.into());
    }
    let authority = conditions::authority(settings)?;
    let asked = Conditions {
        pin: pin.filter(|_| wanted.pin),
        authority: authority.as_ref(),
    };
    let software = wanted.allow_software && asked.pin.is_none() && asked.authority.is_none();
    let root = RootKey::random()?;
    let protected = match tpm::seal(&tcti(settings)?, root.secret(), &asked) {
        Ok(sealed) => Protected::Tpm(sealed),
        Err(TpmError::Absent { .. }) if software => {
            let host_key = host_key(&host_key_path(state, settings))?;
            Protected::Software(SoftwareSealed::seal(&host_key, &root)?)
        }
        Err(error) => return Err(error.into()),
    };
    let file = RootFile {
        fingerprint: root.fingerprint()?,
        protected,
    };
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

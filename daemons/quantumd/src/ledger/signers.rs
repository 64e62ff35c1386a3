//! The keys that sign the ledger: Ed25519 and ML-DSA-87, made once and kept in the ledger's directory,
//! wrapped as every other key is. While all keys are wrapped anew, the file holds both forms, so that one
//! of them opens whatever happens in between.

use super::files::Directory;
use crate::Error;
use quantumos_ledger::files::Files;
use quantumos_ledger::note::{Kind, Signer, VerifierKey};
use quantumos_ledger::signer::Ed25519;
use quantumos_ledger::{hex, sha256};
use quantumos_pqc::{Algorithm, Binding, Kek, Secret, SigningKey, WrappedSeed};

const NAME: &str = "signers";
const LIMIT: usize = 1 << 14;

/// Both seeds.
struct Seeds {
    ed25519: Secret<32>,
    ml_dsa: Secret<32>,
}

fn binding(which: &str) -> Binding {
    Binding {
        id: *b"quantumos ledger",
        algorithm: Algorithm::MlDsa87,
        version: 1,
        policy: format!("signs the ledger by {which}").into_bytes(),
    }
}

fn damaged(why: &str) -> Error {
    Error::Ledger(quantumos_ledger::Error::Damage(quantumos_ledger::Damage {
        file: NAME.into(),
        offset: None,
        records: None,
        why: why.into(),
    }))
}

impl Seeds {
    fn random() -> Result<Self, Error> {
        Ok(Self {
            ed25519: Secret::random()?,
            ml_dsa: Secret::random()?,
        })
    }

    fn wrap(&self, kek: &Kek) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for (kind, seed) in [
            (Kind::Ed25519, &self.ed25519),
            (Kind::MlDsa87, &self.ml_dsa),
        ] {
            let wrapped = kek.wrap(binding(kind.name()), seed)?.to_bytes();
            quantumos_ledger::bundle::push(&mut out, &wrapped)?;
        }
        Ok(out)
    }

    /// The first pair in the file that this key opens.
    fn unwrap(file: &[u8], kek: &Kek) -> Result<Self, Error> {
        let forms = quantumos_ledger::bundle::parse(file)?;
        let open = |kind: Kind, wrapped: &[u8]| {
            let wrapped = WrappedSeed::from_bytes(wrapped).ok()?;
            kek.unwrap(&wrapped, &binding(kind.name())).ok()
        };
        let found = forms.as_chunks::<2>().0.iter().find_map(|[one, two]| {
            Some(Self {
                ed25519: open(Kind::Ed25519, one)?,
                ml_dsa: open(Kind::MlDsa87, two)?,
            })
        });
        found.ok_or_else(|| damaged("the root key opens none of it"))
    }
}

/// The open keys.
#[derive(Debug)]
pub struct Signers {
    ed25519: Ed25519,
    ml_dsa: MlDsa,
}

#[derive(Debug)]
struct MlDsa {
    key: VerifierKey,
    secret: SigningKey,
}

impl Signer for MlDsa {
    fn key(&self) -> &VerifierKey {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let signed = self.secret.sign(message, b"");
        signed
            .map(|signature| signature.as_bytes().to_vec())
            .map_err(|error| error.to_string())
    }
}

impl Signers {
    /// Opens the keys of a ledger, or makes them where there are none. What an interrupted rewrapping
    /// left beside is tidied up.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(directory: &Directory, kek: &Kek) -> Result<Self, Error> {
        let seeds = match directory.read(NAME, LIMIT)? {
            Some(file) => {
                let seeds = Seeds::unwrap(&file, kek)?;
                if quantumos_ledger::bundle::parse(&file)?.len() > 2 {
                    directory.replace(NAME, &seeds.wrap(kek)?)?;
                }
                seeds
            }
            None => {
                let seeds = Seeds::random()?;
                directory.create()?;
                directory.replace(NAME, &seeds.wrap(kek)?)?;
                seeds
            }
        };
        Self::of(&seeds)
    }

    /// Wraps the keys under `new` too, before all other keys are.
    ///
    /// # Errors
    /// See [`Error`]; the file is as it was then.
    pub fn rewrap(directory: &Directory, old: &Kek, new: &Kek) -> Result<(), Error> {
        let Some(file) = directory.read(NAME, LIMIT)? else {
            return Ok(());
        };
        let seeds = Seeds::unwrap(&file, old)?;
        directory.replace(NAME, &[seeds.wrap(old)?, seeds.wrap(new)?].concat())
    }

    fn of(seeds: &Seeds) -> Result<Self, Error> {
        let seed = seeds.ed25519.expose();
        // The log is named after the key that it can't be without.
        let digest = sha256(&[&Ed25519::public(seed)?]);
        let name = format!("quantumos/{}/keys", hex(&digest[..8]));
        let secret = SigningKey::from_seed(&seeds.ml_dsa)?;
        let public = secret.public_key().as_bytes();
        Ok(Self {
            ed25519: Ed25519::from_seed(&name, seed)?,
            ml_dsa: MlDsa {
                key: VerifierKey::new(&name, Kind::MlDsa87, public)?,
                secret,
            },
        })
    }

    /// The name of the log that these keys sign.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.ed25519.key().name()
    }

    /// Both, as signers of notes.
    #[must_use]
    pub fn all(&self) -> [&dyn Signer; 2] {
        [&self.ed25519, &self.ml_dsa]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_pqc::RootKey;

    #[test]
    fn kept_rewrapped_and_opened_by_either_key_in_between() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::new(place.path());
        let (one, two) = (RootKey::random().unwrap(), RootKey::random().unwrap());
        let (old, new) = (one.kek(1).unwrap(), two.kek(1).unwrap());
        Signers::rewrap(&directory, &old, &new).unwrap();
        let origin = Signers::open(&directory, &old).unwrap().origin().to_owned();
        let again = |kek| Signers::open(&directory, kek).map(|s| s.origin().to_owned());
        assert_eq!(again(&old).unwrap(), origin);
        assert!(again(&new).is_err());
        Signers::rewrap(&directory, &old, &new).unwrap();
        let both = directory.read(NAME, LIMIT).unwrap().unwrap();
        // Before the change counts, the old key opens it; afterwards the new one, and that alone.
        assert_eq!(again(&old).unwrap(), origin);
        directory.replace(NAME, &both).unwrap();
        assert_eq!(again(&new).unwrap(), origin);
        assert!(again(&old).is_err());
    }
}

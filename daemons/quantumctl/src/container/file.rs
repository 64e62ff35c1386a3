//! Container files: a front, read strictly and with bounds, and the sealed data behind it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use quantumos_pqc::{PublicKey, Signature};
use quantumos_resonance::container::{CONTEXT, FRONT_MAX, Front, Verifier};

use crate::error::Error;

/// Bytes read at a time.
pub const PIECE: usize = 1 << 18;

/// ML-DSA-87, as quantumd's keys sign.
pub struct MlDsa87;

impl Verifier for MlDsa87 {
    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let (Ok(key), Ok(signature)) = (
            PublicKey::from_bytes(public_key),
            Signature::from_bytes(signature),
        ) else {
            return false;
        };
        key.verify(message, &signature, CONTEXT).unwrap_or(false)
    }
}

/// A container in a file.
#[derive(Debug)]
pub struct Container {
    /// Its front.
    pub front: Front,
    /// Where it is.
    pub path: PathBuf,
    /// The file, at the first byte of the sealed data.
    file: File,
    /// Where that is.
    start: u64,
}

impl Container {
    /// Reads the front.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(|source| Error::file(path, source))?;
        let mut bytes = Vec::new();
        loop {
            let known = Front::len(&bytes)?;
            if known.is_some_and(|len| bytes.len() >= len) || bytes.len() > FRONT_MAX {
                break;
            }
            // Little first, so that what is no container is found out early; then to the end of it.
            let want = known.unwrap_or(bytes.len() + 4096);
            let got = (&mut file)
                .take((want - bytes.len()) as u64)
                .read_to_end(&mut bytes)
                .map_err(|source| Error::file(path, source))?;
            if got == 0 {
                break;
            }
        }
        let len = Front::len(&bytes)?.unwrap_or(bytes.len());
        bytes.truncate(len);
        Ok(Self {
            front: Front::from_bytes(&bytes)?,
            path: path.to_owned(),
            file,
            start: len as u64,
        })
    }

    /// Hands the sealed data to `each`, piece by piece, from their beginning.
    pub fn body(&self, mut each: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        use std::os::unix::fs::FileExt;
        let mut piece = vec![0; PIECE];
        let mut at = self.start;
        loop {
            match self.file.read_at(&mut piece, at) {
                Ok(0) => return Ok(()),
                Ok(got) => {
                    each(&piece[..got])?;
                    at += got as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::file(&self.path, source)),
            }
        }
    }

    /// Whether the sealed data are those that the author signed.
    pub fn check_body(&self) -> Result<(), Error> {
        let mut check = self.front.body_check();
        self.body(|piece| {
            check.push(piece);
            Ok(())
        })?;
        Ok(check.finish()?)
    }
}

/// The containers among files and in directories, by path. Files that are named have to be
/// containers; in directories what is something else is passed over.
pub fn all(paths: &[PathBuf]) -> Result<Vec<Container>, Error> {
    let mut found = BTreeMap::new();
    for path in paths {
        if !path.is_dir() {
            found.insert(path.clone(), Container::read(path)?);
            continue;
        }
        for entry in fs::read_dir(path).map_err(|source| Error::file(path, source))? {
            let entry = entry.map_err(|source| Error::file(path, source))?.path();
            if entry.is_file()
                && let Ok(container) = Container::read(&entry)
            {
                found.insert(entry, container);
            }
        }
    }
    Ok(found.into_values().collect())
}

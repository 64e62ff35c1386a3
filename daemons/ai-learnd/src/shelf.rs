//! The models of this host: a folder for each, named by its serial number, and the link `published` to the one that
//! is in force. security-ai reads them, so they are readable by all; only this daemon writes. A folder appears
//! whole, and the link is exchanged at once.

use crate::Error;
use quantumos_learn::manifest::{self, Manifest};
use quantumos_learn::{Density, Profile, onnx, profile};
use quantumos_pqc::sha256_hex;
use quantumos_service::files;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The link to the model in force.
pub const PUBLISHED: &str = "published";
/// The ONNX file.
pub const MODEL: &str = "model.onnx";
/// The profile's file.
pub const PROFILE: &str = "profile.bin";
/// The manifest.
pub const MANIFEST: &str = "manifest.toml";
/// Its signature.
pub const SIGNATURE: &str = "manifest.toml.sig";

/// The folder of models.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: PathBuf,
}

/// A model that was read back.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its papers.
    pub manifest: Manifest,
    /// Its density.
    pub density: Density,
    /// Its profile.
    pub profile: Profile,
}

impl Shelf {
    /// Models in this folder, which is made where it isn't. What a kill left half done goes.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
        fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(Error::file(folder))?;
        let entries = fs::read_dir(folder).map_err(Error::file(folder))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(b".") && (name.ends_with(b".new") || name.ends_with(b".old")) {
                let removed = match entry.file_type() {
                    Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()),
                    _ => fs::remove_file(entry.path()),
                };
                if let Err(error) = removed {
                    tracing::warn!(path = %entry.path().display(), %error, "could not be removed");
                }
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The serial number of the model in force; 0 for none.
    #[must_use]
    pub fn published(&self) -> u64 {
        let link = fs::read_link(self.folder.join(PUBLISHED));
        link.ok().and_then(|to| serial(&to)).unwrap_or(0)
    }

    /// The serial numbers of all models, in order.
    #[must_use]
    pub fn serials(&self) -> Vec<u64> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut serials: Vec<u64> = folders
            .filter_map(|entry| serial(Path::new(&entry.file_name())))
            .collect();
        serials.sort_unstable();
        serials
    }

    /// The papers of a model.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn manifest(&self, serial: u64) -> Result<Manifest, Error> {
        let path = self.folder.join(serial.to_string()).join(MANIFEST);
        let text = read(&path, manifest::MAX_LEN)?;
        let text = String::from_utf8_lossy(&text);
        let parsed: Result<Manifest, _> = toml::from_str(&text);
        parsed.map_err(|error| quantumos_learn::Error::Manifest(error.to_string()).into())
    }

    /// A whole model, its files checked against its papers.
    ///
    /// # Errors
    /// When a file can't be read or isn't what the papers say.
    pub fn read(&self, serial: u64) -> Result<Kept, Error> {
        let folder = self.folder.join(serial.to_string());
        let manifest = self.manifest(serial)?;
        manifest.check()?;
        let model = read(&folder.join(MODEL), onnx::MAX_LEN)?;
        manifest
            .model
            .check("model", model.len() as u64, &sha256_hex(&model))?;
        let profile = read(&folder.join(PROFILE), profile::MAX_LEN)?;
        manifest
            .profile
            .check("profile", profile.len() as u64, &sha256_hex(&profile))?;
        Ok(Kept {
            manifest,
            density: onnx::read(&model)?,
            profile: Profile::read(&profile)?,
        })
    }

    /// Puts a model on the shelf; `files` are names and contents.
    ///
    /// # Errors
    /// When a file can't be written; then nothing of it is there.
    pub fn put(&self, serial: u64, files: &[(&str, &[u8])]) -> Result<(), Error> {
        let draft = self.folder.join(format!(".{serial}.new"));
        let write = || -> std::io::Result<()> {
            let _ = fs::remove_dir_all(&draft);
            fs::create_dir(&draft)?;
            for (name, content) in files {
                let mut file = File::create_new(draft.join(name))?;
                file.write_all(content)?;
                file.set_permissions(Permissions::from_mode(0o644))?;
                file.sync_all()?;
            }
            fs::set_permissions(&draft, Permissions::from_mode(0o755))?;
            fs::rename(&draft, self.folder.join(serial.to_string()))?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| {
            let _ = fs::remove_dir_all(&draft);
            Error::file(&draft)(error)
        })
    }

    /// Has another model in force.
    ///
    /// # Errors
    /// When there is no such model, or the link can't be exchanged.
    pub fn publish(&self, serial: u64) -> Result<(), Error> {
        if !self.serials().contains(&serial) {
            return Err(Error::NoModel(format!("there is no model {serial}")));
        }
        let draft = self.folder.join(".published.new");
        let link = self.folder.join(PUBLISHED);
        let exchange = || -> std::io::Result<()> {
            let _ = fs::remove_file(&draft);
            symlink(serial.to_string(), &draft)?;
            fs::rename(&draft, &link)?;
            File::open(&self.folder)?.sync_all()
        };
        exchange().map_err(Error::file(&link))
    }

    /// Removes the oldest models until `keep` are left; never the one in force.
    pub fn prune(&self, keep: usize) {
        let published = self.published();
        let serials = self.serials();
        let mut over = serials.len().saturating_sub(keep);
        for serial in serials {
            if over > 0 && serial != published {
                over -= 1;
                // First out of the list at once, so that a kill leaves no part of a model there.
                let old = self.folder.join(format!(".{serial}.old"));
                let removed = fs::rename(self.folder.join(serial.to_string()), &old)
                    .and_then(|()| fs::remove_dir_all(&old));
                if let Err(error) = removed {
                    tracing::warn!(serial, %error, "an old model could not be removed");
                }
            }
        }
    }
}

/// The serial number that a folder's name is.
fn serial(name: &Path) -> Option<u64> {
    let text = name.to_str()?;
    let serial: u64 = text.parse().ok()?;
    (serial > 0 && serial.to_string() == text).then_some(serial)
}

fn read(path: &Path, most: usize) -> Result<Vec<u8>, Error> {
    files::read_at_most(path, most).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_appear_whole_and_the_one_in_force_stays() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(&folder.path().join("models")).unwrap();
        assert_eq!((shelf.published(), shelf.serials()), (0, vec![]));
        for serial in 1..=4 {
            shelf
                .put(serial, &[(MODEL, b"m"), (MANIFEST, b"t")])
                .unwrap();
        }
        assert!(matches!(shelf.publish(9), Err(Error::NoModel(_))));
        shelf.publish(2).unwrap();
        shelf.publish(1).unwrap();
        assert!(
            shelf.put(1, &[(MODEL, b"other")]).is_err(),
            "a model was replaced"
        );
        shelf.prune(2);
        assert_eq!((shelf.published(), shelf.serials()), (1, vec![1, 4]));
        let mode = fs::metadata(folder.path().join("models/1/model.onnx")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o644);
        assert!(shelf.read(1).is_err());
    }
}

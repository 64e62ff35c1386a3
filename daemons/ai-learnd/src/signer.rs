//! The key that signs manifests: an ML-DSA-87 key in quantumd that belongs to this daemon's user. It is made for
//! the first training, and again when it was revoked or its store is gone.

use crate::Error;
use quantumos_dbus::{Bytes, Key1Proxy, Keys1Proxy, path};
use quantumos_learn::manifest::SIGNATURE_CONTEXT;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use zbus::{Connection, Variant};

const ALGORITHM: &str = "ML-DSA-87";
const LABEL: &str = "ai-learnd models";
const FILE: &str = "signer";
const DRAFT: &str = "signer.new";
/// The longest identifier of a key.
const LONGEST: usize = 64;
const ASKED: &str = "key in quantumd";

/// The identifier of the key that was used last; empty when there was none.
#[must_use]
pub fn known(state: &Path) -> String {
    let id = std::fs::read_to_string(state.join(FILE)).unwrap_or_default();
    let id = id.trim();
    let plain = id.len() <= LONGEST
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { id.to_owned() } else { String::new() }
}

/// A key that can sign.
#[derive(Debug)]
pub struct Signer {
    key: Key1Proxy<'static>,
    /// Its identifier.
    pub id: String,
}

impl Signer {
    /// The known key, if it still can sign, or a new one.
    ///
    /// # Errors
    /// When quantumd isn't there or refuses, or the new key can't be remembered.
    pub async fn find(connection: &Connection, state: &Path) -> Result<Self, Error> {
        let known = known(state);
        if !known.is_empty() {
            let key = proxy(connection, format!("{}/{known}", path::KEYS)).await?;
            match key.state().await {
                Ok(state) if state == "active" => return Ok(Self { key, id: known }),
                // Made anew: that key is revoked, or its store is gone. Any other error may pass, and another key
                // would have to be enrolled by hand.
                Ok(_) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(Error::peer(ASKED)(error)),
            }
        }
        // A key that can't be remembered would be one more at each try: first the disk, then the key.
        remember(&state.join(DRAFT), &" ".repeat(LONGEST))?;
        let keys = Keys1Proxy::new(connection)
            .await
            .map_err(Error::peer(ASKED))?;
        let made = keys.create(ALGORITHM, LABEL, HashMap::new()).await;
        let made = made.map_err(Error::refused(ASKED))?;
        let id = made
            .as_str()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let (draft, file) = (state.join(DRAFT), state.join(FILE));
        remember(&draft, &id)?;
        std::fs::rename(&draft, &file).map_err(Error::file(&file))?;
        let key = proxy(connection, made.as_str().to_owned()).await?;
        tracing::info!(key = id, "a key to sign models with was made");
        Ok(Self { key, id })
    }

    /// Signs a manifest.
    ///
    /// # Errors
    /// When quantumd refuses.
    pub async fn sign(&self, manifest: &[u8]) -> Result<Vec<u8>, Error> {
        let options = HashMap::from([("context", Variant::from(SIGNATURE_CONTEXT.to_vec()))]);
        let signed = self.key.sign(manifest, options).await;
        signed.map(Bytes::into_vec).map_err(Error::refused(ASKED))
    }
}

/// Writes an identifier to a file that takes the place of the old one when it is whole.
fn remember(draft: &Path, id: &str) -> Result<(), Error> {
    let write = || {
        let mut out = std::fs::File::create(draft)?;
        writeln!(out, "{id}")?;
        out.sync_all()
    };
    write().map_err(Error::file(draft))
}

/// Whether quantumd answered that there is no such key.
fn is_gone(error: &zbus::Error) -> bool {
    use zbus::fdo::Error::{UnknownInterface, UnknownObject};
    match error {
        zbus::Error::FDO(error) => matches!(**error, UnknownObject(_) | UnknownInterface(_)),
        zbus::Error::MethodError(name, ..) => matches!(
            name.as_str(),
            "org.freedesktop.DBus.Error.UnknownObject"
                | "org.freedesktop.DBus.Error.UnknownInterface"
        ),
        _ => false,
    }
}

async fn proxy(connection: &Connection, path: String) -> Result<Key1Proxy<'static>, Error> {
    let builder = Key1Proxy::builder(connection)
        .path(path)
        // Whether the key still is active is asked, not remembered.
        .cache_properties(zbus::proxy::CacheProperties::No);
    builder.build().await.map_err(Error::peer(ASKED))
}

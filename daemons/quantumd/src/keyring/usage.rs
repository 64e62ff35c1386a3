//! What keys are for: signing, authenticating, opening encapsulated secrets, encrypting streams. Keys
//! are unwrapped, expanded and kept in a small cache of locked memory.

use super::{Keyring, lock};
use crate::Error;
use crate::grant::{Grant, Operation};
use crate::record::{KeyId, Record};
use quantumos_pqc::{Algorithm, Kind, Secret, SecretKey, WrappedSeed};
use std::sync::Arc;

/// Expanded keys kept in memory; each is about 25 KiB.
pub(super) const CACHED_KEYS: usize = 32;

impl Keyring {
    /// Signs `message` under `context` with the newest version of an active key, or authenticates it by
    /// a MAC.
    ///
    /// # Errors
    /// [`Error::Revoked`], [`Error::Locked`] and others.
    pub fn sign(&self, id: KeyId, message: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.key(id, None)?.0.sign(message, context)?)
    }

    /// As [`Keyring::sign`], with a key that is in memory: waits for no disk. `None` when it isn't there.
    pub fn sign_if_loaded(
        &self,
        id: KeyId,
        message: &[u8],
        context: &[u8],
    ) -> Option<Result<Vec<u8>, Error>> {
        let (key, _) = self.cached(id, None).ok()?;
        Some(key?.sign(message, context).map_err(Error::from))
    }

    /// Whether a MAC of a version, or of any for `None`, is right.
    ///
    /// # Errors
    /// [`Error::Revoked`], [`Error::Locked`] and others.
    pub fn verify_mac(
        &self,
        id: KeyId,
        version: Option<u32>,
        message: &[u8],
        tag: &[u8],
        context: &[u8],
    ) -> Result<bool, Error> {
        for number in numbers(&*self.record(id)?, version)? {
            if self
                .key(id, Some(number))?
                .0
                .verify_mac(message, tag, context)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The secret that a ciphertext carries to a version of a key.
    ///
    /// # Errors
    /// [`Error::Revoked`], [`Error::Locked`] and others.
    pub fn decapsulate(
        &self,
        id: KeyId,
        version: Option<u32>,
        ciphertext: &[u8],
    ) -> Result<Secret<32>, Error> {
        Ok(self.key(id, version)?.0.decapsulate(ciphertext)?)
    }

    /// The secret that streams are sealed under by a version, and its number.
    ///
    /// # Errors
    /// [`Error::Revoked`], [`Error::Locked`] and others.
    pub fn stream_secret(
        &self,
        id: KeyId,
        version: Option<u32>,
    ) -> Result<(Secret<32>, u32), Error> {
        let (key, number) = self.key(id, version)?;
        Ok((key.stream_secret()?.clone(), number))
    }

    /// The secret of a MAC key's version for one use, and its number.
    ///
    /// # Errors
    /// [`Error::Revoked`], [`Error::Locked`] and others.
    pub fn derived_secret(
        &self,
        id: KeyId,
        version: Option<u32>,
        purpose: &str,
    ) -> Result<(Secret<64>, u32), Error> {
        let (key, number) = self.key(id, version)?;
        Ok((key.derived(purpose)?, number))
    }

    /// The grants of a key, if they are what was granted.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Crypto`] when they were altered.
    pub fn grants(&self, record: &Record) -> Result<Vec<Grant>, Error> {
        let opened = self.opened()?;
        Ok(record
            .grants
            .open(record.id, &opened.authenticator)?
            .to_vec())
    }

    /// A key of an active record, ready for use.
    pub(super) fn key(
        &self,
        id: KeyId,
        version: Option<u32>,
    ) -> Result<(Arc<SecretKey>, u32), Error> {
        let (key, number) = self.cached(id, version)?;
        match key {
            Some(key) => Ok((key, number)),
            None => Ok((self.load(id, number)?, number)),
        }
    }

    /// A version of an active key, and its number, if it is in memory.
    fn cached(
        &self,
        id: KeyId,
        version: Option<u32>,
    ) -> Result<(Option<Arc<SecretKey>>, u32), Error> {
        let record = self.active(id)?;
        let number = record.version_of(version)?.number;
        Ok((lock(&self.cache).get(&(id, number)).cloned(), number))
    }

    /// Unwraps a seed, expands it and compares the result with the public half on record.
    fn load(&self, id: KeyId, number: u32) -> Result<Arc<SecretKey>, Error> {
        let (seed, record) = self.with_store(|store| {
            // Under the lock, so that record, seed and root key belong together.
            let (opened, record) = (self.opened()?, self.active(id)?);
            let wrapped = WrappedSeed::from_bytes(&store.wrapped(id, number)?)?;
            Ok((
                opened.kek.unwrap(&wrapped, &record.binding(number))?,
                record,
            ))
        })?;
        let key = Arc::new(SecretKey::from_seed(record.algorithm, &seed)?);
        if key.public()? != record.version_of(Some(number))?.public {
            return Err(Error::Crypto(quantumos_pqc::Error::NotAuthentic(
                "public key",
            )));
        }
        let mut cache = lock(&self.cache);
        // A revocation takes the key out of the cache under this lock: don't put it back in.
        self.active(id)?;
        if cache.len() >= CACHED_KEYS {
            cache.clear();
        }
        cache.insert((id, number), key.clone());
        Ok(key)
    }
}

/// The versions to try: one, or all with the newest first.
fn numbers(record: &Record, version: Option<u32>) -> Result<Vec<u32>, Error> {
    match version {
        Some(_) => Ok(vec![record.version_of(version)?.number]),
        None => Ok(record.versions.iter().rev().map(|v| v.number).collect()),
    }
}

/// Whether a signature of a version of a key, or of any for `None`, is valid. One of a wrong length
/// is not. Needs no secret and no open root key.
///
/// # Errors
/// [`Error::NoSuchVersion`], [`Error::Crypto`].
pub fn verify(
    record: &Record,
    version: Option<u32>,
    message: &[u8],
    signature: &[u8],
    context: &[u8],
) -> Result<bool, Error> {
    for number in numbers(record, version)? {
        let public = &record.version_of(Some(number))?.public;
        if public.verify(message, signature, context)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The operations that make sense for keys of an algorithm.
#[must_use]
pub fn operations(algorithm: Algorithm) -> &'static [Operation] {
    match algorithm.kind() {
        Kind::Signature => &[Operation::Sign, Operation::Rotate],
        Kind::Mac => &[Operation::Sign, Operation::Verify, Operation::Rotate],
        Kind::Kem => &[Operation::Decapsulate, Operation::Rotate],
        _ => &[Operation::Encrypt, Operation::Decrypt, Operation::Rotate],
    }
}

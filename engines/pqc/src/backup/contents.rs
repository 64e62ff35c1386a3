//! What is sealed in a backup: each key with all its versions.
//!
//! ```text
//! number of keys (4), then for each: id (16), algorithm (2), owner (4), time (8),
//! length of the label (2) and the label, length of the grants (4) and the grants,
//! number of versions (2), then for each: number (4), time (8), seed (32), fingerprint of the public key (32)
//! ```

use crate::reader::Reader;
use crate::{Algorithm, Error, SEED_LEN, Secret, SecretKey};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// The most keys of a backup.
const KEYS_MAX: usize = 65_536;
/// The most bytes of a label.
const LABEL_MAX: usize = 1024;
/// The most bytes of a list of grants.
const GRANTS_MAX: usize = 1 << 20;
/// The most versions of a key.
const VERSIONS_MAX: usize = 4096;
const VERSION: usize = 4 + 8 + SEED_LEN + 32;

/// A key on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its identity, which it keeps.
    pub id: [u8; 16],
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// User id of its owner where it comes from.
    pub owner: u32,
    /// Microseconds since 1970.
    pub created_at: u64,
    /// What its owner calls it, at most 1024 bytes.
    pub label: String,
    /// Who else may use it, in the form of the store that it comes from.
    pub grants: Vec<u8>,
    /// Its versions, the oldest first, their numbers rising; never empty.
    pub versions: Vec<ItemVersion>,
}

/// A version of a key on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemVersion {
    /// Its number, from 1.
    pub number: u32,
    /// Microseconds since 1970.
    pub created_at: u64,
    /// The seed that the key is made of.
    pub seed: Secret<SEED_LEN>,
}

fn bounded(what: &'static str, got: usize, limit: usize) -> Result<usize, Error> {
    if got > limit {
        return Err(Error::TooLong { what, limit, got });
    }
    Ok(got)
}

/// Room for all of it is made first, so that no copy of a seed is left behind by growing.
pub(super) fn encode(items: &[Item]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let size =
        |item: &Item| 40 + item.label.len() + item.grants.len() + item.versions.len() * VERSION;
    let total = 4 + items.iter().map(size).sum::<usize>();
    bounded("backup", total, super::SIZE_MAX)?;
    // A tag follows when it is sealed.
    let mut out = Zeroizing::new(Vec::with_capacity(total + super::TAG));
    let count = bounded("list of keys", items.len(), KEYS_MAX)?;
    out.extend_from_slice(&(count as u32).to_be_bytes());
    for item in items {
        out.extend_from_slice(&item.id);
        out.extend_from_slice(&item.algorithm.number().to_be_bytes());
        out.extend_from_slice(&item.owner.to_be_bytes());
        out.extend_from_slice(&item.created_at.to_be_bytes());
        let label = bounded("label", item.label.len(), LABEL_MAX)?;
        out.extend_from_slice(&(label as u16).to_be_bytes());
        out.extend_from_slice(item.label.as_bytes());
        let grants = bounded("list of grants", item.grants.len(), GRANTS_MAX)?;
        out.extend_from_slice(&(grants as u32).to_be_bytes());
        out.extend_from_slice(&item.grants);
        let versions = bounded("list of versions", item.versions.len(), VERSIONS_MAX)?;
        out.extend_from_slice(&(versions as u16).to_be_bytes());
        for version in &item.versions {
            out.extend_from_slice(&version.number.to_be_bytes());
            out.extend_from_slice(&version.created_at.to_be_bytes());
            out.extend_from_slice(version.seed.expose());
            out.extend_from_slice(&fingerprint(item.algorithm, &version.seed)?);
        }
    }
    Ok(out)
}

fn fingerprint(algorithm: Algorithm, seed: &Secret<SEED_LEN>) -> Result<[u8; 32], Error> {
    Ok(SecretKey::from_seed(algorithm, seed)?
        .public()?
        .fingerprint())
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Item>, Error> {
    let mut reader = Reader::new("contents of the backup", bytes);
    let count = bounded("list of keys", reader.u32()? as usize, KEYS_MAX)?;
    let (mut items, mut ids) = (Vec::new(), BTreeSet::new());
    for _ in 0..count {
        let id = reader.array()?;
        if !ids.insert(id) {
            return Err(reader.malformed("a key comes twice"));
        }
        items.push(item(id, &mut reader)?);
    }
    reader.end()?;
    Ok(items)
}

fn item(id: [u8; 16], reader: &mut Reader<'_>) -> Result<Item, Error> {
    let algorithm = Algorithm::from_number(reader.u16()?)?;
    let (owner, created_at) = (reader.u32()?, reader.u64()?);
    let label = bounded("label", reader.u16()?.into(), LABEL_MAX)?;
    let label = std::str::from_utf8(reader.take(label)?)
        .map_err(|_| reader.malformed("a label is not UTF-8"))?
        .to_owned();
    let grants = bounded("list of grants", reader.u32()? as usize, GRANTS_MAX)?;
    let grants = reader.take(grants)?.to_vec();
    let count = bounded("list of versions", reader.u16()?.into(), VERSIONS_MAX)?;
    let mut versions: Vec<ItemVersion> = Vec::new();
    for _ in 0..count {
        let (number, created_at) = (reader.u32()?, reader.u64()?);
        let seed = Secret::from_slice("seed", reader.take(SEED_LEN)?)?;
        if versions.last().map_or(0, |last| last.number) >= number {
            return Err(reader.malformed("versions do not rise"));
        }
        // What the seed gives here is what it gave there, or nothing that the key made is of use.
        if reader.array::<32>()? != fingerprint(algorithm, &seed)? {
            return Err(Error::NotAuthentic("public key of a key in the backup"));
        }
        versions.push(ItemVersion {
            number,
            created_at,
            seed,
        });
    }
    if versions.is_empty() {
        return Err(reader.malformed("a key has no versions"));
    }
    Ok(Item {
        id,
        algorithm,
        owner,
        created_at,
        label,
        grants,
        versions,
    })
}

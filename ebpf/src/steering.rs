//! The maps that say what is reported and what is refused, as bytes: whatever their types, they can be compared with
//! what they held, and be made to hold it again.

use std::collections::BTreeMap;

use aya::Ebpf;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map};

use crate::error::Error;
use crate::layout::{self, WATCH_NAME_MAX};
use crate::maps::{PathKey, failed, map_mut, padded, path_key, replace, replace_paths};

/// Keys and values of one map.
pub(crate) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;
/// Entries by map.
pub(crate) type Contents = BTreeMap<&'static str, Entries>;

/// How a map is made.
#[derive(Clone, Copy)]
enum Form {
    Config,
    Calls,
    /// Its keys are the prefixes alone.
    Paths,
    Names,
    Comms,
    Cgroups,
    Denials,
}

const MAPS: [(&str, Form); 7] = [
    ("config", Form::Config),
    ("calls", Form::Calls),
    ("watched_paths", Form::Paths),
    ("watched_names", Form::Names),
    ("ignored_comms", Form::Comms),
    ("ignored_cgroups", Form::Cgroups),
    ("denied", Form::Denials),
];

const NAME: usize = WATCH_NAME_MAX as usize;

/// What all of them hold.
pub(crate) fn read(ebpf: &Ebpf) -> Result<Contents, Error> {
    let each = MAPS.iter().map(|(name, form)| {
        let map = ebpf.map(name).ok_or(Error::Missing(name))?;
        let entries = match form {
            Form::Config => array::<{ layout::config::SIZE }>(map, name),
            Form::Calls => array::<{ layout::calls::SIZE }>(map, name),
            Form::Paths => paths(map, name),
            Form::Names => hash::<NAME>(map, name),
            Form::Comms => hash::<16>(map, name),
            Form::Cgroups => hash::<8>(map, name),
            Form::Denials => hash::<{ layout::deny_key::SIZE }>(map, name),
        };
        Ok((*name, entries?))
    });
    each.collect()
}

/// Makes one of them hold these entries, and no others.
pub(crate) fn write(ebpf: &mut Ebpf, name: &str, entries: &Entries) -> Result<(), Error> {
    let Some((name, form)) = MAPS.iter().find(|(known, _)| *known == name) else {
        return Ok(());
    };
    let map = map_mut(ebpf, name)?;
    match form {
        Form::Config => put_array::<{ layout::config::SIZE }>(map, name, entries),
        Form::Calls => put_array::<{ layout::calls::SIZE }>(map, name, entries),
        Form::Paths => put_paths(map, name, entries),
        Form::Names => put_hash::<NAME>(map, name, entries),
        Form::Comms => put_hash::<16>(map, name, entries),
        Form::Cgroups => put_hash::<8>(map, name, entries),
        Form::Denials => put_hash::<{ layout::deny_key::SIZE }>(map, name, entries),
    }
}

fn array<const N: usize>(map: &Map, name: &'static str) -> Result<Entries, Error> {
    let array: Array<_, [u8; N]> = Array::try_from(map).map_err(failed(name))?;
    let mut entries = Entries::new();
    for place in 0..array.len() {
        let value = array.get(&place, 0).map_err(failed(name))?;
        entries.insert(place.to_ne_bytes().to_vec(), value.to_vec());
    }
    Ok(entries)
}

fn put_array<const N: usize>(
    map: &mut Map,
    name: &'static str,
    entries: &Entries,
) -> Result<(), Error> {
    let mut array: Array<_, [u8; N]> = Array::try_from(map).map_err(failed(name))?;
    for (key, value) in entries {
        let place = u32::from_ne_bytes(padded(key));
        let value = padded::<N>(value);
        array.set(place, value, 0).map_err(failed(name))?;
    }
    Ok(())
}

fn hash<const N: usize>(map: &Map, name: &'static str) -> Result<Entries, Error> {
    let hash: HashMap<_, [u8; N], u8> = HashMap::try_from(map).map_err(failed(name))?;
    let entries = hash.iter().filter_map(Result::ok);
    Ok(entries
        .map(|(key, value)| (key.to_vec(), vec![value]))
        .collect())
}

fn put_hash<const N: usize>(
    map: &mut Map,
    name: &'static str,
    entries: &Entries,
) -> Result<(), Error> {
    let mut hash: HashMap<_, [u8; N], u8> = HashMap::try_from(map).map_err(failed(name))?;
    let wanted = entries
        .iter()
        .map(|(key, value)| (padded::<N>(key), byte(value)))
        .collect();
    replace(&mut hash, &wanted).map_err(failed(name))
}

fn paths(map: &Map, name: &'static str) -> Result<Entries, Error> {
    let trie: LpmTrie<_, PathKey, u8> = LpmTrie::try_from(map).map_err(failed(name))?;
    let entries = trie.iter().filter_map(Result::ok);
    Ok(entries
        .map(|(key, value)| (prefix(&key), vec![value]))
        .collect())
}

/// The bytes of a path that count.
fn prefix(key: &Key<PathKey>) -> Vec<u8> {
    let length = (key.prefix_len() / 8) as usize;
    key.data().iter().take(length).copied().collect()
}

fn put_paths(map: &mut Map, name: &'static str, entries: &Entries) -> Result<(), Error> {
    let mut trie: LpmTrie<_, PathKey, u8> = LpmTrie::try_from(map).map_err(failed(name))?;
    let wanted = entries
        .iter()
        .map(|(path, value)| (path_key(path), byte(value)))
        .collect();
    replace_paths(&mut trie, &wanted).map_err(failed(name))
}

fn byte(value: &[u8]) -> u8 {
    let [value] = padded(value);
    value
}

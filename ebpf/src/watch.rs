//! Which files' opens are reported. Watches become keys of one longest-prefix-match trie (for paths) and of
//! one hash map (for names), so that the kernel decides with at most two look-ups.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::layout::{WATCH_CHANGE, WATCH_KEY_MAX, WATCH_NAME_MAX, WATCH_READ, WATCH_WRITE};

/// What of a path must match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// This absolute path.
    Path(Vec<u8>),
    /// Every path that starts with these bytes. `/etc/cron.d/` is what is below that directory;
    /// `/etc/cron` is also `/etc/crontab` and `/etc/cron.daily/x`.
    Prefix(Vec<u8>),
    /// A file of this name, in any directory.
    Name(Vec<u8>),
}

/// Which accesses are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Opens for reading.
    Read,
    /// Opens for writing, creations among them, and every change of the name or the attributes.
    Write,
    /// Both.
    Any,
}

impl Access {
    const fn bits(self) -> u8 {
        (match self {
            Self::Read => WATCH_READ,
            Self::Write => WATCH_WRITE | WATCH_CHANGE,
            Self::Any => WATCH_READ | WATCH_WRITE | WATCH_CHANGE,
        }) as u8
    }
}

/// One entry of the watch list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Watch {
    /// Which files.
    pub pattern: Pattern,
    /// Which accesses.
    pub access: Access,
}

/// What goes into the kernel's maps.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Compiled {
    /// Prefixes, with their accesses.
    pub(crate) prefixes: BTreeMap<Vec<u8>, u8>,
    /// Names, zero-padded.
    pub(crate) names: BTreeMap<[u8; WATCH_NAME_MAX as usize], u8>,
}

/// Turns a watch list into map entries.
///
/// A whole path is the prefix that ends in the terminator. The kernel answers with the longest
/// match only, so each prefix also carries the accesses of the shorter ones that it starts with.
pub(crate) fn compile(watches: &[Watch]) -> Result<Compiled, Error> {
    let mut plain: BTreeMap<Vec<u8>, u8> = BTreeMap::new();
    let mut compiled = Compiled::default();
    for watch in watches {
        match &watch.pattern {
            Pattern::Path(path) => {
                let mut key = checked(path, WATCH_KEY_MAX as usize - 1)?.to_vec();
                key.push(0);
                *plain.entry(key).or_default() |= watch.access.bits();
            }
            Pattern::Prefix(path) => {
                let key = checked(path, WATCH_KEY_MAX as usize)?.to_vec();
                *plain.entry(key).or_default() |= watch.access.bits();
            }
            Pattern::Name(name) => {
                let limit = WATCH_NAME_MAX as usize - 1;
                if name.is_empty()
                    || name.len() > limit
                    || name.contains(&b'/')
                    || name.contains(&0)
                {
                    return Err(refuse(
                        name,
                        "a name has 1 to 63 bytes and neither a slash nor a zero byte",
                    ));
                }
                let mut key = [0; WATCH_NAME_MAX as usize];
                for (to, from) in key.iter_mut().zip(name) {
                    *to = *from;
                }
                *compiled.names.entry(key).or_default() |= watch.access.bits();
            }
        }
    }
    for key in plain.keys() {
        let bits = plain.iter().filter(|(other, _)| key.starts_with(other));
        let bits = bits.fold(0, |all, (_, bits)| all | bits);
        compiled.prefixes.insert(key.clone(), bits);
    }
    Ok(compiled)
}

fn checked(path: &[u8], limit: usize) -> Result<&[u8], Error> {
    if path.first() != Some(&b'/') {
        return Err(refuse(path, "a path must be absolute"));
    }
    if path.len() > limit {
        return Err(refuse(
            path,
            "longer than the 254 bytes that the kernel can compare",
        ));
    }
    if path.contains(&0) {
        return Err(refuse(path, "a path has no zero byte"));
    }
    Ok(path)
}

fn refuse(what: &[u8], reason: &'static str) -> Error {
    Error::Settings {
        what: format!("watch {}", String::from_utf8_lossy(what)),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel's maps answer for a path.
    fn answer(compiled: &Compiled, path: &[u8]) -> u8 {
        let mut key = path.to_vec();
        key.resize(WATCH_KEY_MAX as usize, 0);
        let longest = compiled
            .prefixes
            .iter()
            .filter(|(prefix, _)| key.starts_with(prefix))
            .max_by_key(|(prefix, _)| prefix.len());
        let mut name = path
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default()
            .to_vec();
        name.resize(WATCH_NAME_MAX as usize, 0);
        let by_name = compiled
            .names
            .iter()
            .find(|(key, _)| name == key.as_slice());
        longest.map_or(0, |(_, bits)| *bits) | by_name.map_or(0, |(_, bits)| *bits)
    }

    /// What the watch list means.
    fn meaning(watches: &[Watch], path: &[u8]) -> u8 {
        let matches = |pattern: &Pattern| match pattern {
            Pattern::Path(whole) => path == whole,
            Pattern::Prefix(prefix) => path.starts_with(prefix),
            Pattern::Name(name) => path.rsplit(|byte| *byte == b'/').next() == Some(name),
        };
        let matching = watches.iter().filter(|watch| matches(&watch.pattern));
        matching.fold(0, |all, watch| all | watch.access.bits())
    }

    fn path() -> impl Strategy<Value = Vec<u8>> {
        "(/[ab]{1,2}){1,3}".prop_map(String::into_bytes)
    }

    fn watch() -> impl Strategy<Value = Watch> {
        let pattern = prop_oneof![
            path().prop_map(Pattern::Path),
            "(/[ab]{0,2}){1,3}".prop_map(|text| Pattern::Prefix(text.into_bytes())),
            "[ab]{1,2}".prop_map(|text| Pattern::Name(text.into_bytes())),
        ];
        let access = prop_oneof![Just(Access::Read), Just(Access::Write), Just(Access::Any)];
        (pattern, access).prop_map(|(pattern, access)| Watch { pattern, access })
    }

    proptest! {
        #[test]
        fn the_longest_match_has_the_accesses_of_all(watches in prop::collection::vec(watch(), 0..12), path in path()) {
            let compiled = compile(&watches).unwrap();
            prop_assert_eq!(answer(&compiled, &path), meaning(&watches, &path));
        }
    }
}

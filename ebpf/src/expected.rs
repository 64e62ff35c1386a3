//! What the maps that steer the probes held when they were last written, so that a change by somebody else is found
//! and taken back.

use std::collections::BTreeMap;

use aya::Ebpf;

use crate::error::Error;
use crate::steering::{self, Contents};

/// Something that is not as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tampering {
    /// A sentence on what was found.
    pub what: String,
    /// Whether it is now as it was left again.
    pub is_mended: bool,
}

/// The maps' content, as bytes, by map.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Expected {
    maps: Contents,
    /// What was found and mended before a change of ours, and was not told yet.
    untold: Vec<Tampering>,
}

impl Expected {
    /// What they hold now.
    pub(crate) fn of(ebpf: &Ebpf) -> Result<Self, Error> {
        Ok(Self {
            maps: steering::read(ebpf)?,
            ..Self::default()
        })
    }

    /// Makes a change of ours and expects what the maps hold then. What somebody else had changed before is taken back
    /// and told by the next [`Self::mend`], so that it can't silently become what is expected.
    pub(crate) fn change<T>(
        &mut self,
        ebpf: &mut Ebpf,
        change: impl FnOnce(&mut Ebpf) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.untold = self.mend(ebpf)?;
        let done = change(ebpf);
        self.maps = steering::read(ebpf)?;
        done
    }

    /// Makes the maps hold what they did; tells of each that did not.
    pub(crate) fn mend(&mut self, ebpf: &mut Ebpf) -> Result<Vec<Tampering>, Error> {
        let found = differences(&self.maps, &steering::read(ebpf)?);
        let mut all = std::mem::take(&mut self.untold);
        for (name, what) in found {
            let empty = BTreeMap::new();
            let entries = self.maps.get(name).unwrap_or(&empty);
            all.push(match steering::write(ebpf, name, entries) {
                Ok(()) => Tampering {
                    what: format!("{what}; it is as it was again"),
                    is_mended: true,
                },
                Err(error) => Tampering {
                    what: format!("{what}; it can't be put back: {error}"),
                    is_mended: false,
                },
            });
        }
        Ok(all)
    }
}

/// For each map that does not hold what it did, a sentence.
fn differences(then: &Contents, now: &Contents) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (name, then) in then {
        let empty = BTreeMap::new();
        let now = now.get(name).unwrap_or(&empty);
        let gone = then.keys().filter(|key| !now.contains_key(*key)).count();
        let new = now.keys().filter(|key| !then.contains_key(*key)).count();
        let changed = then
            .iter()
            .filter(|(key, value)| now.get(*key).is_some_and(|other| other != *value))
            .count();
        if gone + new + changed > 0 {
            let what = format!(
                "the map {name} was changed: {gone} entries gone, {new} new, {changed} different"
            );
            found.push((*name, what));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_change_is_told() {
        let map = |entries: &[(u8, u8)]| {
            let entries = entries.iter().map(|(k, v)| (vec![*k], vec![*v])).collect();
            BTreeMap::from([("config", entries)])
        };
        let then = map(&[(1, 1), (2, 2)]);
        for (now, wanted) in [
            (map(&[(1, 1), (2, 2)]), None),
            (map(&[(1, 1)]), Some("1 entries gone, 0 new, 0 different")),
            (
                map(&[(1, 1), (2, 3), (4, 4)]),
                Some("0 entries gone, 1 new, 1 different"),
            ),
        ] {
            let found = differences(&then, &now);
            assert_eq!(found.len(), usize::from(wanted.is_some()));
            if let Some(wanted) = wanted {
                assert!(found[0].1.ends_with(wanted), "{found:?}");
            }
        }
    }
}

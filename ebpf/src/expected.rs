//! What the maps that steer the probes held when they were last written, so that a change by somebody else is
//! found.

use std::cell::RefCell;
use std::collections::BTreeMap;

use aya::Ebpf;

use crate::error::Error;
use crate::maps::{self, Contents};

/// The maps' content, as bytes, by map.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Expected {
    maps: Contents,
    /// What had been changed when stock was taken anew, and was not told yet.
    untold: RefCell<Vec<String>>,
}

impl Expected {
    /// What they hold now.
    pub(crate) fn of(ebpf: &Ebpf) -> Result<Self, Error> {
        Ok(Self {
            maps: maps::steering(ebpf)?,
            ..Self::default()
        })
    }

    /// Makes a change of ours and expects what the maps hold then. What somebody else had changed before is told by
    /// the next [`Self::differences`], once, so that it can't silently become what is expected.
    pub(crate) fn change<T>(
        &mut self,
        ebpf: &mut Ebpf,
        change: impl FnOnce(&mut Ebpf) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = differences(&self.maps, &maps::steering(ebpf)?);
        self.untold.get_mut().extend(before);
        let done = change(ebpf);
        self.maps = maps::steering(ebpf)?;
        done
    }

    /// A sentence for each map that does not hold what it did.
    pub(crate) fn differences(&self, ebpf: &Ebpf) -> Result<Vec<String>, Error> {
        let now = differences(&self.maps, &maps::steering(ebpf)?);
        let mut all = self.untold.take();
        all.extend(now);
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

fn differences(then: &Contents, now: &Contents) -> Vec<String> {
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
            found.push(format!(
                "the map {name} was changed: {gone} entries gone, {new} new, {changed} different"
            ));
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
                assert!(found[0].ends_with(wanted), "{found:?}");
            }
        }
    }
}

//! The profile: which items training saw on the host and in each unit, and which sets of steps went together.
//!
//! It holds tokens only, no names, and is searched in place. Its file is bounded, ordered and refused when it
//! differs in any byte from what `write` would give.

use crate::window::{Kind, Window};
use crate::{Error, token};
use std::collections::{BTreeMap, BTreeSet};

/// A profile's file is never longer than this, in bytes.
pub const MAX_LEN: usize = 8 * 1024 * 1024;
/// The most sets of steps that are kept; the most frequent first.
pub const MAX_SETS: usize = 1024;
const MAGIC: &[u8; 8] = b"QOSPROF1";
/// The kinds that are also remembered for each unit: those that a model of windows has features of.
pub const UNIT_KINDS: [Kind; 4] = [Kind::Step, Kind::Chain, Kind::Path, Kind::Peer];

/// What training saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// Keys of items and subjects, in order.
    known: Vec<u64>,
    /// Sets of steps, each in order.
    sets: Vec<Vec<u64>>,
}

/// How an item stands to a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The unit did this before.
    Known,
    /// Another unit of the host did.
    NewToUnit,
    /// Nobody on this host did.
    NewToHost,
}

fn host_key(kind: Kind, item: u64) -> u64 {
    token::sequence(&[1, kind as u64, item])
}

fn unit_key(subject: u64, kind: Kind, item: u64) -> u64 {
    token::sequence(&[2, subject, kind as u64, item])
}

fn subject_key(subject: u64) -> u64 {
    token::sequence(&[3, subject])
}

/// The steps of a window, in order, each once.
fn steps(window: &Window) -> Vec<u64> {
    window
        .of(Kind::Step)
        .iter()
        .map(|item| item.token)
        .collect()
}

/// A unit while it is learned.
#[derive(Debug, Default)]
struct Unit {
    windows: u32,
    keys: BTreeSet<u64>,
}

/// Takes those that fit into so many numbers, the most frequent first; of equals the lesser.
fn most_frequent<T: Ord>(
    all: impl IntoIterator<Item = (T, u32)>,
    size: impl Fn(&T) -> usize,
    room: &mut usize,
) -> Vec<T> {
    let mut all: Vec<(T, u32)> = all.into_iter().collect();
    all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let fits = |(item, _): &(T, u32)| match room.checked_sub(size(item)) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    };
    all.into_iter()
        .take_while(fits)
        .map(|(item, _)| item)
        .collect()
}

impl Profile {
    /// Takes in normal windows. What does not fit into a profile's file is left out: of sets of steps the rarest, then
    /// whole units, those with the fewest windows first, and last of all the host's rarest items. To a unit that is
    /// left out all is known that the host knows, as to one that was never seen.
    #[must_use]
    pub fn learn<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Self {
        Self::learn_within(MAX_LEN, windows)
    }

    fn learn_within<'a>(limit: usize, windows: impl IntoIterator<Item = &'a Window>) -> Self {
        let mut host: BTreeMap<u64, u32> = BTreeMap::new();
        let mut units: BTreeMap<u64, Unit> = BTreeMap::new();
        let mut sets: BTreeMap<Vec<u64>, u32> = BTreeMap::new();
        for window in windows {
            let subject = token::of(window.subject.as_bytes());
            let unit = units.entry(subject).or_default();
            unit.windows += 1;
            for item in &window.items {
                *host.entry(host_key(item.kind, item.token)).or_default() += 1;
                if UNIT_KINDS.contains(&item.kind) {
                    unit.keys.insert(unit_key(subject, item.kind, item.token));
                }
            }
            *sets.entry(steps(window)).or_default() += 1;
        }
        sets.remove(&Vec::new());
        let room = limit.saturating_sub(MAGIC.len() + 8);
        let mut for_sets = room / 4;
        let mut sets = most_frequent(sets, |set| 4 + 8 * set.len(), &mut for_sets);
        sets.truncate(MAX_SETS);
        sets.sort_unstable();
        let taken: usize = sets.iter().map(|set| 4 + 8 * set.len()).sum();
        let mut numbers = room.saturating_sub(taken) / 8;
        let mut known = most_frequent(host, |_| 1, &mut numbers);
        let counted = units.iter().map(|(subject, unit)| (*subject, unit.windows));
        let kept = most_frequent(
            counted,
            |subject| 1 + units.get(subject).map_or(0, |unit| unit.keys.len()),
            &mut numbers,
        );
        for subject in kept {
            known.push(subject_key(subject));
            known.extend(units.get(&subject).into_iter().flat_map(|unit| &unit.keys));
        }
        known.sort_unstable();
        known.dedup();
        Self { known, sets }
    }

    /// How many items and subjects are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether a subject was among the training windows.
    #[must_use]
    pub fn knows(&self, subject: &str) -> bool {
        self.has(subject_key(token::of(subject.as_bytes())))
    }

    /// How each item of a window stands, in the window's order. In a unit that was never seen all that the host
    /// knows is known.
    pub fn standings(&self, window: &Window) -> impl Iterator<Item = Standing> {
        let subject = token::of(window.subject.as_bytes());
        let known_subject = self.has(subject_key(subject));
        window.items.iter().map(move |item| {
            let of_unit = known_subject && UNIT_KINDS.contains(&item.kind);
            if !self.has(host_key(item.kind, item.token)) {
                Standing::NewToHost
            } else if of_unit && !self.has(unit_key(subject, item.kind, item.token)) {
                Standing::NewToUnit
            } else {
                Standing::Known
            }
        })
    }

    /// How far the window's set of steps is from the nearest one that was seen: 1 minus the cosine of the two
    /// sets, 0 (the same) to 1 (nothing in common, or nothing known). An empty window is at 0.
    #[must_use]
    pub fn nearest(&self, window: &Window) -> f64 {
        let own = steps(window);
        if own.is_empty() {
            return 0.0;
        }
        let cosine = |set: &Vec<u64>| {
            let both = common(&own, set) as f64;
            both / ((own.len() * set.len()) as f64).sqrt()
        };
        1.0 - self.sets.iter().map(cosine).fold(0.0, f64::max)
    }

    fn has(&self, key: u64) -> bool {
        self.known.binary_search(&key).is_ok()
    }

    fn size(&self) -> usize {
        let sets: usize = self.sets.iter().map(|set| 4 + 8 * set.len()).sum();
        MAGIC.len() + 8 + 8 * self.known.len() + sets
    }

    /// The profile's file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size());
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&count(self.known.len()));
        out.extend_from_slice(&count(self.sets.len()));
        for key in &self.known {
            out.extend_from_slice(&key.to_le_bytes());
        }
        for set in &self.sets {
            out.extend_from_slice(&count(set.len()));
            for step in set {
                out.extend_from_slice(&step.to_le_bytes());
            }
        }
        out
    }

    /// Reads what `write` gave.
    ///
    /// # Errors
    /// `Error::Profile` says what is not as expected.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let fail = |reason: &str| Error::Profile(reason.into());
        if bytes.len() > MAX_LEN {
            return Err(fail("longer than a profile may be"));
        }
        let mut rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| fail("not a profile of this form"))?;
        let mut count = || {
            let (head, more) = rest.split_first_chunk::<4>()?;
            rest = more;
            Some(u32::from_le_bytes(*head) as usize)
        };
        let truncated = || fail("truncated");
        let keys = count().ok_or_else(truncated)?;
        let sets = count().ok_or_else(truncated)?;
        if sets > MAX_SETS {
            return Err(fail("more sets of steps than a profile may hold"));
        }
        let known = ordered(&mut rest, keys)?;
        let mut profile = Self {
            known,
            sets: Vec::new(),
        };
        for _ in 0..sets {
            let (head, more) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
            rest = more;
            let set = ordered(&mut rest, u32::from_le_bytes(*head) as usize)?;
            if set.is_empty() || profile.sets.last().is_some_and(|last| *last >= set) {
                return Err(fail("sets of steps out of order, or empty"));
            }
            profile.sets.push(set);
        }
        if rest.is_empty() {
            Ok(profile)
        } else {
            Err(fail("bytes behind its end"))
        }
    }
}

/// Takes so many numbers, each above the one before.
fn ordered(rest: &mut &[u8], count: usize) -> Result<Vec<u64>, Error> {
    let length = count.checked_mul(8);
    let (own, more) = length
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| Error::Profile("truncated".into()))?;
    *rest = more;
    let (numbers, _) = own.as_chunks::<8>();
    let numbers: Vec<u64> = numbers
        .iter()
        .map(|bytes| u64::from_le_bytes(*bytes))
        .collect();
    if numbers.windows(2).all(|pair| pair[0] < pair[1]) {
        Ok(numbers)
    } else {
        Err(Error::Profile("numbers out of order".into()))
    }
}

/// How many numbers two ordered lists have in common.
fn common(a: &[u64], b: &[u64]) -> usize {
    let (mut i, mut j, mut both) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        both += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace;
    use proptest::prelude::*;

    fn of(subject: &str, calls: &[u16]) -> Window {
        Window {
            subject: subject.into(),
            ..trace::window(calls)
        }
    }

    #[test]
    fn an_item_stands_to_unit_and_host() {
        let learned = [of("a", &[1, 2]), of("b", &[3])];
        let profile = Profile::learn(&learned);
        let standing = |subject: &str, call: u16| {
            let window = of(subject, &[call]);
            profile.standings(&window).next()
        };
        for (subject, call, wanted) in [
            ("a", 1, Standing::Known),
            ("a", 3, Standing::NewToUnit),
            ("a", 4, Standing::NewToHost),
            ("never seen", 3, Standing::Known),
            ("never seen", 4, Standing::NewToHost),
        ] {
            assert_eq!(standing(subject, call), Some(wanted), "{subject} {call}");
        }
        assert!(profile.knows("a") && !profile.knows("never seen"));
        assert_eq!(profile.nearest(&of("a", &[1, 2, 1])), 0.0);
        assert!((profile.nearest(&of("a", &[1])) - (1.0 - 0.5_f64.sqrt())).abs() < 1e-12);
        assert_eq!(profile.nearest(&of("a", &[9])), 1.0);
        assert_eq!(Profile::default().nearest(&of("a", &[9])), 1.0);
    }

    #[test]
    fn the_rarest_units_leave_first_and_then_the_rarest_items_of_the_host() {
        // Six windows of one unit, two of another, one of a third: each does something of its own.
        let often = std::iter::repeat_with(|| of("often", &[1, 2])).take(6);
        let some = std::iter::repeat_with(|| of("some", &[1, 3])).take(2);
        let windows: Vec<Window> = often.chain(some).chain([of("once", &[4])]).collect();
        let all = Profile::learn(&windows);
        assert!(["often", "some", "once"].iter().all(|unit| all.knows(unit)));
        for limit in (0..=all.size()).rev() {
            let profile = Profile::learn_within(limit, &windows);
            assert!(profile.size() <= limit.max(16), "{limit}");
            assert_eq!(Profile::read(&profile.write()), Ok(profile.clone()));
            let left: Vec<bool> = ["often", "some", "once"]
                .map(|unit| profile.knows(unit))
                .into();
            assert!(left.is_sorted_by(|a, b| a >= b), "{limit}: {left:?}");
            // As long as a unit is known, all of the host is.
            if left[0] {
                for window in &windows {
                    let strange = profile.standings(window).any(|s| s != Standing::Known);
                    assert!(!strange, "{limit}: {}", window.subject);
                }
            }
        }
        assert!(Profile::learn_within(0, &windows).is_empty());
        let few = Profile::learn_within(16 + 8 * 2, &windows);
        let first = |call| few.standings(&of("x", &[call])).next();
        assert_eq!(first(1), Some(Standing::Known), "the most frequent stays");
        assert_eq!(first(4), Some(Standing::NewToHost));
    }

    proptest! {
        #[test]
        fn a_file_comes_back_and_a_changed_one_is_no_profile_or_another(
            traces in prop::collection::vec(prop::collection::vec(0_u16..30, 0..20), 0..8), at in any::<prop::sample::Index>()
        ) {
            let windows: Vec<Window> = traces.iter().map(|calls| trace::window(calls)).collect();
            let profile = Profile::learn(&windows);
            let bytes = profile.write();
            prop_assert_eq!(bytes.len(), profile.size());
            prop_assert_eq!(Profile::read(&bytes), Ok(profile));
            let cut = at.index(bytes.len());
            prop_assert!(Profile::read(&bytes[..cut]).is_err());
            let mut changed = bytes.clone();
            changed[cut] ^= 1;
            if let Ok(read) = Profile::read(&changed) {
                prop_assert_eq!(read.write(), changed);
            }
        }
    }
}

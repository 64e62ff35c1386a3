//! Which name an address is known by: what name servers answered lately. Bounded in number and in time.

use crate::answer::Answer;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// The most addresses that are known; those learned longest ago leave first.
pub const MOST: usize = 4096;
/// How long an answer counts, in seconds: programs keep addresses a little longer than they may, and after an hour an
/// address may be somebody else's.
const KEPT: std::ops::RangeInclusive<u32> = 60..=3600;

/// Addresses and their names.
#[derive(Debug, Default)]
pub struct Names {
    known: HashMap<IpAddr, Known>,
    /// In the order in which they were learned.
    order: BTreeMap<u64, IpAddr>,
    next: u64,
}

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    /// Nanoseconds of the boot clock.
    until: u64,
    place: u64,
}

impl Names {
    /// Learns an answer that came at `now`, in nanoseconds of the boot clock. The latest answer counts.
    pub fn learn(&mut self, answer: &Answer, now: u64) {
        let name: Arc<str> = answer.name.as_str().into();
        for (address, ttl) in &answer.addresses {
            let seconds = u64::from((*ttl).clamp(*KEPT.start(), *KEPT.end()));
            let known = Known {
                name: name.clone(),
                until: now.saturating_add(seconds * 1_000_000_000),
                place: self.next,
            };
            self.order.insert(self.next, *address);
            self.next += 1;
            if let Some(before) = self.known.insert(*address, known) {
                self.order.remove(&before.place);
            }
            if self.known.len() > MOST
                && let Some((_, oldest)) = self.order.pop_first()
            {
                self.known.remove(&oldest);
            }
        }
    }

    /// The name of an address at a time, in nanoseconds of the boot clock.
    #[must_use]
    pub fn get(&self, address: IpAddr, at: u64) -> Option<&str> {
        let known = self.known.get(&address.to_canonical())?;
        (at < known.until).then_some(&*known.name)
    }

    /// How many addresses have a name.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    const SECOND: u64 = 1_000_000_000;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    fn answer(name: &str, n: u32, ttl: u32) -> Answer {
        Answer {
            name: name.into(),
            addresses: vec![(address(n), ttl)],
        }
    }

    #[test]
    fn a_name_counts_for_its_time() {
        for (ttl, seconds) in [(0, 60), (59, 60), (60, 60), (900, 900), (u32::MAX, 3600)] {
            let mut names = Names::default();
            names.learn(&answer("x", 1, ttl), 5 * SECOND);
            let at = |seconds| names.get(address(1), seconds * SECOND);
            assert_eq!(
                (at(0), at(4 + seconds), at(5 + seconds)),
                (Some("x"), Some("x"), None),
                "{ttl}"
            );
        }
    }

    #[test]
    fn an_address_written_as_ipv6_is_the_same() {
        let mut names = Names::default();
        names.learn(&answer("x", 1, 60), 0);
        assert_eq!(names.get("::ffff:10.0.0.1".parse().unwrap(), 0), Some("x"));
    }

    #[test]
    fn the_oldest_leave_first() {
        let mut names = Names::default();
        for n in 0..MOST as u32 {
            names.learn(&answer("x", n, 60), 0);
        }
        // Asked for again: the next one is the oldest now.
        names.learn(&answer("y", 0, 60), 0);
        names.learn(&answer("z", MOST as u32, 60), 0);
        assert_eq!(names.len(), MOST);
        let got = [0, 1, 2, MOST as u32].map(|n| names.get(address(n), 0));
        assert_eq!(got, [Some("y"), None, Some("x"), Some("z")]);
    }

    proptest! {
        #[test]
        fn the_latest_answer_counts_and_nothing_grows(
            answers in proptest::collection::vec((0..40_u32, 0..5_u32, 0..7200_u32, 0..100_u64), 0..200),
        ) {
            let (mut names, mut now) = (Names::default(), 0);
            let mut model = HashMap::new();
            for (n, name, ttl, pause) in answers {
                now += pause * SECOND;
                let name = name.to_string();
                names.learn(&answer(&name, n, ttl), now);
                model.insert(n, (name, now + u64::from(ttl.clamp(60, 3600)) * SECOND));
                prop_assert_eq!((names.len(), names.order.len()), (model.len(), model.len()));
                for (n, (name, until)) in &model {
                    let wanted = (now < *until).then_some(name.as_str());
                    prop_assert_eq!(names.get(address(*n), now), wanted);
                }
            }
        }
    }
}

//! Latencies in logarithmic slots, as the kernel's side counts them: two slots for each power of two, so
//! that a percentile is known to within a third of its value. Pure arithmetic on counts.

use crate::layout::{LATENCY_FIRST_EXPONENT, LATENCY_SLOTS};

/// How many slots there are.
pub const SLOTS: usize = LATENCY_SLOTS as usize;

/// Counted latencies, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Histogram {
    count: u64,
    sum: u64,
    max: u64,
    slots: [u64; SLOTS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0,
            max: 0,
            slots: [0; SLOTS],
        }
    }
}

impl Histogram {
    pub(crate) const fn from_parts(count: u64, sum: u64, max: u64, slots: [u64; SLOTS]) -> Self {
        Self {
            count,
            sum,
            max,
            slots,
        }
    }

    /// Counts one latency.
    pub fn record(&mut self, nanoseconds: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(nanoseconds);
        self.max = self.max.max(nanoseconds);
        if let Some(slot) = self.slots.get_mut(slot_of(nanoseconds)) {
            *slot = slot.saturating_add(1);
        }
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
        for (mine, theirs) in self.slots.iter_mut().zip(other.slots) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// What was counted after `earlier` was read. When the counts went down, they had started again from zero: then
    /// all of them are new.
    ///
    /// The longest latency of the interval is exact if it is a new record, else the upper bound of
    /// the highest slot that grew.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let restarted = self.count < earlier.count
            || self
                .slots
                .iter()
                .zip(earlier.slots)
                .any(|(now, then)| *now < then);
        if restarted {
            return *self;
        }
        let mut slots = self.slots;
        for (slot, then) in slots.iter_mut().zip(earlier.slots) {
            *slot -= then;
        }
        let max = if self.max > earlier.max {
            self.max
        } else {
            let highest = slots.iter().rposition(|count| *count > 0);
            highest.map_or(0, |slot| upper_bound(slot).min(self.max))
        };
        Self {
            count: self.count - earlier.count,
            sum: self.sum.saturating_sub(earlier.sum),
            max,
            slots,
        }
    }

    /// Latencies counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The longest, in nanoseconds.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// The arithmetic mean, in nanoseconds; 0 of none.
    #[must_use]
    pub const fn mean(&self) -> u64 {
        match self.sum.checked_div(self.count) {
            Some(mean) => mean,
            None => 0,
        }
    }

    /// The slots' counts; see [`upper_bound`].
    #[must_use]
    pub const fn slots(&self) -> &[u64; SLOTS] {
        &self.slots
    }

    /// The latency that `per_mille` thousandths of those counted do not exceed, in nanoseconds: 500 is the median, 990
    /// the 99th percentile. It is the upper bound of the slot where that one lies, and never above
    /// [`Self::max`]. 0 of none.
    #[must_use]
    pub fn percentile(&self, per_mille: u32) -> u64 {
        // Counters of other CPUs may lag behind: the slots themselves say how many there are.
        let total: u128 = self.slots.iter().map(|count| u128::from(*count)).sum();
        let rank = (total * u128::from(per_mille.min(1000)))
            .div_ceil(1000)
            .max(1);
        let mut below = 0;
        for (slot, count) in self.slots.iter().enumerate() {
            below += u128::from(*count);
            if below >= rank {
                return upper_bound(slot).min(self.max);
            }
        }
        0
    }
}

/// The largest latency that slot `slot` counts, in nanoseconds; the last slot has no bound.
#[must_use]
pub const fn upper_bound(slot: usize) -> u64 {
    if slot == 0 {
        return (1 << LATENCY_FIRST_EXPONENT) - 1;
    }
    if slot >= SLOTS - 1 {
        return u64::MAX;
    }
    let exponent = LATENCY_FIRST_EXPONENT as usize + (slot - 1) / 2;
    let half = 1 << (exponent - 1);
    let lower = (1 << exponent) + if slot.is_multiple_of(2) { half } else { 0 };
    lower + half - 1
}

/// The slot that counts a latency, as `slot_of()` in the probe.
const fn slot_of(nanoseconds: u64) -> usize {
    let exponent = match nanoseconds.checked_ilog2() {
        Some(exponent) if exponent >= LATENCY_FIRST_EXPONENT => exponent,
        _ => return 0,
    };
    let half = (nanoseconds >> (exponent - 1)) & 1;
    let slot = 1 + 2 * (exponent - LATENCY_FIRST_EXPONENT) as usize + half as usize;
    if slot < SLOTS { slot } else { SLOTS - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.record(*value);
        }
        histogram
    }

    #[test]
    fn slots_split_each_power_of_two() {
        let cases = [
            (0, 0),
            (511, 0),
            (512, 1),
            (767, 1),
            (768, 2),
            (1023, 2),
            (1024, 3),
            (1 << 40, 63),
            (u64::MAX, 63),
        ];
        for (value, slot) in cases {
            assert_eq!(slot_of(value), slot, "{value}");
        }
    }

    #[test]
    fn of_nothing_everything_is_zero() {
        let none = Histogram::default();
        assert_eq!(
            (none.percentile(500), none.mean(), none.max(), none.count()),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn a_restart_counts_as_new() {
        let now = of(&[1000]);
        assert_eq!(now.since(&of(&[5000, 6000])), now);
        assert_eq!(now.since(&of(&[5000])), now);
    }

    proptest! {
        #[test]
        fn each_latency_is_within_its_slot(value in any::<u64>()) {
            let slot = slot_of(value);
            prop_assert!(value <= upper_bound(slot));
            prop_assert!(slot == 0 || value > upper_bound(slot - 1));
        }

        #[test]
        fn a_percentile_is_close_above(mut values in prop::collection::vec(0u64..1 << 39, 1..200), per_mille in 1u32..=1000) {
            let histogram = of(&values);
            values.sort_unstable();
            let rank = (values.len() * per_mille as usize).div_ceil(1000).max(1);
            let exact = values[rank - 1];
            let got = histogram.percentile(per_mille);
            prop_assert!(got >= exact);
            prop_assert!(got <= exact.max(340) + exact / 2 + 171, "{got} for {exact}");
            prop_assert!(got <= histogram.max());
        }

        #[test]
        fn a_difference_is_what_came_between(
            before in prop::collection::vec(any::<u32>(), 0..50),
            after in prop::collection::vec(any::<u32>(), 0..50),
        ) {
            let before: Vec<_> = before.into_iter().map(u64::from).collect();
            let after: Vec<_> = after.into_iter().map(u64::from).collect();
            let earlier = of(&before);
            let mut later = earlier;
            later.merge(&of(&after));
            let between = later.since(&earlier);
            let exact = of(&after);
            prop_assert_eq!(between.count(), exact.count());
            prop_assert_eq!(between.slots(), exact.slots());
            prop_assert_eq!(between.mean(), exact.mean());
            prop_assert!(between.max() >= exact.max());
        }
    }
}

//! Times as the reader's clock shows them, durations as people say them.
//! The contract carries microseconds of the real-time clock; 0 means "not set".

use jiff::{Timestamp, tz::TimeZone};

/// Microseconds of the real-time clock as `2026-11-21 02:18:03` in `zone`; `-` for 0 and for
/// times no calendar has.
pub fn local(usec: u64, zone: &TimeZone) -> String {
    format(usec, zone, "%Y-%m-%d %H:%M:%S")
}

/// The same as `02:18:03`.
pub fn clock(usec: u64, zone: &TimeZone) -> String {
    format(usec, zone, "%H:%M:%S")
}

fn format(usec: u64, zone: &TimeZone, pattern: &str) -> String {
    let stamp = i64::try_from(usec)
        .ok()
        .filter(|usec| *usec > 0)
        .and_then(|usec| Timestamp::from_microsecond(usec).ok());
    match stamp {
        Some(stamp) => stamp.to_zoned(zone.clone()).strftime(pattern).to_string(),
        None => "-".to_owned(),
    }
}

/// How long ago `usec` was at `now` (both microseconds of the real-time clock): `3 min ago`.
pub fn ago(usec: u64, now: u64) -> String {
    match (usec, now.checked_sub(usec)) {
        (0, _) => "never".to_owned(),
        (_, Some(passed)) if passed < 1_000_000 => "just now".to_owned(),
        (_, Some(passed)) => format!("{} ago", coarse(passed / 1_000_000)),
        (_, None) => format!("in {}", coarse((usec - now) / 1_000_000)),
    }
}

/// Whole seconds in the largest unit that fits: `59 s`, `3 min`, `5 h`, `2 days`.
pub fn coarse(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min", seconds / 60),
        3600..=86_399 => format!("{} h", seconds / 3600),
        86_400..=172_799 => "1 day".to_owned(),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Nanoseconds with three figures: `850 ns`, `12.3 µs`, `4.56 ms`, `1.20 s`.
pub fn nanoseconds(ns: u64) -> String {
    let value = ns as f64;
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (value / 1e3, "µs"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    match value {
        v if v >= 100.0 => format!("{v:.0} {unit}"),
        v if v >= 10.0 => format!("{v:.1} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

/// Microseconds of the real-time clock, now.
pub fn now() -> u64 {
    u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_763_726_400_000_000;

    #[test]
    fn times_are_local() {
        let utc = TimeZone::UTC;
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(local(NOON, &utc), "2025-11-21 12:00:00");
        assert_eq!(local(NOON, &east), "2025-11-21 14:00:00");
        assert_eq!(clock(NOON, &east), "14:00:00");
        for impossible in [0, u64::MAX, 1 << 62] {
            assert_eq!(local(impossible, &utc), "-", "{impossible}");
        }
    }

    #[test]
    fn durations_are_human() {
        for (passed, shown) in [
            (5_000_000, "5 s ago"),
            (500_000, "just now"),
            (190_000_000, "3 min ago"),
            (7_200_000_000, "2 h ago"),
            (90_000_000_000, "1 day ago"),
            (864_000_000_000, "10 days ago"),
        ] {
            assert_eq!(ago(NOON, NOON + passed), shown);
        }
        assert_eq!(ago(0, NOON), "never");
        assert_eq!(ago(NOON + 30_000_000, NOON), "in 30 s");
        for (ns, shown) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (12_340, "12.3 µs"),
            (4_560_000, "4.56 ms"),
            (456_000_000, "456 ms"),
            (1_200_000_000, "1.20 s"),
        ] {
            assert_eq!(nanoseconds(ns), shown);
        }
    }
}

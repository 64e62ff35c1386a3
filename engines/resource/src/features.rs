//! What a forecast sees: a minute of one cgroup's signals and a few of the machine's,
//! as a fixed list of numbers of order one.
//!
//! The names are part of the model's manifest: a model that was trained on another
//! list is refused, and `Explain` shows the values under these names.

use crate::history::{Channel, History};

/// The history a feature vector needs, in microseconds.
pub const NEEDED_US: u64 = 60 * SECOND_US;
/// The span that "now" and each forecast are averaged over, in microseconds.
pub const BUCKET_US: u64 = 5 * SECOND_US;
/// A second in which more than this share was stalled counts as one under pressure.
pub const PRESSED: f64 = 0.10;
/// How many numbers a feature vector has.
pub const COUNT: usize = 39;

const SECOND_US: u64 = 1_000_000;
const BUCKETS: usize = 12;
const SECONDS: usize = 60;

/// The names of the features, in their order.
pub const NAMES: [&str; COUNT] = [
    "cpu_some_0_5s",
    "cpu_some_5_10s",
    "cpu_some_10_15s",
    "cpu_some_15_20s",
    "cpu_some_20_25s",
    "cpu_some_25_30s",
    "cpu_some_30_35s",
    "cpu_some_35_40s",
    "cpu_some_40_45s",
    "cpu_some_45_50s",
    "cpu_some_50_55s",
    "cpu_some_55_60s",
    "cpu_some_1s",
    "cpu_some_2s",
    "cpu_some_mean_60s",
    "cpu_some_max_5s_in_60s",
    "cpu_some_deviation_5s_in_60s",
    "pressed_share_60s",
    "pressed_now",
    "pressed_state_age",
    "pressed_state_before",
    "pressed_state_before_that",
    "pressed_changes_60s",
    "usage_1s",
    "usage_5s",
    "usage_60s",
    "memory_some_5s",
    "memory_some_60s",
    "io_some_5s",
    "io_some_60s",
    "memory_growth_5s",
    "memory_growth_60s",
    "system_cpu_some_5s",
    "system_cpu_some_30s",
    "system_usage_5s",
    "system_usage_30s",
    "rhythm_strength",
    "rhythm_in_5s",
    "rhythm_in_30s",
];

/// One feature vector.
pub type Features = [f32; COUNT];

/// Builds the features of a cgroup at the time of its newest reading.
///
/// `system` is the history of the whole machine and `cpus` its number of CPUs. `None`
/// while either history is shorter than a minute.
pub fn extract(group: &History, system: &History, cpus: u32) -> Option<Features> {
    let now = group.last()?.time_us;
    let start = now.checked_sub(NEEDED_US)?;
    let cpu = |from_s: u64, to_s: u64| {
        group.share(
            Channel::Cpu,
            now - from_s * SECOND_US,
            now - to_s * SECOND_US,
        )
    };
    let mut out = [0.0_f64; COUNT];
    let mut buckets = [0.0_f64; BUCKETS];
    for (index, bucket) in buckets.iter_mut().enumerate() {
        let newest = index as u64 * 5;
        *bucket = cpu(newest + 5, newest)?;
    }
    out[..BUCKETS].copy_from_slice(&buckets);
    out[12] = cpu(1, 0)?;
    out[13] = cpu(2, 0)?;
    let mean = buckets.iter().sum::<f64>() / BUCKETS as f64;
    out[14] = mean;
    out[15] = buckets.iter().copied().fold(0.0, f64::max);
    out[16] = (buckets
        .iter()
        .map(|bucket| (bucket - mean).powi(2))
        .sum::<f64>()
        / BUCKETS as f64)
        .sqrt();
    let seconds = seconds(group, now)?;
    states(&seconds, &mut out);
    rhythm(&seconds, mean, &mut out);
    let cpus = f64::from(cpus.max(1));
    let usage =
        |from_s: u64| Some(group.share(Channel::Usage, now - from_s * SECOND_US, now)? / cpus);
    out[23] = usage(1)?;
    out[24] = usage(5)?;
    out[25] = usage(60)?;
    out[26] = group.share(Channel::Memory, now - BUCKET_US, now)?;
    out[27] = group.share(Channel::Memory, start, now)?;
    out[28] = group.share(Channel::Io, now - BUCKET_US, now)?;
    out[29] = group.share(Channel::Io, start, now)?;
    out[30] = growth(group, now, now - BUCKET_US);
    out[31] = growth(group, now, start);
    // The machine is read in the same round, a moment before or after the cgroup.
    let at = now.min(system.last()?.time_us);
    out[32] = system.share(Channel::Cpu, at.checked_sub(BUCKET_US)?, at)?;
    out[33] = system.share(Channel::Cpu, at.checked_sub(6 * BUCKET_US)?, at)?;
    out[34] = system.share(Channel::Usage, at.checked_sub(BUCKET_US)?, at)? / cpus;
    out[35] = system.share(Channel::Usage, at.checked_sub(6 * BUCKET_US)?, at)? / cpus;
    Some(out.map(|value| {
        if value.is_finite() {
            value.clamp(-1.0, 4.0) as f32
        } else {
            0.0
        }
    }))
}

/// The CPU pressure of each of the last 60 seconds, the oldest first.
fn seconds(group: &History, now: u64) -> Option<[f64; SECONDS]> {
    let mut out = [0.0; SECONDS];
    for (index, share) in out.iter_mut().enumerate() {
        let to = now - (SECONDS - 1 - index) as u64 * SECOND_US;
        *share = group.share(Channel::Cpu, to - SECOND_US, to)?;
    }
    Some(out)
}

/// Work comes and goes in bursts: how long the present state (under pressure or not)
/// has lasted, how long the two before it lasted, and how often it changed, all as
/// parts of a minute.
fn states(seconds: &[f64; SECONDS], out: &mut [f64; COUNT]) {
    let mut spans = [0_u32; 3];
    let mut changes = 0_u32;
    let mut pressed = 0_u32;
    let mut state = None;
    for share in seconds.iter().rev() {
        let is = *share > PRESSED;
        pressed += u32::from(is);
        match state {
            None => out[18] = f64::from(u8::from(is)),
            Some(before) => changes += u32::from(before != is),
        }
        state = Some(is);
        if let Some(span) = spans.get_mut(changes as usize) {
            *span += 1;
        }
    }
    out[17] = f64::from(pressed) / 60.0;
    out[19] = f64::from(spans[0]) / 60.0;
    out[20] = f64::from(spans[1]) / 60.0;
    out[21] = f64::from(spans[2]) / 60.0;
    out[22] = f64::from(changes) / 60.0;
}

/// Much work repeats: finds the period of 3 to 30 s that the last minute agrees with
/// best, how well it agrees (its correlation, 0 where it does not), and what would come
/// if it went on so, as the distance from the mean times that correlation.
fn rhythm(seconds: &[f64; SECONDS], mean: f64, out: &mut [f64; COUNT]) {
    let mut best = (0.0, 1);
    for lag in 3..=SECONDS / 2 {
        let agreement = correlation(&seconds[lag..], &seconds[..SECONDS - lag]);
        if agreement > best.0 {
            best = (agreement, lag);
        }
    }
    let (agreement, lag) = best;
    let ahead = |horizon: usize| -> f64 {
        let repeated = (horizon - 4..=horizon).map(|second| {
            let back = (lag - second % lag) % lag;
            seconds[SECONDS - 1 - back]
        });
        agreement * (repeated.sum::<f64>() / 5.0 - mean)
    };
    out[36] = agreement;
    if agreement > 0.0 {
        out[37] = ahead(5);
        out[38] = ahead(30);
    }
}

fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let count = one.len() as f64;
    let (a, b) = (
        one.iter().sum::<f64>() / count,
        other.iter().sum::<f64>() / count,
    );
    let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
    for (x, y) in one.iter().zip(other) {
        both += (x - a) * (y - b);
        first += (x - a).powi(2);
        second += (y - b).powi(2);
    }
    let spread = (first * second).sqrt();
    if spread > 1e-9 { both / spread } else { 0.0 }
}

fn growth(group: &History, now: u64, before: u64) -> f64 {
    let (Some(new), Some(old)) = (group.memory_at(now), group.memory_at(before)) else {
        return 0.0;
    };
    let larger = new.max(old);
    if larger == 0 {
        0.0
    } else {
        (new as f64 - old as f64) / larger as f64
    }
}

/// Whether the last minute of a cgroup held any CPU pressure worth a forecast: more
/// than 0.1 % of a five-second span. Where it did not, the forecast is what it is now.
pub fn active(features: &Features) -> bool {
    features[15] > 0.001
}

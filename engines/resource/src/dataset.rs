//! From recorded runs to rows: what was known at a second, what the pressure was 5 and
//! 30 s later, and what the simple forecasts would have said.

use crate::Error;
use crate::features::{self, BUCKET_US, Features};
use crate::history::{Channel, History};
use crate::record::Run;
use crate::simple;

/// How far ahead the two forecasts look, in seconds.
pub const HORIZONS_S: [u64; 2] = [5, 30];
/// Time constants tried for the exponential average, in seconds.
pub const CONSTANTS_S: [f64; 7] = [1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0];

const SECOND_US: u64 = 1_000_000;

/// One second of one cgroup.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was known.
    pub features: Features,
    /// The mean of `cpu.some` over the 5 s that end 5 and 30 s later, as shares.
    pub target: [f64; 2],
    /// Persistence.
    pub persistence: f64,
    /// The exponential averages, one for each of `CONSTANTS_S`.
    pub averages: [f64; CONSTANTS_S.len()],
}

/// All rows of a run: every cgroup (but those without pressure in the last minute) at
/// every round that has a minute before it and 30 s after it.
///
/// # Errors
/// `Error::Record` when the run has no number of CPUs or its rounds do not match its
/// cgroups.
pub fn rows(run: &Run) -> Result<Vec<Row>, Error> {
    let cpus = run.cpus()?;
    let mut histories: Vec<History> = vec![History::default(); run.groups.len()];
    let mut full: Vec<Whole> = vec![Whole::default(); run.groups.len()];
    for round in &run.rounds {
        for (whole, sample) in full.iter_mut().zip(&round.samples) {
            if let Some(sample) = sample {
                whole.push(sample.time_us, sample.cpu_some_us);
            }
        }
    }
    let mut out = Vec::new();
    for round in &run.rounds {
        for (history, sample) in histories.iter_mut().zip(&round.samples) {
            if let Some(sample) = sample {
                history.push(*sample);
            }
        }
        let Some(system) = histories.first() else {
            return Err(Error::Record {
                line: 1,
                reason: "no cgroups".into(),
            });
        };
        for (history, whole) in histories.iter().zip(&full) {
            if history
                .last()
                .is_some_and(|last| last.time_us == round.time_us)
            {
                out.extend(row(history, system, whole, cpus));
            }
        }
    }
    Ok(out)
}

fn row(history: &History, system: &History, whole: &Whole, cpus: u32) -> Option<Row> {
    let features = features::extract(history, system, cpus)?;
    if !features::active(&features) {
        return None;
    }
    let now = history.last()?.time_us;
    let target = HORIZONS_S.map(|horizon| {
        let to = now + horizon * SECOND_US;
        whole.share(to - BUCKET_US, to)
    });
    let mut averages = [0.0; CONSTANTS_S.len()];
    for (average, constant) in averages.iter_mut().zip(CONSTANTS_S) {
        *average = simple::exponential_average(history, constant)?;
    }
    Some(Row {
        features,
        target: [target[0]?, target[1]?],
        persistence: history.share(Channel::Cpu, now - BUCKET_US, now)?,
        averages,
    })
}

/// The CPU pressure of one cgroup over a whole run (a `History` forgets).
#[derive(Debug, Clone, Default)]
struct Whole(Vec<(u64, u64)>);

impl Whole {
    fn push(&mut self, time_us: u64, total_us: u64) {
        self.0.push((time_us, total_us));
    }

    fn share(&self, from_us: u64, to_us: u64) -> Option<f64> {
        Some(((self.at(to_us)? - self.at(from_us)?) / (to_us - from_us) as f64).max(0.0))
    }

    fn at(&self, time_us: u64) -> Option<f64> {
        let after = self.0.partition_point(|(time, _)| *time < time_us);
        let (right, high) = *self.0.get(after)?;
        if right == time_us {
            return Some(high as f64);
        }
        let (left, low) = *self.0.get(after.checked_sub(1)?)?;
        Some(
            low as f64
                + (high as f64 - low as f64) * (time_us - left) as f64 / (right - left) as f64,
        )
    }
}

//! The method on public data: ADFA-LD, trained on normal traces only, beside STIDE and 12-grams.
//!
//! The 833 training traces train. The method and its features were chosen on every second normal trace of the other
//! 4,372 and on the attacks Adduser, Hydra_FTP and Java_Meterpreter (`chosen_on`); the rest was looked at once, at the
//! end (`unseen`). `all` is the whole test set, as others measure.

use std::io::Read;
use std::path::{Path, PathBuf};

use quantumos_learn::baseline::Stide;
use quantumos_learn::evaluate::{auc, share_above};
use quantumos_learn::features::TRACE;
use quantumos_learn::train::{Settings, threshold, train};
use quantumos_learn::{Window, trace};

use crate::Failure;

const CHOSEN_ON: [&str; 3] = ["Adduser", "Hydra_FTP", "Java_Meterpreter"];
/// The largest trace of the set has 4,494 calls.
const LONGEST: u64 = 1 << 20;

/// What a detector comes to: areas under the ROC curve.
#[derive(Debug, Clone, Copy)]
pub struct Areas {
    /// Its name.
    pub name: &'static str,
    /// Over the whole test set.
    pub all: f64,
    /// Over the part that the method was chosen on.
    pub chosen_on: f64,
    /// Over the other part.
    pub unseen: f64,
}

/// What the check comes to.
#[derive(Debug, Clone)]
pub struct Check {
    /// The seed of the training.
    pub seed: u64,
    /// The model, STIDE, 12-grams.
    pub detectors: [Areas; 3],
    /// The rate of false positives that the threshold was set for, on the training traces.
    pub rate: f64,
    /// Share of the other normal traces above the threshold.
    pub false_positives: f64,
    /// Share of the attack traces above it.
    pub detected: f64,
    /// The model's area when every second of the other normal traces trains too, against the rest of them.
    pub with_half: Option<f64>,
}

struct Trace {
    name: String,
    calls: Vec<u16>,
}

type Score<'a> = &'a dyn Fn(&Trace) -> f64;

/// Where the data is: below `QUANTUMOS_DATA`, else beside the repository.
#[must_use]
pub fn archive() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("QUANTUMOS_DATA")
        .map_or_else(beside, PathBuf::from)
        .join("adfa-ld/ADFA-LD.zip");
    path.is_file().then_some(path)
}

/// The traces below a folder of the archive, in the order of their paths, one in `every`.
fn traces(archive: &Path, folder: &str, every: usize) -> Result<Vec<Trace>, Failure> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive)?)?;
    let mut names: Vec<String> = zip
        .file_names()
        .filter(|name| name.contains(folder) && name.ends_with(".txt"))
        .map(str::to_owned)
        .collect();
    names.sort();
    let mut traces = Vec::new();
    for name in names.into_iter().step_by(every) {
        let mut text = String::new();
        zip.by_name(&name)?
            .take(LONGEST)
            .read_to_string(&mut text)?;
        let calls: Result<Vec<u16>, _> = text.split_whitespace().map(str::parse).collect();
        let calls = calls.map_err(|error| format!("{name}: {error}"))?;
        traces.push(Trace { name, calls });
    }
    Ok(traces)
}

fn fitted(traces: &[&Trace]) -> Result<quantumos_learn::train::Trained, Failure> {
    let windows: Vec<Window> = traces.iter().map(|one| trace::window(&one.calls)).collect();
    let windows: Vec<&Window> = windows.iter().collect();
    Ok(train(&windows, &TRACE, &settings())?)
}

fn settings() -> Settings {
    // The traces are in no order of time.
    Settings {
        ordered: false,
        ..Settings::default()
    }
}

/// Trains on all normal training traces, and measures on one in `every` of the others.
///
/// # Errors
/// When the archive can't be read.
pub fn check(archive: &Path, every: usize) -> Result<Check, Failure> {
    let normal = traces(archive, "Training_Data_Master", 1)?;
    let held_out = traces(archive, "Validation_Data_Master", every)?;
    let attacks = traces(archive, "Attack_Data_Master", every)?;
    let calls = || normal.iter().map(|one| &one.calls[..]);
    let model = fitted(&normal.iter().collect::<Vec<_>>())?;
    let (stide, twelve) = (Stide::new(6, calls()), Stide::new(12, calls()));
    let of_model = |one: &Trace| model.score(&trace::window(&one.calls), &TRACE);
    let scores: [(&'static str, Score<'_>); 3] = [
        ("model", &of_model),
        ("STIDE", &|one| stide.score(&one.calls)),
        ("12-grams", &|one| twelve.score(&one.calls)),
    ];
    let detectors = scores.map(|(name, score)| areas(name, score, &held_out, &attacks));
    let rate = 0.05;
    let at = threshold(&model.scores, rate)?;
    let share = |traces: &[Trace]| {
        let scores: Vec<f64> = traces.iter().map(of_model).collect();
        share_above(&scores, at)
    };
    let with_half = || -> Result<f64, Failure> {
        let more: Vec<&Trace> = normal.iter().chain(held_out.iter().step_by(2)).collect();
        let model = fitted(&more)?;
        let score = |one: &Trace| model.score(&trace::window(&one.calls), &TRACE);
        let normal: Vec<f64> = held_out.iter().skip(1).step_by(2).map(score).collect();
        let strange: Vec<f64> = attacks.iter().map(score).collect();
        Ok(auc(&normal, &strange))
    };
    Ok(Check {
        seed: settings().seed,
        detectors,
        rate,
        false_positives: share(&held_out),
        detected: share(&attacks),
        with_half: if every == 1 { Some(with_half()?) } else { None },
    })
}

fn areas(name: &'static str, score: Score<'_>, held_out: &[Trace], attacks: &[Trace]) -> Areas {
    let normal: Vec<f64> = held_out.iter().map(score).collect();
    let strange: Vec<f64> = attacks.iter().map(score).collect();
    let half = |odd: usize| -> Vec<f64> { normal.iter().skip(odd).step_by(2).copied().collect() };
    let family = |chosen_on: bool| -> Vec<f64> {
        let is_chosen_on = |one: &Trace| CHOSEN_ON.iter().any(|name| one.name.contains(name));
        let wanted = attacks.iter().zip(&strange);
        let wanted = wanted.filter(|(one, _)| is_chosen_on(one) == chosen_on);
        wanted.map(|(_, score)| *score).collect()
    };
    Areas {
        name,
        all: auc(&normal, &strange),
        chosen_on: auc(&half(0), &family(true)),
        unseen: auc(&half(1), &family(false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A share of the traces, which says whether something has broken; `make bench BENCH=learn` takes them all.
    #[test]
    fn better_than_chance_and_the_classics_on_a_share_of_the_traces() {
        let Some(archive) = archive() else {
            println!("skipped: no data adfa-ld");
            return;
        };
        let check = check(&archive, 6).unwrap();
        println!("seed {}: {:?}", check.seed, check.detectors);
        let [model, stide, twelve] = check.detectors.map(|one| one.all);
        assert!(model > 0.8, "{model}");
        assert!(model > stide && model > twelve, "{stide} {twelve} {model}");
        assert!(check.detected > 0.5 + check.false_positives, "{check:?}");
    }
}

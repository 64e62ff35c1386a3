//! Trains on recorded runs, measures on runs that training never saw, and writes the
//! model with its signed manifest.

use std::path::{Path, PathBuf};

use clap::Args;
use quantumos_pqc::sha256_hex;
use quantumos_pqc::{SEED_LEN, Secret, SigningKey};
use quantumos_resource::dataset::{self, CONSTANTS_S, HORIZONS_S, Row};
use quantumos_resource::features::NAMES;
use quantumos_resource::manifest::{FORMAT, Manifest, SIGNATURE_CONTEXT, Source};
use quantumos_resource::network::Network;
use quantumos_resource::onnx;
use quantumos_resource::record::Run;
use quantumos_resource::score::{Score, best_constant, mean_error};
use quantumos_resource::train::{Settings, forecast, trace, train};
use resource_ai::model::NAME;

use crate::{Outcome, named};

/// One of so many runs is held out.
const HELD_OUT_EVERY: usize = 4;
/// The other runs are left out in this many turns to choose between the trials.
const TURNS: usize = 5;
/// Hidden units and shrinkage that are tried.
const TRIALS: [(usize, f64); 5] = [(4, 1e-2), (8, 1e-2), (8, 1e-1), (16, 1e-2), (16, 1e-1)];

/// What to train.
#[derive(Debug, Args)]
pub struct Options {
    /// Folder of recorded runs (*.csv)
    #[arg(long)]
    runs: PathBuf,
    /// Folder for the model, its manifest and its signature
    #[arg(long)]
    out: PathBuf,
    /// Seed of the training
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// Most passes over the rows
    #[arg(long, default_value_t = 30)]
    epochs: u32,
    /// Name of the public key's file in OUT/trusted.d
    #[arg(long, default_value = "quantumos-models")]
    key_name: String,
    /// ML-DSA-87 seed (32 bytes) that signs the manifest. Without it a new key signs this
    /// one model and is forgotten: then only the public half exists anywhere
    #[arg(long)]
    signing_key: Option<PathBuf>,
}

/// A run with what the manifest says of it.
struct Recorded {
    name: String,
    machine: String,
    text: Vec<u8>,
    rows: Vec<Row>,
}

/// Trains, measures, writes and signs.
pub fn run(options: &Options) -> Outcome {
    let runs = load(&options.runs)?;
    let (held_out, learn): (Vec<_>, Vec<_>) = runs
        .into_iter()
        .enumerate()
        .partition(|(index, _)| index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1);
    let learn: Vec<Recorded> = learn.into_iter().map(|(_, run)| run).collect();
    let held_out: Vec<Recorded> = held_out.into_iter().map(|(_, run)| run).collect();
    let network = best(&learn, options)?;
    let all = rows(learn.iter());
    let unseen = rows(held_out.iter());
    let scores = scores(&network, &all, &unseen);
    for score in &scores {
        eprintln!(
            "held out, {:>2} s ahead: mean absolute error {:.3} points; persistence {:.3}; exponential average ({} s) {:.3}",
            score.horizon_s,
            score.model,
            score.persistence,
            score.average_constant_s,
            score.average
        );
    }
    let bytes = onnx::write(&network);
    let manifest = Manifest {
        format: FORMAT,
        name: NAME.into(),
        sha256: sha256_hex(&bytes),
        size: bytes.len() as u64,
        architecture: format!("linear part beside one hidden layer of {} rectified units", network.hidden),
        target: "mean share of cpu.some over the 5 s that end 5 and 30 s ahead, of units with pressure in the last minute".into(),
        features: NAMES.map(str::to_owned).to_vec(),
        seed: options.seed,
        training: source(&learn),
        held_out: source(&held_out),
        scores,
    };
    if let Some(reason) = manifest.loses() {
        eprintln!("the daemon will not use this model: {reason}");
    }
    write(&manifest, &bytes, options)
}

fn load(folder: &Path) -> Result<Vec<Recorded>, Box<dyn std::error::Error>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(named(folder))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "csv"))
        .collect();
    paths.sort_unstable();
    let mut runs = Vec::new();
    for path in paths {
        let text = std::fs::read(&path).map_err(named(&path))?;
        let run = Run::parse(std::str::from_utf8(&text)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let rows = dataset::rows(&run).map_err(|error| format!("{}: {error}", path.display()))?;
        let machine = format!(
            "{}; kernel {}",
            run.meta
                .get("machine")
                .map_or("unknown machine", String::as_str),
            run.meta.get("kernel").map_or("unknown", String::as_str)
        );
        let name = path
            .file_stem()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        eprintln!("{name}: {} rows", rows.len());
        runs.push(Recorded {
            name,
            machine,
            text,
            rows,
        });
    }
    Ok(runs)
}

fn rows<'a>(runs: impl Iterator<Item = &'a Recorded>) -> Vec<Row> {
    runs.flat_map(|run| run.rows.iter().cloned()).collect()
}

/// Tries each setting with the runs left out in turns, takes the best setting and number
/// of passes, and trains with it on all of them. The held-out runs have no say.
fn best(learn: &[Recorded], options: &Options) -> Result<Network, Box<dyn std::error::Error>> {
    let mut best: Option<(f64, u32, Settings)> = None;
    for (hidden, lambda) in TRIALS {
        let settings = Settings {
            seed: options.seed,
            hidden,
            lambda,
            epochs: options.epochs,
            ..Settings::default()
        };
        let mut sums = vec![0.0; options.epochs as usize + 1];
        let mut count = 0;
        for turn in 0..TURNS {
            let of = |out: bool| {
                learn
                    .iter()
                    .enumerate()
                    .filter(move |(index, _)| (index % TURNS == turn) == out)
            };
            let (kept, left_out) = (
                rows(of(false).map(|(_, run)| run)),
                rows(of(true).map(|(_, run)| run)),
            );
            count += left_out.len();
            for (sum, error) in sums.iter_mut().zip(trace(&kept, &left_out, &settings)?) {
                *sum += error * left_out.len() as f64;
            }
        }
        let least = sums
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| a.total_cmp(b));
        let (passes, error) =
            least.map_or((0, f64::NAN), |(passes, sum)| (passes, sum / count as f64));
        eprintln!(
            "{hidden} hidden units, shrinkage {lambda}: {error:.3} points (both horizons) after {passes} passes"
        );
        if best.as_ref().is_none_or(|(before, ..)| error < *before) {
            best = Some((error, u32::try_from(passes)?, settings));
        }
    }
    let (_, passes, settings) = best.ok_or("nothing was tried")?;
    eprintln!(
        "seed {}: {} hidden units, shrinkage {}, {passes} passes",
        settings.seed, settings.hidden, settings.lambda
    );
    let all = rows(learn.iter());
    Ok(train(&all, &settings, passes)?)
}

fn scores(network: &Network, known: &[Row], unseen: &[Row]) -> Vec<Score> {
    let score = |which: usize| {
        let constant = best_constant(known, which);
        Score {
            horizon_s: HORIZONS_S[which],
            model: round(mean_error(unseen, which, |row| {
                forecast(network, row, which)
            })),
            persistence: round(mean_error(unseen, which, |row| row.persistence)),
            average: round(mean_error(unseen, which, |row| row.averages[constant])),
            average_constant_s: CONSTANTS_S[constant],
        }
    };
    (0..HORIZONS_S.len()).map(score).collect()
}

/// Three decimals, as a manifest shows them.
fn round(points: f64) -> f64 {
    (points * 1000.0).round() / 1000.0
}

fn source(runs: &[Recorded]) -> Source {
    let mut recorded_on: Vec<String> = runs.iter().map(|run| run.machine.clone()).collect();
    recorded_on.sort_unstable();
    recorded_on.dedup();
    let all: Vec<u8> = runs
        .iter()
        .flat_map(|run| run.text.iter().copied())
        .collect();
    Source {
        recorded_on,
        runs: runs.iter().map(|run| run.name.clone()).collect(),
        sha256: sha256_hex(&all),
        rows: runs.iter().map(|run| run.rows.len() as u64).sum(),
    }
}

fn write(manifest: &Manifest, bytes: &[u8], options: &Options) -> Outcome {
    let papers = toml::to_string(manifest)?;
    let seed = match &options.signing_key {
        Some(path) => Secret::<SEED_LEN>::from_slice(
            "signing key",
            &std::fs::read(path).map_err(named(path))?,
        )?,
        None => Secret::<SEED_LEN>::random()?,
    };
    let key = SigningKey::from_seed(&seed)?;
    let signature = key.sign(papers.as_bytes(), SIGNATURE_CONTEXT)?;
    let trusted = options.out.join("trusted.d");
    std::fs::create_dir_all(&trusted).map_err(named(&trusted))?;
    for (path, content) in [
        (options.out.join(format!("{NAME}.onnx")), bytes),
        (
            options.out.join(format!("{NAME}.manifest.toml")),
            papers.as_bytes(),
        ),
        (
            options.out.join(format!("{NAME}.manifest.toml.sig")),
            signature.as_bytes().as_slice(),
        ),
        (
            trusted.join(format!("{}.pub", options.key_name)),
            key.public_key().as_bytes().as_slice(),
        ),
    ] {
        std::fs::write(&path, content).map_err(named(&path))?;
        eprintln!("{}: {} bytes", path.display(), content.len());
    }
    Ok(())
}

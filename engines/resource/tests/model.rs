//! Training, the model file and its manifest, with hostile files among them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use quantumos_resource::dataset::{self, Row};
use quantumos_resource::history::Sample;
use quantumos_resource::manifest::{FORMAT, Manifest, Source};
use quantumos_resource::network::{Network, OUTPUTS, shares};
use quantumos_resource::record::{Round, Run};
use quantumos_resource::rng::Rng;
use quantumos_resource::score::{Score, best_constant, mean_error};
use quantumos_resource::train::{Settings, error, forecast, trace, train};
use quantumos_resource::{Error, features, onnx};

/// A made-up run: bursts with a fixed rhythm, so that there is something to learn.
fn rhythm(seed: u64) -> Vec<Row> {
    let mut rng = Rng::new(seed);
    let period = 8 + rng.below(20);
    let mut run = Run {
        groups: vec!["/".into()],
        ..Run::default()
    };
    run.meta.insert("cpus".into(), "2".into());
    let mut total = 0;
    for second in 0..300_u64 {
        let on = second % period < period / 2;
        total += if on {
            600_000 + rng.below(100_000)
        } else {
            rng.below(20_000)
        };
        let sample = Sample {
            time_us: second * 1_000_000,
            cpu_some_us: total,
            usage_us: total,
            ..Sample::default()
        };
        run.rounds.push(Round {
            time_us: sample.time_us,
            samples: vec![Some(sample)],
        });
    }
    dataset::rows(&run).unwrap()
}

fn rows(seeds: std::ops::Range<u64>) -> Vec<Row> {
    seeds.flat_map(rhythm).collect()
}

fn network(seed: u64, hidden: usize) -> Network {
    let mut rng = Rng::new(seed);
    let mut some = |count: usize| {
        (0..count)
            .map(|_| rng.between(-1.0, 1.0) as f32)
            .collect::<Vec<_>>()
    };
    Network {
        hidden,
        w1: some(features::COUNT * hidden),
        b1: some(hidden),
        w2: some(hidden * OUTPUTS),
        skip: some(features::COUNT * OUTPUTS),
        b2: some(OUTPUTS),
    }
}

#[test]
fn training_learns_a_rhythm_that_simple_forecasts_miss() {
    let (learn, held_out) = (rows(0..15), rows(15..20));
    let settings = Settings {
        epochs: 8,
        ..Settings::default()
    };
    let model = train(&learn, &settings, 8).unwrap();
    let trace = trace(&learn, &held_out, &settings).unwrap();
    assert_eq!((trace.len(), trace[8]), (9, error(&model, &held_out)));
    for which in 0..OUTPUTS {
        let ours = mean_error(&held_out, which, |row| forecast(&model, row, which));
        let stays = mean_error(&held_out, which, |row| row.persistence);
        let constant = best_constant(&learn, which);
        let average = mean_error(&held_out, which, |row| row.averages[constant]);
        assert!(
            ours < stays && ours < average,
            "horizon {which}: {ours}, {stays}, {average}"
        );
    }
    assert_eq!(
        model,
        train(&learn, &settings, 8).unwrap(),
        "the same seed gives another model"
    );
    let seed = Settings {
        seed: 1,
        ..settings
    };
    let other = train(&learn, &seed, 8).unwrap();
    assert_ne!(model, other);
    assert!(error(&other, &held_out).is_finite());
}

#[test]
fn training_refuses_too_little() {
    let few = rhythm(1);
    let settings = Settings::default();
    assert!(matches!(
        train(&few[..100], &settings, 1),
        Err(Error::Training(_))
    ));
    let none = Settings {
        hidden: 0,
        ..settings
    };
    assert!(matches!(
        train(&rows(0..9), &none, 1),
        Err(Error::Training(_))
    ));
}

#[test]
fn a_model_file_comes_back() {
    for hidden in [1, 16, 64] {
        let network = network(hidden as u64, hidden);
        let file = onnx::write(&network);
        assert!(file.len() <= onnx::MAX_LEN);
        assert_eq!(onnx::read(&file).unwrap(), network);
    }
}

#[test]
fn hostile_model_files_are_refused() {
    let good = onnx::write(&network(3, 8));
    for cut in 0..good.len() {
        assert!(onnx::read(&good[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = good.clone();
    longer.extend_from_slice(&[0x4a, 0x00]);
    assert!(onnx::read(&longer).is_err(), "something appended");
    assert!(
        onnx::read(&vec![0; onnx::MAX_LEN + 1])
            .unwrap_err()
            .to_string()
            .contains("at most")
    );
    let mut broken = network(3, 8);
    broken.w2[0] = f32::NAN;
    assert!(
        onnx::read(&onnx::write(&broken))
            .unwrap_err()
            .to_string()
            .contains("not finite")
    );
    broken.w2[0] = f32::INFINITY;
    assert!(onnx::read(&onnx::write(&broken)).is_err());
    let mut short = network(3, 8);
    short.b1.pop();
    assert!(onnx::read(&onnx::write(&short)).is_err());
    assert!(
        onnx::read(&onnx::write(&network(3, 65)))
            .unwrap_err()
            .to_string()
            .contains("w1")
    );
}

proptest! {
    #[test]
    fn a_changed_byte_is_refused_or_only_changes_a_weight(place: prop::sample::Index, flip in 1u8..) {
        let good = onnx::write(&network(5, 4));
        let mut bad = good.clone();
        let at = place.index(bad.len());
        bad[at] ^= flip;
        if let Ok(read) = onnx::read(&bad) {
            prop_assert_eq!(onnx::write(&read), bad);
            prop_assert!(read.check().is_ok());
        }
    }

    #[test]
    fn any_bytes_are_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(onnx::read(&bytes).is_err());
    }
}

#[test]
fn what_a_model_gives_is_limited() {
    let table: [(&[f32], Option<[f64; 2]>); 5] = [
        (&[0.25, 0.5], Some([0.25, 0.5])),
        (&[-3.0, 7.0], Some([0.0, 1.0])),
        (&[f32::NAN, 0.5], None),
        (&[0.5, f32::INFINITY], None),
        (&[0.5], None),
    ];
    for (raw, expected) in table {
        assert_eq!(shares(raw), expected, "{raw:?}");
    }
}

fn manifest() -> Manifest {
    let source = |run: &str| Source {
        recorded_on: vec!["a machine".into()],
        runs: vec![run.into()],
        sha256: "00".into(),
        rows: 10,
    };
    let score = |horizon_s| Score {
        horizon_s,
        model: 1.0,
        persistence: 2.0,
        average: 1.5,
        average_constant_s: 10.0,
    };
    Manifest {
        format: FORMAT,
        name: "pressure".into(),
        sha256: "ab".into(),
        size: 7,
        architecture: "linear".into(),
        target: "cpu.some".into(),
        features: features::NAMES.map(str::to_owned).to_vec(),
        seed: 1,
        training: source("one"),
        held_out: source("two"),
        scores: vec![score(5), score(30)],
    }
}

#[test]
fn a_manifest_has_to_fit_its_model_and_this_version() {
    assert_eq!(manifest().check(7, "AB"), Ok(()));
    type Change = fn(&mut Manifest);
    let table: [(&str, Change); 6] = [
        ("format", |m| m.format = 2),
        ("bytes", |m| m.size = 8),
        ("digest", |m| m.sha256 = "cd".into()),
        ("other features", |m| m.features.swap(0, 1)),
        ("no held-out figures", |m| m.scores.truncate(1)),
        ("among the training runs", |m| {
            m.held_out.runs = m.training.runs.clone()
        }),
    ];
    for (wanted, change) in table {
        let mut changed = manifest();
        change(&mut changed);
        let told = changed.check(7, "ab").unwrap_err().to_string();
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

#[test]
fn figures_that_do_not_win_rule_a_model_out() {
    assert_eq!(manifest().loses(), None);
    for (model, persistence, average) in [
        (2.0, 2.0, 3.0),
        (1.0, 2.0, 0.9),
        (f64::NAN, 2.0, 2.0),
        (-1.0, 2.0, 2.0),
    ] {
        let mut losing = manifest();
        losing.scores[1] = Score {
            model,
            persistence,
            average,
            ..losing.scores[1]
        };
        assert!(losing.loses().unwrap().starts_with("at 30 s"));
    }
}

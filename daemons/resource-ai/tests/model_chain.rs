//! The chain from a trusted key to a running model: each broken link is refused with its
//! reason, and the model in this repository holds what its manifest says.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use quantumos_pqc::sha256_hex;
use quantumos_pqc::{SEED_LEN, Secret, SigningKey};
use quantumos_resource::dataset::{self, HORIZONS_S, Row};
use quantumos_resource::features::{COUNT, NAMES};
use quantumos_resource::history::{History, Sample};
use quantumos_resource::manifest::{FORMAT, Manifest, SIGNATURE_CONTEXT, Source};
use quantumos_resource::network::{Network, OUTPUTS};
use quantumos_resource::onnx;
use quantumos_resource::record::Run;
use quantumos_resource::rng::Rng;
use quantumos_resource::score::{Score, mean_error};
use resource_ai::forecaster::{Forecaster, Means};
use resource_ai::model::Model;
use resource_ai::settings;

fn network(seed: u64) -> Network {
    let mut rng = Rng::new(seed);
    let mut some = |count: usize| {
        (0..count)
            .map(|_| rng.between(-0.1, 0.1) as f32)
            .collect::<Vec<_>>()
    };
    Network {
        hidden: 8,
        w1: some(COUNT * 8),
        b1: some(8),
        w2: some(8 * OUTPUTS),
        skip: some(COUNT * OUTPUTS),
        b2: some(OUTPUTS),
    }
}

fn manifest(onnx: &[u8]) -> Manifest {
    let source = |run: &str| Source {
        recorded_on: vec!["a test".into()],
        runs: vec![run.into()],
        sha256: String::new(),
        rows: 1,
    };
    let score = |horizon_s| Score {
        horizon_s,
        model: 1.0,
        persistence: 2.0,
        average: 2.0,
        average_constant_s: 10.0,
    };
    Manifest {
        format: FORMAT,
        name: "pressure".into(),
        sha256: sha256_hex(onnx),
        size: onnx.len() as u64,
        architecture: "a test".into(),
        target: "a test".into(),
        features: NAMES.map(str::to_owned).to_vec(),
        seed: 1,
        training: source("one"),
        held_out: source("two"),
        scores: HORIZONS_S.map(score).to_vec(),
    }
}

/// A folder with a model, its papers, their signature and the key.
struct Folder {
    directory: tempfile::TempDir,
    key: SigningKey,
}

impl Folder {
    fn new(onnx: &[u8], manifest: &Manifest) -> Self {
        let key = SigningKey::from_seed(&Secret::<SEED_LEN>::random().unwrap()).unwrap();
        let folder = Self {
            directory: tempfile::tempdir().unwrap(),
            key,
        };
        std::fs::create_dir(folder.path("trusted.d")).unwrap();
        std::fs::write(
            folder.path("trusted.d/test.pub"),
            folder.key.public_key().as_bytes(),
        )
        .unwrap();
        std::fs::write(folder.path("pressure.onnx"), onnx).unwrap();
        folder.sign(
            toml::to_string(manifest).unwrap().as_bytes(),
            SIGNATURE_CONTEXT,
        );
        folder
    }

    fn sign(&self, papers: &[u8], context: &[u8]) {
        let signature = self.key.sign(papers, context).unwrap();
        std::fs::write(self.path("pressure.manifest.toml"), papers).unwrap();
        std::fs::write(
            self.path("pressure.manifest.toml.sig"),
            signature.as_bytes(),
        )
        .unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn settings(&self) -> settings::Model {
        settings::Model {
            enabled: true,
            directory: self.directory.path().into(),
            trusted: vec![self.path("trusted.d")],
        }
    }

    fn refusal(&self) -> String {
        Model::load(&self.settings()).unwrap_err().to_string()
    }
}

#[test]
fn a_good_chain_gives_what_the_weights_say() {
    let network = network(1);
    let bytes = onnx::write(&network);
    let folder = Folder::new(&bytes, &manifest(&bytes));
    let mut model = Model::load(&folder.settings()).unwrap();
    assert_eq!(model.signer, "test.pub");
    let mut rng = Rng::new(7);
    for _ in 0..50 {
        let features = std::array::from_fn(|_| rng.between(-1.0, 4.0) as f32);
        let (seen, expected) = (model.run(&features).unwrap(), network.run(&features));
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(
                (seen - f64::from(expected.clamp(0.0, 1.0))).abs() < 1e-4,
                "{seen} {expected}"
            );
        }
    }
}

#[test]
fn each_broken_link_is_refused_by_name() {
    type Break = fn(&Folder);
    let table: [(&str, &str, Break); 15] = [
        ("no manifest", "pressure.manifest.toml: No such file", |f| {
            std::fs::remove_file(f.path("pressure.manifest.toml")).unwrap()
        }),
        (
            "no signature",
            "pressure.manifest.toml.sig: No such file",
            |f| std::fs::remove_file(f.path("pressure.manifest.toml.sig")).unwrap(),
        ),
        ("no model", "pressure.onnx: No such file", |f| {
            std::fs::remove_file(f.path("pressure.onnx")).unwrap()
        }),
        ("no key", "no public key in", |f| {
            std::fs::remove_file(f.path("trusted.d/test.pub")).unwrap()
        }),
        ("a key that is none", "none of the 1 trusted keys", |f| {
            std::fs::write(f.path("trusted.d/test.pub"), "x").unwrap()
        }),
        ("another's key", "none of the 1 trusted keys", |f| {
            let other = SigningKey::from_seed(&Secret::<SEED_LEN>::random().unwrap()).unwrap();
            std::fs::write(f.path("trusted.d/test.pub"), other.public_key().as_bytes()).unwrap();
        }),
        (
            "a signature for something else",
            "none of the 1 trusted keys",
            |f| {
                let papers = std::fs::read(f.path("pressure.manifest.toml")).unwrap();
                f.sign(&papers, b"org.quantumos.other");
            },
        ),
        ("a short signature", "signature", |f| {
            std::fs::write(f.path("pressure.manifest.toml.sig"), [0; 100]).unwrap()
        }),
        (
            "figures made better afterwards",
            "none of the 1 trusted keys",
            |f| {
                let papers = std::fs::read_to_string(f.path("pressure.manifest.toml")).unwrap();
                std::fs::write(
                    f.path("pressure.manifest.toml"),
                    papers.replace("persistence = 2.0", "persistence = 9.0"),
                )
                .unwrap();
            },
        ),
        (
            "a manifest with an unknown key",
            "unknown field `extra`",
            |f| {
                let papers = std::fs::read_to_string(f.path("pressure.manifest.toml")).unwrap();
                f.sign(format!("extra = 1\n{papers}").as_bytes(), SIGNATURE_CONTEXT);
            },
        ),
        ("another model", "digest", |f| {
            std::fs::write(f.path("pressure.onnx"), onnx::write(&network(2))).unwrap()
        }),
        ("a truncated model", "bytes", |f| {
            let bytes = std::fs::read(f.path("pressure.onnx")).unwrap();
            std::fs::write(f.path("pressure.onnx"), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("a huge model", "longer than", |f| {
            std::fs::write(f.path("pressure.onnx"), vec![0; onnx::MAX_LEN + 1]).unwrap()
        }),
        ("a model that is no network of ours", "model:", |f| {
            let bytes = b"\x08\x08 not a graph".to_vec();
            std::fs::write(f.path("pressure.onnx"), &bytes).unwrap();
            f.sign(
                toml::to_string(&manifest(&bytes)).unwrap().as_bytes(),
                SIGNATURE_CONTEXT,
            );
        }),
        ("a model that loses", "not used: at 30 s", |f| {
            let mut losing = manifest(&std::fs::read(f.path("pressure.onnx")).unwrap());
            losing.scores[1].model = 2.0;
            f.sign(
                toml::to_string(&losing).unwrap().as_bytes(),
                SIGNATURE_CONTEXT,
            );
        }),
    ];
    let bytes = onnx::write(&network(1));
    for (name, wanted, break_it) in table {
        let folder = Folder::new(&bytes, &manifest(&bytes));
        break_it(&folder);
        let told = folder.refusal();
        assert!(told.contains(wanted), "{name}: {told}");
    }
    let folder = Folder::new(&bytes, &manifest(&bytes));
    let off = settings::Model {
        enabled: false,
        ..folder.settings()
    };
    assert!(
        Model::load(&off)
            .unwrap_err()
            .to_string()
            .contains("switched off")
    );
}

#[test]
fn a_model_that_gives_no_number_is_dropped_for_the_average() {
    let mut wild = network(1);
    // Finite weights whose sum is not: only running it shows.
    wild.skip.fill(f32::MAX);
    wild.w2.fill(-f32::MAX);
    wild.b1.fill(f32::MAX);
    let bytes = onnx::write(&wild);
    let folder = Folder::new(&bytes, &manifest(&bytes));
    let mut forecaster = Forecaster::new(&folder.settings());
    let mut history = History::default();
    for second in 0..=70_u64 {
        history.push(Sample {
            time_us: second * 1_000_000,
            cpu_some_us: second * 500_000,
            ..Sample::default()
        });
    }
    let forecast = forecaster.forecast(&history, &history, 2).unwrap();
    assert_eq!(forecast.means, Means::Average);
    assert!((forecast.in_5 - 0.5).abs() < 1e-6);
    assert!(forecaster.model().is_none() && !forecaster.reason().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn signed_nonsense_brings_nothing_down(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let folder = Folder::new(&bytes, &manifest(&bytes));
        prop_assert!(Model::load(&folder.settings()).is_err());
    }
}

fn rows(manifest: &Manifest, folder: &Path) -> Vec<Row> {
    let mut all = Vec::new();
    let mut texts = Vec::new();
    for run in &manifest.held_out.runs {
        let text = std::fs::read(folder.join(format!("{run}.csv"))).unwrap();
        all.extend(
            dataset::rows(&Run::parse(std::str::from_utf8(&text).unwrap()).unwrap()).unwrap(),
        );
        texts.extend(text);
    }
    assert_eq!(
        sha256_hex(&texts),
        manifest.held_out.sha256,
        "the held-out runs are not those of the manifest"
    );
    all
}

#[test]
fn the_model_in_this_repository_holds_its_figures() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models = here.join("models");
    let settings = settings::Model {
        enabled: true,
        directory: models.clone(),
        trusted: vec![models.join("trusted.d")],
    };
    let mut model = Model::load(&settings).unwrap();
    let rows = rows(&model.manifest, &here.join("training/runs"));
    assert_eq!(rows.len() as u64, model.manifest.held_out.rows);
    let mut sums = [0.0; OUTPUTS];
    for row in &rows {
        let seen = model.run(&row.features).unwrap();
        for (which, sum) in sums.iter_mut().enumerate() {
            *sum += (seen[which] - row.target[which]).abs();
        }
    }
    for (which, score) in model.manifest.scores.iter().enumerate() {
        let ours = 100.0 * sums[which] / rows.len() as f64;
        let stays = mean_error(&rows, which, |row| row.persistence);
        assert!(
            (ours - score.model).abs() < 0.01,
            "{} s: {ours}, the manifest says {}",
            score.horizon_s,
            score.model
        );
        assert!(
            (stays - score.persistence).abs() < 0.01,
            "{} s: {stays}",
            score.horizon_s
        );
        assert!(score.model_is_better());
    }
}

//! The method on public data: ADFA-LD, trained on normal traces only, beside STIDE and a 12-gram baseline.
//!
//! Protocol: the 833 training traces train; method and features were chosen on every second normal validation
//! trace and the attacks Adduser, Hydra_FTP and Java_Meterpreter ("chosen on"); the other half and the other
//! attacks were looked at once, at the end ("unseen"). "all" is the whole test set, as others measure.
#![allow(clippy::panic, clippy::unwrap_used)]

use quantumos_learn::baseline::Stide;
use quantumos_learn::evaluate::{auc, share_above, threshold};
use quantumos_learn::features::TRACE;
use quantumos_learn::trace;
use quantumos_learn::train::{Settings, train};
use std::io::Read;
use std::path::{Path, PathBuf};

const CHOSEN_ON: [&str; 3] = ["Adduser", "Hydra_FTP", "Java_Meterpreter"];

type Score<'a> = &'a dyn Fn(&[u16]) -> f64;

struct Trace {
    name: String,
    calls: Vec<u16>,
}

fn archive() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("QUANTUMOS_DATA")
        .map_or_else(beside, PathBuf::from)
        .join("adfa-ld/ADFA-LD.zip");
    path.is_file().then_some(path)
}

/// The traces below a folder of the archive, in the order of their paths.
fn traces(archive: &Path, folder: &str) -> Vec<Trace> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    let mut names: Vec<String> = zip
        .file_names()
        .filter(|name| name.contains(folder) && name.ends_with(".txt"))
        .map(str::to_owned)
        .collect();
    names.sort();
    let read = |name: String| {
        let mut text = String::new();
        zip.by_name(&name)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let calls = text.split_whitespace().map(|word| word.parse().unwrap());
        Trace {
            calls: calls.collect(),
            name,
        }
    };
    names.into_iter().map(read).collect()
}

#[test]
fn normal_only_on_adfa_ld() {
    let Some(archive) = archive() else {
        println!("skipped: no data adfa-ld");
        return;
    };
    let [normal, held_out, attacks] = [
        "Training_Data_Master",
        "Validation_Data_Master",
        "Attack_Data_Master",
    ]
    .map(|folder| traces(&archive, folder));
    assert_eq!(
        [normal.len(), held_out.len(), attacks.len()],
        [833, 4372, 746]
    );
    let calls: Vec<&[u16]> = normal.iter().map(|trace| &trace.calls[..]).collect();
    let windows: Vec<_> = calls.iter().map(|calls| trace::window(calls)).collect();
    let windows: Vec<_> = windows.iter().collect();
    let settings = Settings {
        blocks: false,
        ..Settings::default()
    };
    let model = train(&windows, &TRACE, &settings).unwrap();
    let (stide, twelve) = (
        Stide::new(6, calls.iter().copied()),
        Stide::new(12, calls.iter().copied()),
    );
    let of_model = |calls: &[u16]| model.score(&trace::window(calls), &TRACE);
    let of_stide = |calls: &[u16]| stide.score(calls);
    let of_twelve = |calls: &[u16]| twelve.score(calls);
    let detectors: [(&str, Score<'_>); 3] = [
        ("model", &of_model),
        ("STIDE", &of_stide),
        ("12-gram", &of_twelve),
    ];
    let is_chosen_on = |trace: &Trace| CHOSEN_ON.iter().any(|attack| trace.name.contains(attack));
    let mut areas = Vec::new();
    for (name, score) in detectors {
        let normal: Vec<f64> = held_out.iter().map(|trace| score(&trace.calls)).collect();
        let strange: Vec<f64> = attacks.iter().map(|trace| score(&trace.calls)).collect();
        let half =
            |odd: usize| -> Vec<f64> { normal.iter().skip(odd).step_by(2).copied().collect() };
        let family = |chosen_on: bool| -> Vec<f64> {
            let scores = attacks.iter().zip(&strange);
            let wanted = scores.filter(|(trace, _)| is_chosen_on(trace) == chosen_on);
            wanted.map(|(_, score)| *score).collect()
        };
        let all = auc(&normal, &strange);
        println!(
            "{name:8} AUC all {all:.4}, chosen on {:.4}, unseen {:.4}",
            auc(&half(0), &family(true)),
            auc(&half(1), &family(false))
        );
        areas.push(all);
    }
    let at = threshold(&model.scores, 0.05).unwrap();
    let shares = [&held_out, &attacks].map(|traces| {
        let scores: Vec<f64> = traces.iter().map(|trace| of_model(&trace.calls)).collect();
        share_above(&scores, at)
    });
    println!(
        "at 5 % false positives on the training traces: {:.1} % of the held-out normal traces, {:.1} % of the attacks; {} components",
        100.0 * shares[0],
        100.0 * shares[1],
        model.density.components.len()
    );
    println!(
        "with half of the held-out normal traces added to training, against the other half: AUC {:.4}",
        {
            let more: Vec<_> = normal.iter().chain(held_out.iter().step_by(2)).collect();
            let windows: Vec<_> = more
                .iter()
                .map(|trace| trace::window(&trace.calls))
                .collect();
            let windows: Vec<_> = windows.iter().collect();
            let model = train(&windows, &TRACE, &settings).unwrap();
            let score = |trace: &Trace| model.score(&trace::window(&trace.calls), &TRACE);
            let normal: Vec<f64> = held_out.iter().skip(1).step_by(2).map(score).collect();
            let strange: Vec<f64> = attacks.iter().map(score).collect();
            auc(&normal, &strange)
        }
    );
    // Reached 0.865; the goal of 0.93 is not. Below the floor something has broken.
    assert!(areas[0] >= 0.855, "{areas:?}");
    assert!(areas[0] > areas[1] && areas[0] > areas[2], "{areas:?}");
}

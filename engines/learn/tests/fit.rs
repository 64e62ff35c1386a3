//! Training on made-up windows: what is learned, that it repeats, what is refused, and that an explanation names
//! what is new.
#![allow(clippy::panic, clippy::unwrap_used)]

use quantumos_learn::explain::{Baseline, moved, sentence};
use quantumos_learn::features::HOST;
use quantumos_learn::manifest::{Figures, File, Manifest, Source};
use quantumos_learn::train::{LEAST_WINDOWS, Settings, threshold, train};
use quantumos_learn::window::{Counter, Kind, Sums, Window};
use quantumos_learn::{Error, features, onnx, token};

/// A window of one of three units, each with habits of its own.
fn window(number: u64, unit: u64, extra: &[(Kind, &str)]) -> Window {
    let mut counter = Counter::new(1000);
    let mut steps = Vec::new();
    let noise = token::sequence(&[number]) % 5;
    for step in 0..20 + noise {
        let name = format!("exec /usr/bin/unit{unit}-{}", (step * (1 + number % 2)) % 4);
        let step = token::of(name.as_bytes());
        counter.add(Kind::Step, step, || name);
        steps.push(step);
        counter.add_sequences(&steps, &[(Kind::Pair, 2), (Kind::Triple, 3)]);
    }
    let path = format!("/var/lib/unit{unit}/{}", number % 3);
    counter.add(Kind::Path, token::of(path.as_bytes()), || path);
    for (kind, name) in extra {
        counter.add(*kind, token::of(name.as_bytes()), || (*name).to_owned());
    }
    let (items, overflow) = counter.finish();
    Window {
        subject: format!("unit{unit}.service"),
        start: number * 60_000_000,
        length: 60_000_000,
        sums: Sums {
            events: 20 + u32::try_from(noise).unwrap(),
            executions: 20,
            overflow,
            ..Sums::default()
        },
        items,
    }
}

fn manifest(threshold: f64) -> Manifest {
    let file = File {
        size: 0,
        sha256: String::new(),
    };
    let training = Source {
        windows: 300,
        subjects: 3,
        from: 0,
        to: 299 * 60,
        sha256: String::new(),
    };
    Manifest {
        format: 1,
        serial: 1,
        trained_at: 0,
        architecture: String::new(),
        signer: String::new(),
        seed: 1,
        threshold,
        false_positive_rate: 0.01,
        features: features::names(&HOST),
        model: file.clone(),
        profile: file,
        training,
        held_out: Source::default(),
        figures: Figures::default(),
        baseline: Baseline::default(),
    }
}

fn normal(numbers: std::ops::Range<u64>) -> Vec<Window> {
    numbers
        .map(|number| window(number, number % 3, &[]))
        .collect()
}

#[test]
fn what_is_new_is_strange_and_named() {
    let (known, unseen) = (normal(0..300), normal(300..400));
    let refs: Vec<&Window> = known.iter().collect();
    let model = train(&refs, &HOST, &Settings::default()).unwrap();
    let normal: Vec<f64> = unseen
        .iter()
        .map(|window| model.score(window, &HOST))
        .collect();
    let limit = threshold(&normal, 0.01).unwrap();
    let attack = window(
        301,
        1,
        &[
            (Kind::Chain, "/usr/sbin/unit1 > /usr/bin/sh"),
            (Kind::Peer, "203.0.113.0/24:4444"),
        ],
    );
    let score = model.score(&attack, &HOST);
    assert!(score > limit, "{score} {limit}");
    let x = features::of(&attack, &model.profile, &HOST);
    let reasons = moved(&model.density, &model.baseline, &HOST, &x);
    let manifest = manifest(limit);
    let text = sentence(&attack, &model.profile, &manifest, score, &reasons);
    for words in [
        &format!("score {score:.1}, strange above {limit:.1} (set for 1 in 100 ordinary windows)"),
        "compared with 300 windows of 3 units over 5.0 hours; ",
        "new to the host: /usr/sbin/unit1 > /usr/bin/sh",
        "new-to-host.peer 1, normally 0 to 0.1 (+6.9 spreads), new to the host: 203.0.113.0/24:4444",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let stranger = Window {
        subject: "never.service".into(),
        ..attack
    };
    let text = sentence(&stranger, &model.profile, &manifest, score, &[]);
    assert!(
        text.ends_with("5.0 hours, nothing kept of this unit"),
        "{text}"
    );
    // What another unit does every day is strange in this one.
    let swapped = Window {
        subject: "unit0.service".into(),
        ..window(302, 1, &[])
    };
    assert!(model.score(&swapped, &HOST) > limit);

    let again = train(&refs, &HOST, &Settings::default()).unwrap();
    assert_eq!(model, again, "the same seed gives another model");
    assert_eq!(onnx::read(&onnx::write(&model.density)), Ok(model.density));
}

#[test]
fn what_was_new_when_a_host_was_set_up_hides_nothing_later() {
    let set_up = |number: u64| {
        let names: Vec<String> = (0..20 * (1 + number % 5))
            .map(|n| format!("setup {number} {n}"))
            .collect();
        let extra: Vec<(Kind, &str)> = names
            .iter()
            .flat_map(|name| [Kind::Step, Kind::Chain, Kind::Path].map(|kind| (kind, &**name)))
            .collect();
        window(number, number % 3, &extra)
    };
    let known: Vec<Window> = (0..20).map(set_up).chain(normal(20..400)).collect();
    let refs: Vec<&Window> = known.iter().collect();
    let model = train(&refs, &HOST, &Settings::default()).unwrap();
    let unseen = normal(400..500);
    let unseen = unseen.iter().map(|window| model.score(window, &HOST));
    let scores: Vec<f64> = model.scores.iter().copied().chain(unseen).collect();
    let limit = threshold(&scores, 0.01).unwrap();
    let attack = window(
        501,
        1,
        &[(Kind::Step, "implant"), (Kind::Chain, "unit1 > implant")],
    );
    let score = model.score(&attack, &HOST);
    assert!(score > limit, "{score} {limit}");
    // It is known from then on.
    let limit = threshold(&model.again, 0.01).unwrap();
    for number in 0..20 {
        let score = model.score(&set_up(number), &HOST);
        assert!(score <= limit, "{number}: {score} {limit}");
    }
}

#[test]
fn training_refuses_too_little() {
    let few = normal(0..LEAST_WINDOWS as u64 - 1);
    let refs: Vec<&Window> = few.iter().collect();
    let refused = train(&refs, &HOST, &Settings::default());
    assert!(matches!(refused, Err(Error::Training(_))), "{refused:?}");
    assert!(threshold(&[1.0; 5], 0.01).is_err());
}

//! The model of a host: how well its method tells attacks from normal on public traces, beside the classical
//! detectors in the same run; and what training and judging cost, in time and in memory that stays.

pub mod adfa;

use std::time::Instant;

use ai_learnd::trainer;
use quantumos_learn::window::{Counter, Kind, Sums};
use quantumos_learn::{Window, features, token};

use crate::{Failure, Print};

/// As many as ai-learnd keeps by default.
const WINDOWS: u64 = 10_000;
const UNITS: u64 = 40;
const RUNS: usize = 5;
pub(crate) const SEED: u64 = 2026;

/// Measures.
///
/// # Errors
/// When training fails, or the public traces can't be read.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    match adfa::archive() {
        Some(archive) => on_traces(&adfa::check(&archive, 1)?, print),
        None => eprintln!("skipped: no data adfa-ld"),
    }
    on_a_host(print)
}

fn on_traces(check: &adfa::Check, print: Print<'_>) {
    let [model, peers @ ..] = &check.detectors;
    for one in &check.detectors {
        eprintln!(
            "{}: area {:.4}; {:.4} where the method was chosen, {:.4} unseen",
            one.name, one.all, one.chosen_on, one.unseen
        );
    }
    eprintln!(
        "seed {}; threshold set for {} of the training traces",
        check.seed, check.rate
    );
    for peer in peers {
        let name = format!("learn.adfa.auc.{}", peer.name.to_lowercase());
        print(&name, peer.all, "area", "", None);
    }
    for peer in peers {
        // How many times fewer pairs of an attack and a normal trace are in the wrong order.
        let ratio = (1.0 - peer.all) / (1.0 - model.all);
        print("learn.adfa.auc", model.all, "area", peer.name, Some(ratio));
    }
    print("learn.adfa.auc.unseen", model.unseen, "area", "", None);
    if let Some(area) = check.with_half {
        print("learn.adfa.auc.with-half", area, "area", "", None);
    }
    let percent = [
        ("learn.adfa.detected", check.detected),
        ("learn.adfa.false-positives", check.false_positives),
    ];
    for (name, share) in percent {
        print(name, 100.0 * share, "%", "", None);
    }
}

fn on_a_host(print: Print<'_>) -> Result<(), Failure> {
    let windows: Vec<Window> = (0..WINDOWS).map(window).collect();
    let (windows, from) = trainer::split(windows);
    quantumos_service::memory::release();
    let before = resident()?;
    let (mut train, mut judge, mut most) = (Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        let start = Instant::now();
        let model = trainer::train(&windows, from, SEED, 0.001)?;
        train.push(start.elapsed().as_secs_f64());
        most = most.max(resident()?);
        let start = Instant::now();
        let mut sum = 0.0;
        for window in &windows[from..] {
            let x = features::of(window, &model.trained.profile, &features::HOST);
            sum += model.trained.density.score(&x);
        }
        let each = start.elapsed().as_secs_f64() / (windows.len() - from) as f64;
        judge.push(1e6 * each);
        eprintln!(
            "trained in {:.2} s, area {:.3}, sum of scores {sum:.0}",
            train.last().copied().unwrap_or_default(),
            model.figures.auc
        );
    }
    quantumos_service::memory::release();
    let kept = resident()?.saturating_sub(before);
    print("learn.train", median(&mut train), "s", "", None);
    print("learn.judge", median(&mut judge), "us", "", None);
    let mebibytes = |kibibytes: u64| kibibytes as f64 / 1024.0;
    let needed = mebibytes(most.saturating_sub(before));
    print("learn.memory.training", needed, "MiB", "", None);
    print("learn.memory.kept", mebibytes(kept), "MiB", "", None);
    Ok(())
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// What a host of so many units does in a minute, each unit with habits of its own and some variety.
pub(crate) fn window(number: u64) -> Window {
    let unit = number % UNITS;
    let draw = |what: u64, below: u64| token::sequence(&[number, what]) % below;
    let mut counter = Counter::new(512);
    let mut steps = Vec::new();
    for step in 0..20 + draw(1, 60) {
        let program = (step * (1 + draw(2, 3)) + draw(3, 4)) % 12;
        let name = format!("exec /usr/libexec/unit{unit}/task{program}");
        let step = token::of(name.as_bytes());
        counter.add(Kind::Step, step, String::new);
        steps.push(step);
        counter.add_sequences(&steps, &[(Kind::Pair, 2), (Kind::Triple, 3)]);
    }
    for path in 0..draw(4, 8) {
        let path = token::sequence(&[unit, path]);
        counter.add(Kind::Path, path, String::new);
    }
    counter.add(
        Kind::Chain,
        token::sequence(&[unit, draw(5, 4)]),
        String::new,
    );
    let (items, overflow) = counter.finish();
    let events = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    Window {
        subject: format!("unit{unit}.service"),
        start: number * 1_500_000,
        length: 60_000_000,
        sums: Sums {
            events,
            executions: events,
            overflow,
            ..Sums::default()
        },
        items,
    }
}

/// Resident memory of this process in KiB.
fn resident() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(number.ok_or("no VmRSS in /proc/self/status")?.parse()?)
}

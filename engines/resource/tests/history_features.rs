//! Histories, features and recorded runs.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use quantumos_resource::dataset;
use quantumos_resource::features::{COUNT, NAMES, active, extract};
use quantumos_resource::history::{Channel, History, Sample};
use quantumos_resource::record::{Round, Run};
use quantumos_resource::simple;

const SECOND: u64 = 1_000_000;

/// A cgroup that is stalled all the time in the seconds for which `on` says so.
fn square(seconds: u64, step: u64, on: impl Fn(u64) -> bool) -> History {
    let mut history = History::default();
    let mut total = 0;
    for second in 0..=seconds {
        if second % step == 0 {
            history.push(Sample {
                time_us: second * SECOND,
                cpu_some_us: total,
                usage_us: total / 2,
                ..Sample::default()
            });
        }
        total += if on(second) { SECOND } else { 0 };
    }
    history
}

fn feature(history: &History, name: &str) -> f32 {
    let index = NAMES.iter().position(|known| *known == name).unwrap();
    extract(history, history, 1).unwrap()[index]
}

#[test]
fn features_say_what_the_load_did() {
    // Ten seconds on, ten off; at second 70 it has just been on for ten.
    let history = square(70, 1, |second| (second / 10) % 2 == 0);
    let table = [
        ("cpu_some_0_5s", 1.0),
        ("cpu_some_10_15s", 0.0),
        ("cpu_some_20_25s", 1.0),
        ("cpu_some_1s", 1.0),
        ("cpu_some_mean_60s", 0.5),
        ("pressed_share_60s", 0.5),
        ("pressed_now", 1.0),
        ("pressed_state_age", 10.0 / 60.0),
        ("pressed_state_before", 10.0 / 60.0),
        ("pressed_changes_60s", 5.0 / 60.0),
        ("usage_5s", 0.5),
        ("system_cpu_some_30s", 2.0 / 3.0),
        ("rhythm_strength", 1.0),
        // In 5 s it is off, in 30 s on its tenth second of being off.
        ("rhythm_in_5s", -0.5),
        ("rhythm_in_30s", -0.5),
    ];
    for (name, expected) in table {
        let seen = feature(&history, name);
        assert!(
            (seen - expected).abs() < 1e-5,
            "{name}: {seen}, {expected} expected"
        );
    }
}

#[test]
fn less_than_a_minute_gives_no_features() {
    assert!(extract(&square(59, 1, |_| true), &square(70, 1, |_| true), 1).is_none());
    assert!(extract(&History::default(), &History::default(), 1).is_none());
    assert!(!active(
        &extract(&square(60, 1, |_| false), &square(60, 1, |_| true), 1).unwrap()
    ));
}

#[test]
fn slow_sampling_keeps_the_means() {
    let slow = square(80, 10, |second| (second / 10) % 2 == 0);
    let fast = square(80, 1, |second| (second / 10) % 2 == 0);
    for name in ["cpu_some_0_5s", "cpu_some_mean_60s", "usage_60s"] {
        assert!(
            (feature(&slow, name) - feature(&fast, name)).abs() < 1e-5,
            "{name}"
        );
    }
}

#[test]
fn a_cgroup_made_anew_starts_again() {
    let mut history = square(70, 1, |_| true);
    history.push(Sample {
        time_us: 71 * SECOND,
        ..Sample::default()
    });
    assert_eq!(history.span_us(), 0);
    assert!(extract(&history, &history, 1).is_none());
}

#[test]
fn simple_forecasts_are_means() {
    let steady = square(70, 1, |_| true);
    assert!((simple::persistence(&steady).unwrap() - 1.0).abs() < 1e-9);
    let just_off = square(70, 1, |second| second < 65);
    assert!(simple::persistence(&just_off).unwrap() < 1e-9);
    let short = simple::exponential_average(&just_off, 2.0).unwrap();
    let long = simple::exponential_average(&just_off, 60.0).unwrap();
    assert!(short < 0.1 && long > 0.8, "{short} {long}");
    assert!(simple::exponential_average(&steady, 0.0).is_none());
    assert!(simple::exponential_average(&steady, f64::NAN).is_none());
}

proptest! {
    #[test]
    fn features_are_finite_and_bounded(steps in prop::collection::vec((1u64..3_000_000, 0u64..u64::MAX / 1024, 0u64..5_000_000, any::<u32>()), 30..150)) {
        let mut history = History::default();
        let (mut time, mut total) = (0, 0);
        for (step, wild, calm, memory) in steps {
            time += step;
            total = if memory % 7 == 0 { wild } else { total + calm };
            history.push(Sample { time_us: time, cpu_some_us: total, memory_some_us: total / 2, io_some_us: total / 3, usage_us: total, memory_bytes: u64::from(memory) });
            let limit = history.span_us();
            prop_assert!(limit <= 100_000_000);
            if let Some(features) = extract(&history, &history, 4) {
                prop_assert!(features.iter().all(|value| value.is_finite() && (-1.0..=4.0).contains(value)));
            }
        }
    }

    #[test]
    fn a_share_splits_at_any_point(cuts in prop::collection::vec(0u64..60 * SECOND, 3)) {
        let history = square(60, 1, |second| second % 3 == 0);
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assume!(cuts[0] < cuts[1] && cuts[1] < cuts[2]);
        let part = |from: u64, to: u64| history.share(Channel::Cpu, from, to).unwrap() * (to - from) as f64;
        let whole = part(cuts[0], cuts[2]);
        prop_assert!((part(cuts[0], cuts[1]) + part(cuts[1], cuts[2]) - whole).abs() < 1.0);
    }

    #[test]
    fn a_run_comes_back_from_its_text(deltas in prop::collection::vec((1u64..2_000_000, prop::collection::vec(0u64..1_000_000, 3), any::<bool>()), 1..40)) {
        let mut run = Run { groups: vec!["/".into(), "/system.slice".into()], ..Run::default() };
        run.meta.insert("cpus".into(), "4".into());
        let (mut time, mut sums) = (0, [0_u64; 3]);
        let mut second = None;
        for (step, values, there) in deltas {
            time += step;
            for (sum, value) in sums.iter_mut().zip(&values) { *sum += value; }
            let sample = Sample { time_us: time, cpu_some_us: sums[0], memory_some_us: sums[1], io_some_us: 5, usage_us: sums[2], memory_bytes: 4096 * values[0] };
            // A cgroup, once there, stays: one that ends keeps its counters.
            second = if there { Some(sample) } else { second.map(|before| Sample { time_us: time, ..before }) };
            run.rounds.push(Round { time_us: time, samples: vec![Some(sample), second] });
        }
        prop_assert_eq!(Run::parse(&run.to_text()).unwrap(), run);
    }

    #[test]
    fn no_text_brings_the_run_parser_down(text in "(# quantumos-run 1\n)?(# a=b\n|g,0,/\n|t,[0-9]{1,20}\n|[0-9]{1,3}(,[0-9]{1,20}){0,6}\n|\\PC{0,10}\n){0,12}") {
        if let Ok(run) = Run::parse(&text) {
            let _ = dataset::rows(&run);
        }
    }
}

#[test]
fn every_feature_has_one_name() {
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COUNT);
}

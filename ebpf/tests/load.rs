//! Loading: coverage, budget, and what is refused.

#![allow(clippy::expect_used, clippy::panic)]

mod support;

use quantumos_ebpf::{
    Access, Action, Class, Error, Pattern, SecurityProbes, Settings, State, Watch,
};
use support::load;

#[test]
fn every_class_is_covered_and_says_how() {
    let Some((probes, _rings)) = load(&Settings::default()) else {
        return;
    };
    let mut classes: Vec<_> = probes.coverage().iter().map(|row| row.class).collect();
    classes.dedup();
    assert_eq!(classes, Class::ALL);
    let actions: Vec<_> = probes
        .coverage()
        .iter()
        .filter_map(|row| row.action)
        .collect();
    let looked_for: Vec<_> = Class::ALL.into_iter().flat_map(Action::of).collect();
    assert_eq!(actions, looked_for);
    for row in probes.coverage() {
        assert!(row.state.delivers(), "{row:?}");
        assert!(!row.hook.is_empty(), "{row:?}");
        assert_eq!(
            row.state == State::Partial,
            row.reason.contains("not seen"),
            "{row:?}"
        );
    }
}

#[test]
fn only_what_is_asked_for_is_attached() {
    let settings = Settings {
        classes: [Class::Exit].into(),
        ..Settings::default()
    };
    let Some((mut probes, rings)) = load(&settings) else {
        return;
    };
    assert!(probes.take_rings().is_none());
    let rings: Vec<_> = rings
        .into_rings()
        .iter()
        .map(quantumos_ebpf::Ring::class)
        .collect();
    assert_eq!(rings, [Class::Exit]);
    let off = probes
        .coverage()
        .iter()
        .filter(|row| row.state == State::Off)
        .count();
    assert_eq!(off, 4 + Class::ALL.into_iter().flat_map(Action::of).count());
    assert_eq!(probes.statistics().expect("statistics").len(), 1);
}

/// A budget for each program: what the verifier may have to look at. The kernel's own limit is a million.
#[test]
fn the_verifier_stays_within_budget() {
    let Some((probes, _rings)) = load(&Settings::default()) else {
        return;
    };
    for program in probes.statistics().expect("statistics") {
        println!(
            "{}: {:?} instructions verified",
            program.program, program.verified_instructions
        );
        assert!(
            program
                .verified_instructions
                .is_none_or(|count| count < 200_000),
            "{}",
            program.program
        );
    }
}

#[test]
fn impossible_settings_are_refused_by_name() {
    let watch = |pattern| Settings {
        watches: vec![Watch {
            pattern,
            access: Access::Any,
        }],
        ..Settings::default()
    };
    let cases = [
        ("relative", watch(Pattern::Path(b"relative".to_vec()))),
        (
            "a path must be absolute",
            watch(Pattern::Prefix(Vec::new())),
        ),
        (
            "longer than",
            watch(Pattern::Path([b"/".to_vec(), vec![b'a'; 255]].concat())),
        ),
        ("zero byte", watch(Pattern::Prefix(b"/a\0b".to_vec()))),
        ("with/slash", watch(Pattern::Name(b"with/slash".to_vec()))),
        ("63 bytes", watch(Pattern::Name(vec![b'a'; 64]))),
    ];
    for (word, settings) in cases {
        let error = SecurityProbes::load(&settings).err().expect(word);
        assert!(matches!(error, Error::Settings { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error} lacks {word}");
    }
}

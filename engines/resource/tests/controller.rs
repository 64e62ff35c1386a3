//! The controller: when it acts, when it takes back, and that noise does not make it flap.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use quantumos_resource::class::Class;
use quantumos_resource::controller::{
    Action, Controller, End, InForce, NOT_SET, Observed, Policy, Weight,
};

const SECOND: u64 = 1_000_000;

fn unit(path: &str, class: Class, pressure: f64, usage: f64) -> Observed {
    Observed {
        unit: path.rsplit('/').next().unwrap().into(),
        path: path.into(),
        class,
        protected: false,
        weight: Weight::NotSet,
        now: pressure,
        in_5: pressure,
        in_30: pressure,
        usage,
    }
}

/// A service that waits for a background job beside it.
fn siblings(pressure: f64, usage: f64) -> Vec<Observed> {
    vec![
        unit("/system.slice/web.service", Class::Service, pressure, 0.10),
        unit(
            "/system.slice/backup.service",
            Class::Background,
            0.5,
            usage,
        ),
    ]
}

/// Runs one tick a second and plays systemd: what is applied is the unit's weight.
fn drive(
    controller: &mut Controller,
    from: u64,
    to: u64,
    apply: bool,
    mut world: impl FnMut(u64) -> Vec<Observed>,
) -> Vec<(u64, Action)> {
    let mut log = Vec::new();
    for second in from..to {
        let mut units = world(second);
        if apply {
            for unit in &mut units {
                if let Some(decision) = controller.in_force().get(&unit.unit) {
                    unit.weight = Weight::Set(decision.to);
                }
            }
        }
        log.extend(
            controller
                .tick(second * SECOND, &units, apply)
                .into_iter()
                .map(|action| (second, action)),
        );
    }
    log
}

fn proposals(log: &[(u64, Action)]) -> Vec<(u64, &str, u64)> {
    log.iter()
        .filter_map(|(second, action)| match action {
            Action::Apply(proposal) => Some((*second, proposal.unit.as_str(), proposal.to)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_background_job_gives_way_and_gets_its_share_back() {
    let mut controller = Controller::new(Policy::default());
    let log = drive(&mut controller, 0, 60, true, |_| siblings(0.4, 0.7));
    assert_eq!(proposals(&log), [(2, "backup.service", 10)]);
    let Action::Apply(proposal) = &log[0].1 else {
        panic!("{log:?}")
    };
    assert_eq!(
        (proposal.from, proposal.beneficiary.as_str()),
        (NOT_SET, "web.service")
    );
    assert!(proposal.reason.contains("web.service") && proposal.evidence["pressure_in_5s"] > 39.0);
    let log = drive(&mut controller, 60, 90, true, |_| siblings(0.0, 0.0));
    assert_eq!(
        log,
        [(
            80,
            Action::Restore {
                unit: "backup.service".into(),
                why: End::Calm
            }
        )]
    );
    assert!(controller.in_force().is_empty());
}

#[test]
fn relief_alone_does_not_take_the_decision_back() {
    // The pressure falls because of the decision; the job still wants the CPU.
    let mut controller = Controller::new(Policy::default());
    let log = drive(&mut controller, 0, 600, true, |second| {
        siblings(if second < 4 { 0.4 } else { 0.01 }, 0.6)
    });
    assert_eq!(proposals(&log).len(), 1);
    assert!(
        log.iter()
            .all(|(_, action)| matches!(action, Action::Apply(_) | Action::Extend { .. })),
        "{log:?}"
    );
}

#[test]
fn a_session_in_another_slice_gains_through_its_branch() {
    let world = || {
        vec![
            unit("/user.slice", Class::Service, 0.4, 0.1),
            unit("/user.slice/user-0.slice", Class::Service, 0.4, 0.1),
            unit(
                "/user.slice/user-0.slice/session-1.scope",
                Class::Interactive,
                0.4,
                0.1,
            ),
            unit("/system.slice", Class::Service, 0.4, 0.8),
            unit("/system.slice/backup.service", Class::Background, 0.4, 0.8),
        ]
    };
    let mut controller = Controller::new(Policy::default());
    let log = drive(&mut controller, 0, 10, true, |_| world());
    assert_eq!(proposals(&log), [(2, "user.slice", 400)]);
}

#[test]
fn what_must_not_be_touched_is_not() {
    type Change = fn(&mut Observed);
    let table: [(&str, Change); 6] = [
        ("set by the administrator", |job| {
            job.weight = Weight::Set(50)
        }),
        ("set to the default by the administrator", |job| {
            job.weight = Weight::Set(100)
        }),
        ("weight unknown", |job| job.weight = Weight::Unknown),
        ("protected", |job| job.protected = true),
        ("idle", |job| job.usage = 0.01),
        ("as important", |job| job.class = Class::Service),
    ];
    for (why, change) in table {
        let mut controller = Controller::new(Policy::default());
        let log = drive(&mut controller, 0, 60, false, |_| {
            let mut units = siblings(0.6, 0.8);
            change(&mut units[1]);
            units
        });
        assert_eq!(log, [], "{why}");
    }
}

#[test]
fn another_hand_on_the_weight_wins() {
    for (other, why) in [
        (Weight::Set(77), End::ChangedByOthers),
        (Weight::NotSet, End::ChangedByOthers),
    ] {
        let mut controller = Controller::new(Policy::default());
        drive(&mut controller, 0, 10, true, |_| siblings(0.4, 0.7));
        let mut units = siblings(0.4, 0.7);
        units[1].weight = other;
        let actions = controller.tick(10 * SECOND, &units, true);
        assert_eq!(
            actions,
            [Action::Release {
                unit: "backup.service".into(),
                why
            }]
        );
    }
    let mut controller = Controller::new(Policy::default());
    drive(&mut controller, 0, 10, true, |_| siblings(0.4, 0.7));
    let actions = controller.tick(10 * SECOND, &siblings(0.4, 0.7)[..1], true);
    assert_eq!(
        actions,
        [Action::Release {
            unit: "backup.service".into(),
            why: End::UnitGone
        }]
    );
}

#[test]
fn what_was_undone_or_failed_is_left_alone() {
    let mut controller = Controller::new(Policy::default());
    drive(&mut controller, 0, 10, true, |_| siblings(0.4, 0.7));
    controller.undone("backup.service", 10 * SECOND);
    let log = drive(&mut controller, 10, 700, true, |_| siblings(0.4, 0.7));
    assert_eq!(
        proposals(&log).first().map(|(second, ..)| *second),
        Some(610)
    );
}

#[test]
fn a_decision_from_before_a_restart_is_taken_up_and_ends() {
    let decision = InForce {
        to: 10,
        applied: true,
        beneficiary: "web.service".into(),
        victim: "backup.service".into(),
        expires_us: 5 * SECOND,
        calm_since_us: None,
    };
    let mut controller = Controller::new(Policy::default());
    controller.adopt("backup.service".into(), decision);
    let log = drive(&mut controller, 1, 10, true, |_| siblings(0.0, 0.0));
    assert_eq!(
        log,
        [(
            5,
            Action::Restore {
                unit: "backup.service".into(),
                why: End::Expired
            }
        )]
    );
}

#[test]
fn policies_out_of_range_are_refused() {
    assert_eq!(Policy::default().check(), Ok(()));
    type Change = fn(&mut Policy);
    let table: [(&str, Change); 6] = [
        ("high", |p| p.high = 1.5),
        ("cost", |p| p.cost = f64::NAN),
        ("low", |p| p.low = 0.3),
        ("lifetime-ms", |p| p.lifetime_ms = 0),
        ("changes-per-minute", |p| p.changes_per_minute = 0),
        ("weights.background", |p| p.weights.background = 20_000),
    ];
    for (name, change) in table {
        let mut policy = Policy::default();
        change(&mut policy);
        let told = policy.check().unwrap_err().to_string();
        assert!(told.contains(name), "{name}: {told}");
    }
}

proptest! {
    #[test]
    fn noise_does_not_make_it_flap(
        levels in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0), 400),
        apply: bool,
    ) {
        let policy = Policy::default();
        let mut controller = Controller::new(policy);
        let log = drive(&mut controller, 0, levels.len() as u64, apply, |second| {
            let (a, b, c, d) = levels[second as usize];
            vec![
                unit("/system.slice/web.service", Class::Service, a, b),
                unit("/system.slice/backup.service", Class::Background, d, c),
                unit("/system.slice/x-build.service", Class::Build, c, d),
                unit("/user.slice", Class::Service, a, b),
                unit("/user.slice/session-1.scope", Class::Interactive, b, a),
            ]
        });
        let applied = proposals(&log);
        for (index, (second, name, to)) in applied.iter().enumerate() {
            prop_assert!((1..=10_000).contains(to));
            let same_minute = applied[index..].iter().filter(|(later, ..)| *later < second + 60).count();
            prop_assert!(same_minute <= policy.changes_per_minute as usize);
            // A unit is changed again only after it was given back, and not before the hold is over.
            for (later, ..) in applied[index + 1..].iter().filter(|(_, other, _)| other == name) {
                prop_assert!(*later >= second + policy.hold_ms / 1_000);
                let restored = log.iter().any(|(at, action)| {
                    (*second..=*later).contains(at) && matches!(action, Action::Restore { unit, .. } if unit == name)
                });
                prop_assert!(restored, "{name} changed twice without being given back");
            }
        }
    }

    #[test]
    fn everything_is_given_back_in_the_end(
        levels in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 50..200),
    ) {
        let mut controller = Controller::new(Policy::default());
        let busy = levels.len() as u64;
        drive(&mut controller, 0, busy, true, |second| {
            let (pressure, usage) = levels[second as usize];
            siblings(pressure, usage)
        });
        drive(&mut controller, busy, busy + 30, true, |_| siblings(0.0, 0.0));
        prop_assert!(controller.in_force().is_empty());
    }

    #[test]
    fn odd_numbers_do_no_harm(pressure in prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)], usage in prop_oneof![Just(f64::NAN), Just(f64::INFINITY), 0.0f64..1.0]) {
        let mut controller = Controller::new(Policy::default());
        for second in 0..100 {
            controller.tick(second * SECOND, &siblings(pressure, usage), false);
        }
    }
}

//! Runs that end before their time and go on later: the same result as a run that was left alone.

#![allow(clippy::panic, clippy::unwrap_used)]

mod running;

use quantumos_circuit::ir::{Channel, Circuit};
use quantumos_circuit::run::{Choice, Outcome, Request, run};
use quantumos_circuit::task::Task;
use quantumos_circuit::{Error, Watch};
use running::{request, three};

fn circuit() -> Circuit {
    three(
        "qubit[6] q; bit[6] c; bit d; for int i in [0:5] { rx(0.7) q[i]; } d = measure q[0];
         if (d) { h q[1]; } for int i in [0:4] { cx q[i], q[i + 1]; t q[i]; } c = measure q;",
    )
}

fn asked(threads: usize) -> Request {
    let mut asked = request(Choice::Dense, 6000);
    asked.noise.one = vec![Channel::AmplitudeDamping(0.05)];
    asked.threads = threads;
    asked.memory = true;
    asked
}

fn whole() -> Outcome {
    run(&circuit(), &asked(1), &Watch::default()).unwrap()
}

/// Runs until some lines are there, then cancels; the lines.
fn broken_off(lines: &[String], threads: usize, at_least: usize) -> Vec<String> {
    let watch = Watch::keeping(lines);
    let mut all = lines.to_vec();
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&circuit(), &asked(threads), &watch));
        while !running.is_finished() && all.len() < at_least {
            all.extend(watch.fresh());
            std::thread::yield_now();
        }
        watch.cancel();
        running.join().unwrap()
    });
    // A fast machine may be through before.
    assert!(matches!(ended, Ok(_) | Err(Error::Cancelled)));
    all.extend(watch.fresh());
    all
}

#[test]
fn a_run_goes_on_where_another_ended() {
    let whole = whole();
    let lines = broken_off(&[], 2, 3);
    let lines = broken_off(&lines, 1, lines.len() + 2);
    assert!(!lines.is_empty());
    for threads in [1, 3] {
        let watch = Watch::keeping(&lines);
        let resumed = run(&circuit(), &asked(threads), &watch).unwrap();
        assert_eq!(resumed.counts, whole.counts);
        assert_eq!(resumed.memory, whole.memory);
        // The shots of the lines were not run again: together with the new ones they are all.
        let done = |lines: &[String]| -> usize {
            let groups = lines
                .iter()
                .flat_map(|line| serde_json::from_str::<Vec<serde_json::Value>>(line).unwrap());
            groups.map(|g| g["shots"].as_array().unwrap().len()).sum()
        };
        assert_eq!(done(&lines) + done(&watch.fresh()), 6000);
    }
}

#[test]
fn lines_that_make_no_sense_do_no_harm() {
    let lines = [
        "[{\"bits\":[5],\"shots\":[6000,7000]},{\"bits\":[1,2],\"shots\":[3]}]",
        "[{\"bits\":[]",
        "",
        "\u{0}",
    ];
    let watch = Watch::keeping(&lines.map(str::to_owned));
    let got = run(&circuit(), &asked(2), &watch).unwrap();
    assert_eq!(got.memory, whole().memory);
}

#[test]
fn a_sweep_goes_on_at_the_points_that_are_missing() {
    let text = "OPENQASM 3.0; include \"stdgates.inc\"; input float a; qubit[4] q;
        for int i in [0:3] { ry((i + 1) * a) q[i]; } cx q[0], q[1]; crx(0.3) q[1], q[2];";
    let points = 40;
    let task = Task {
        circuit: text.to_owned(),
        observables: vec!["ZZZZ + 0.3*X1".to_owned()],
        amplitudes: vec!["0101".to_owned()],
        shots: Some(50),
        per_shot: true,
        sweep: [(
            "a".to_owned(),
            (0..points).map(|i| 0.1 * f64::from(i)).collect(),
        )]
        .into(),
        ..Task::default()
    };
    let run = |watch: &Watch, threads: usize| {
        let ready = task.ready(threads, 1 << 28).unwrap();
        ready.run(watch).unwrap()
    };
    let first = Watch::keeping(&[]);
    let whole = run(&first, 2);
    let mut lines = first.fresh();
    assert_eq!(lines.len(), points as usize);
    // Lost, cut, of a point that there is not, and of other inputs: those are run again.
    lines.truncate(30);
    lines[3].truncate(40);
    lines[4] = lines[4].replacen("\"point\":", "\"point\":9", 1);
    lines[5] = lines[5].replacen("\"inputs\":{\"a\":\"~", "\"inputs\":{\"a\":\"~1", 1);
    let later = Watch::keeping(&lines);
    assert!(run(&later, 2) == whole, "another result");
    assert_eq!(later.fresh().len(), 13);
}

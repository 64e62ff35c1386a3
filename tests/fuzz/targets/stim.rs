//! Circuits in stim's format: whatever the text is, it is a program that can be counted or an error;
//! small ones are sampled, and a seed repeats.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_circuit::frames::{Program, Request, Summary, summary};
use quantumos_circuit::{Watch, stim};

fn sampled(program: &Program, threads: usize) -> Result<Summary, quantumos_circuit::Error> {
    let request = Request {
        shots: 1500,
        seed: 1,
        threads,
        available: 1 << 24,
        measurements: true,
    };
    summary(program, &request, &Watch::default())
}

/// Steps of a shot, repetitions counted, as far as that matters here.
fn steps(steps: &[quantumos_circuit::frames::Step]) -> u64 {
    use quantumos_circuit::frames::Step;
    steps.iter().fold(0, |all: u64, step| {
        all.saturating_add(match step {
            Step::Repeat(times, block) => times.saturating_mul(self::steps(block).max(1)),
            Step::Gate(_, on) | Step::Noise(_, on) | Step::Reset(_, on) => on.len() as u64 + 1,
            Step::Measure(_, _, on) => on.len() as u64 + 1,
            _ => 1,
        })
    })
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(program) = stim::parse(text) else {
        return;
    };
    assert_eq!(Program::new(program.steps().to_vec()).as_ref(), Ok(&program));
    if program.qubits <= 64 && steps(program.steps()) <= 2000 && program.observables <= 1000 {
        let one = sampled(&program, 1);
        assert_eq!(one, sampled(&program, 2));
    }
});

//! Sampling in stim's format: gates by their matrices, distributions against those that stim itself
//! sampled (tests/data/stim, made by make.py there), cases that can be worked out, and bad input.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};

use quantumos_circuit::frames::{
    Block, Clifford, Program, Request, Row, SHOTS, Summary, sample, summary,
};
use quantumos_circuit::ir::{Gate, Matrix};
use quantumos_circuit::stabilizer::Action;
use quantumos_circuit::stim::{gate, gate_names, parse, surface_code};
use quantumos_circuit::{C64, Error, Watch};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/stim");

fn data(name: &str) -> String {
    std::fs::read_to_string(format!("{DATA}/{name}")).unwrap()
}

fn request(shots: u64, measurements: bool) -> Request {
    Request {
        shots,
        seed: 20,
        threads: 2,
        available: 1 << 30,
        measurements,
    }
}

fn summed(text: &str, shots: u64) -> Summary {
    let program = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    summary(&program, &request(shots, true), &Watch::default()).unwrap()
}

fn blocks(program: &Program, request: &Request, see: &mut dyn FnMut(&Block)) {
    sample(program, request, &Watch::default(), &mut |block| {
        see(&block);
        Ok(())
    })
    .unwrap();
}

/// Two lists of counts from as many shots each must differ by chance only.
fn close(ours: f64, shots: f64, theirs: f64, their_shots: f64, name: &str) {
    let (p, q) = (ours / shots, theirs / their_shots);
    let both = (ours + theirs) / (shots + their_shots);
    let sigma = (both * (1.0 - both) * (1.0 / shots + 1.0 / their_shots)).sqrt();
    assert!(
        (p - q).abs() <= 4.5 * sigma,
        "{name}: {p} is not {q} (sigma {sigma:.1e})"
    );
}

#[test]
fn gates_do_what_their_matrices_do() {
    let mut seen = 0;
    for line in data("gates.txt").lines() {
        let (name, cells) = line.split_once(' ').unwrap();
        let cells: Vec<C64> = cells
            .split(' ')
            .map(|c| c.split_once(',').unwrap())
            .map(|(re, im)| C64::new(re.parse().unwrap(), im.parse().unwrap()))
            .collect();
        let size = cells.len().isqrt();
        let qubits: Vec<u32> = (0..size.trailing_zeros()).collect();
        let unitary = Gate::unitary(Matrix::new(size, cells).unwrap(), &qubits);
        let action = Action::of(&unitary).unwrap();
        let wanted = Clifford::of_action(&action);
        assert_eq!(gate(name), wanted.as_ref(), "{name}");
        seen += 1;
    }
    let mut gates: Vec<&Clifford> = gate_names().map(|n| gate(n).unwrap()).collect();
    gates.dedup();
    assert_eq!(gates.len(), seen);
}

#[test]
fn images_that_are_no_gate_are_refused() {
    for bad in [
        "",
        "X",
        "X X",
        "X Z Z Z",
        "XX ZI IX IZ",
        "A B",
        "XXX",
        "X I",
    ] {
        assert_eq!(Clifford::of_images(bad), None, "{bad}");
    }
}

#[test]
fn every_instruction_has_the_distribution_that_stim_samples() {
    for line in data("mixed.txt").lines() {
        let mut words = line.split(' ');
        let number = words.next().unwrap();
        let theirs: HashMap<&str, f64> = words
            .map(|w| w.split_once(':').unwrap())
            .map(|(key, count)| (key, count.parse().unwrap()))
            .collect();
        let program = parse(&data(&format!("mixed-{number}.stim"))).unwrap();
        let shots = 200_000;
        let mut ours: BTreeMap<String, f64> = BTreeMap::new();
        blocks(&program, &request(shots, true), &mut |block| {
            for shot in 0..block.shots {
                let bit = |row: &Row| char::from(b'0' + u8::from(Block::is_set(row, shot)));
                *ours
                    .entry(block.measurements.iter().map(bit).collect())
                    .or_default() += 1.0;
            }
        });
        // Two samples of the same size: results that are too rare are put together.
        let (mut chi, mut degrees, mut rest) = (0.0, -1.0f64, (0.0, 0.0));
        let keys: std::collections::BTreeSet<&str> = theirs
            .keys()
            .copied()
            .chain(ours.keys().map(String::as_str))
            .collect();
        for key in keys {
            let (a, b) = (
                ours.get(key).copied().unwrap_or_default(),
                theirs.get(key).copied().unwrap_or_default(),
            );
            if a + b < 20.0 {
                rest = (rest.0 + a, rest.1 + b);
            } else {
                chi += (a - b) * (a - b) / (a + b);
                degrees += 1.0;
            }
        }
        if rest.0 + rest.1 > 0.0 {
            chi += (rest.0 - rest.1) * (rest.0 - rest.1) / (rest.0 + rest.1);
            degrees += 1.0;
        }
        let most = degrees + 4.0 * (2.0 * degrees).sqrt() + 4.0;
        assert!(
            chi <= most,
            "mixed-{number}: chi-square {chi} at {degrees} degrees"
        );
    }
}

#[test]
fn surface_codes_are_those_of_stim_from_3_to_25() {
    for line in data("surface.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| -> f64 { words[i].parse().unwrap() };
        let name = words[..4].join(" ");
        let text = surface_code(
            number(0) as u32,
            number(1) as u64,
            number(2),
            words[3] == "x",
        )
        .unwrap();
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        });
        assert_eq!(format!("{hash:016x}"), words[4], "{name}");
        let program = parse(&text).unwrap();
        let shots = if number(0) < 12.0 { 100_000 } else { 20_000 };
        let (mut fired, mut squares) = (0.0, 0.0);
        let mut all = Summary::default();
        blocks(&program, &request(shots, false), &mut |block| {
            all.add(block);
            let mut counts = vec![0u32; block.shots as usize];
            for row in &block.detectors {
                for (word, &bits) in row.iter().enumerate() {
                    let mut bits = bits;
                    while bits != 0 {
                        counts[64 * word + bits.trailing_zeros() as usize] += 1;
                        bits &= bits - 1;
                    }
                }
            }
            fired += counts.iter().map(|&c| f64::from(c)).sum::<f64>();
            squares += counts.iter().map(|&c| f64::from(c).powi(2)).sum::<f64>();
        });
        let (n, m) = (shots as f64, number(5));
        let mean = fired / n;
        let variance = squares / n - mean * mean;
        let sigma = (number(7) * (1.0 / n + 1.0 / m)).sqrt();
        assert!(
            (mean - number(6)).abs() <= 4.5 * sigma,
            "{name}: mean {mean}"
        );
        assert!(
            (variance / number(7) - 1.0).abs() < 0.08,
            "{name}: variance {variance}"
        );
        close(all.observables[0] as f64, n, number(8), m, &name);
        close((shots - all.detected) as f64, n, number(9), m, &name);
    }
}

#[test]
fn sets_of_detectors_come_as_often_as_with_stim() {
    let program = parse(&surface_code(3, 2, 0.01, false).unwrap()).unwrap();
    let mut ours: HashMap<u64, f64> = HashMap::new();
    let shots = 1_000_000.0;
    blocks(&program, &request(shots as u64, false), &mut |block| {
        for shot in 0..block.shots {
            let rows = block.detectors.iter().chain(&block.observables);
            let key = rows.enumerate().fold(0u64, |key, (i, row)| {
                key | (row[shot as usize / 64] >> (shot % 64) & 1) << i
            });
            *ours.entry(key).or_default() += 1.0;
        }
    });
    let (mut chi, mut degrees) = (0.0, 0.0f64);
    for line in data("syndromes.txt").lines() {
        let (key, count) = line.split_once(' ').unwrap();
        let count: f64 = count.parse().unwrap();
        let own = ours
            .get(&u64::from_str_radix(key, 16).unwrap())
            .copied()
            .unwrap_or_default();
        let both = (own + count) / (shots + 4e6);
        let variance = both * (1.0 - both) * (1.0 / shots + 1.0 / 4e6);
        chi += (own / shots - count / 4e6).powi(2) / variance;
        degrees += 1.0;
    }
    assert!(
        degrees == 200.0 && chi < degrees + 4.5 * (2.0 * degrees).sqrt(),
        "chi-square {chi}"
    );
}

#[test]
fn chances_that_can_be_worked_out() {
    let fired = |text: &str, wanted: f64| {
        let shots = 300_000;
        let all = summed(text, shots);
        let sigma = (wanted * (1.0 - wanted) / shots as f64).sqrt();
        let got = all.detectors[0] as f64 / shots as f64;
        assert!(
            (got - wanted).abs() <= 4.5 * sigma,
            "{text}: {got} is not {wanted}"
        );
    };
    // A repetition code: its check sees either neighbour, and its own reading.
    fired(
        "R 0 1 2\nX_ERROR(0.07) 0 1\nCX 0 2 1 2\nM(0.02) 2\nDETECTOR rec[-1]",
        (1.0 - 0.86 * 0.86 * 0.96) / 2.0,
    );
    fired("RX 0\nDEPOLARIZE1(0.3) 0\nMX 0\nDETECTOR rec[-1]", 0.2);
    fired(
        "R 0 1\nDEPOLARIZE2(0.3) 0 1\nMZZ 0 1\nDETECTOR rec[-1]",
        0.3 * 8.0 / 15.0,
    );
    fired(
        "R 0\nE(0.5) X0\nELSE_CORRELATED_ERROR(0.5) Z0\nELSE_CORRELATED_ERROR(1) X0\nM 0\nDETECTOR rec[-1]",
        0.75,
    );
    fired("HERALDED_ERASE(0.2) 0\nDETECTOR rec[-1]", 0.2);
    fired(
        "RX 0\nX_ERROR(1) 0\nM 0\nCX rec[-1] 1\nM 1\nDETECTOR rec[-1] rec[-2]",
        0.0,
    );
    // 20 rounds of a chance of 1 % each, with an even number of them unseen.
    fired(
        "R 0\nREPEAT 4 {\n REPEAT 5 {\n  Y_ERROR(0.01) 0\n }\n}\nM 0\nDETECTOR rec[-1]",
        (1.0 - 0.98f64.powi(20)) / 2.0,
    );
}

#[test]
fn certain_results_are_certain_and_the_others_even() {
    for (text, wanted) in [
        ("X 0\nM 0 !0 1", "100"),
        ("H 0\nCX 0 1 0 2\nMPP X0*X1*X2 !Z0*Z1 Y0*Y1*X2", "011"),
        ("RY 0\nMY 0\nC_XYZ 0\nMZ 0\nMX !0", "00?"),
        ("SPP X0*Y1\nSPP_DAG X0*Y1\nM 0 1", "00"),
        ("SPP X0\nMY !0\nR 0\nSQRT_X 0\nMY !0", "00"),
        ("H 0\nMR 0\nM 0", "?0"),
        ("X 0\nMR 0 0\nMPAD 1 0", "1010"),
        ("MXX 0 1\nMZZ 0 1\nMYY !0 1\nCX rec[-3] 2\nM 2", "?0?="),
    ] {
        let all = summed(text, 4 * SHOTS);
        for (i, bit) in wanted.chars().enumerate() {
            let ones = all.ones[i];
            match bit {
                '0' => assert_eq!(ones, 0, "{text}: {i}"),
                '1' => assert_eq!(ones, 4 * SHOTS, "{text}: {i}"),
                '=' => assert_eq!(ones, all.ones[0], "{text}: {i}"),
                _ => close(ones as f64, 4096.0, 1e9, 2e9, text),
            }
        }
    }
}

#[test]
fn a_seed_repeats_whatever_the_threads_and_the_number_of_shots() {
    let program = parse(&surface_code(5, 4, 0.01, true).unwrap()).unwrap();
    let run = |threads, shots| {
        let mut all = Vec::new();
        let request = Request {
            threads,
            ..request(shots, true)
        };
        blocks(&program, &request, &mut |block| all.push(block.clone()));
        all
    };
    let one = run(1, 5000);
    assert_eq!(one.len(), 5);
    assert_eq!(one[4].shots, 5000 - 4 * SHOTS);
    for threads in [2, 3, 8] {
        assert_eq!(one, run(threads, 5000));
    }
    assert_eq!(one[..4], run(1, 4096));
    let beyond = one[4]
        .measurements
        .iter()
        .any(|row| row[14] >> 8 != 0 || row[15] != 0);
    assert!(!beyond, "bits beyond the shots");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, wanted) in [
        ("H 0\n  FOO 1", "line 2, column 3: unknown instruction FOO"),
        ("CX 0 1 2", "line 1, column 1: CX takes pairs of qubits"),
        ("CX 3 3", "line 1, column 1: qubit 3 is paired with itself"),
        ("H x", "line 1, column 3: \"x\" is no target"),
        (
            "H 99999999999",
            "line 1, column 3: 99999999999 is out of range",
        ),
        (
            "H 100000",
            "line 1, column 1: qubits: 100001 is more than the limit of 100000",
        ),
        ("H !0", "line 1, column 3: H takes qubits here"),
        ("H(0.1) 0", "line 1, column 1: H takes 0 arguments"),
        ("X_ERROR 0", "line 1, column 1: X_ERROR takes 1 arguments"),
        ("X_ERROR(1.5) 0", "line 1, column 1: probabilities 1.5"),
        ("X_ERROR(nan) 0", "line 1, column 1: \"nan\" is no number"),
        (
            "PAULI_CHANNEL_1(0.5, 0.5, 0.5) 0",
            "line 1, column 1: probabilities 0.5, 0.5, 0.5",
        ),
        (
            "M 0\nDETECTOR rec[-2]",
            "line 2, column 1: rec[-2] is before the first of 1",
        ),
        ("DETECTOR rec[0]", "line 1, column 10: \"rec[0]\""),
        (
            "CX sweep[0] 1",
            "line 1, column 4: sweep bits are not supported",
        ),
        ("MPP X0*", "line 1, column 1: a target is missing behind *"),
        ("MPP *X0", "line 1, column 5: * stands between two targets"),
        ("MPP X0*Z0", "line 1, column 8: qubit 0 is twice"),
        ("REPEAT 0 {\n}", "line 1, column 1: REPEAT needs a number"),
        (
            "REPEAT 2 {\nH 0",
            "line 1, column 1: this REPEAT is not closed",
        ),
        ("}", "line 1, column 1: } without a REPEAT"),
        ("FOR 2 {\n}", "line 1, column 1: only REPEAT opens a block"),
        (
            "OBSERVABLE_INCLUDE(-1)",
            "line 1, column 1: an observable has a number",
        ),
        ("M(0.1 0", "line 1, column 1: arguments are not closed"),
        (
            "REPEAT 10000000000 {\nM 0\n}",
            "measurements: 10000000000 is more than",
        ),
        (
            "OBSERVABLE_INCLUDE(999999999)",
            "observables: 1000000000 is more than",
        ),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text:?}: {error}");
    }
    let endless = parse("REPEAT 1000000000000 {\nTICK\n}");
    assert!(matches!(endless, Err(Error::Limit { .. })), "{endless:?}");
    let deep = "REPEAT 2 {\n".repeat(200);
    assert!(parse(&deep).unwrap_err().to_string().contains("128 blocks"));
    let nested = format!(
        "{}M 0\n{}",
        "REPEAT 1000000000 {\n".repeat(60),
        "}\n".repeat(60)
    );
    assert!(matches!(parse(&nested), Err(Error::Limit { .. })));
}

#[test]
fn memory_is_asked_for_before_it_is_taken_and_a_run_can_be_stopped() {
    let program = parse("M 99999\nREPEAT 100000 {\nM 0\n}").unwrap();
    let result = summary(&program, &request(10, true), &Watch::default());
    assert!(matches!(result, Err(Error::Memory { .. })), "{result:?}");
    let program = parse(&surface_code(9, 1000, 0.01, false).unwrap()).unwrap();
    let watch = Watch::default();
    watch.cancel();
    let result = summary(&program, &request(u64::MAX / 2, true), &watch);
    assert_eq!(result, Err(Error::Cancelled));
}

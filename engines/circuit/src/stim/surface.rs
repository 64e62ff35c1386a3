//! The rotated surface code as a memory: the circuit that error correction is measured with.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::Error;

/// The largest distance.
const DISTANCE_MAX: u32 = 99;

type Place = (i64, i64);

/// A memory experiment in stim's format: a logical state in the Z (or X) basis kept for so many rounds,
/// every gate, idling, reset and measurement failing with the same chance. The text is the one that
/// `stim gen --code surface_code --task rotated_memory_z` writes for these numbers.
///
/// # Errors
/// [`Error::Circuit`] for a distance that is not from 2 to 99, no rounds, or a chance that is none.
pub fn surface_code(
    distance: u32,
    rounds: u64,
    chance: f64,
    x_basis: bool,
) -> Result<String, Error> {
    if !(2..=DISTANCE_MAX).contains(&distance) || rounds == 0 || !(0.0..=1.0).contains(&chance) {
        return Err(Error::Circuit(format!(
            "a surface code has a distance from 2 to {DISTANCE_MAX}, at least one round and a chance \
             from 0 to 1, not {distance}, {rounds} and {chance}"
        )));
    }
    Ok(Code::new(distance, chance, x_basis).text(rounds))
}

struct Code {
    chance: f64,
    basis: char,
    /// How far it is to the next row of qubits.
    stride: i64,
    data: BTreeSet<Place>,
    x: BTreeSet<Place>,
    z: BTreeSet<Place>,
    observable: Vec<Place>,
    out: String,
}

const X_ORDER: [Place; 4] = [(1, 1), (-1, 1), (1, -1), (-1, -1)];
const Z_ORDER: [Place; 4] = [(1, 1), (1, -1), (-1, 1), (-1, -1)];

impl Code {
    fn new(distance: u32, chance: f64, x_basis: bool) -> Self {
        let d = i64::from(distance);
        let mut code = Self {
            chance,
            basis: if x_basis { 'X' } else { 'Z' },
            stride: 2 * d + 1,
            data: BTreeSet::new(),
            x: BTreeSet::new(),
            z: BTreeSet::new(),
            observable: Vec::new(),
            out: String::new(),
        };
        for i in 0..d {
            for j in 0..d {
                code.data.insert((2 * i + 1, 2 * j + 1));
            }
            let along = 2 * i + 1;
            code.observable
                .push(if x_basis { (1, along) } else { (along, 1) });
        }
        for x in 0..=d {
            for y in 0..=d {
                let odd = (x + y) % 2 == 1;
                let (side, end) = (x == 0 || x == d, y == 0 || y == d);
                if (side && odd) || (end && !odd) {
                    continue;
                }
                let checks = if odd { &mut code.x } else { &mut code.z };
                checks.insert((2 * x, 2 * y));
            }
        }
        code
    }

    fn number(&self, (x, y): Place) -> i64 {
        x + y / 2 * self.stride
    }

    /// Places by the numbers of their qubits.
    fn sorted<'a>(&self, places: impl Iterator<Item = &'a Place>) -> Vec<Place> {
        let mut list: Vec<Place> = places.copied().collect();
        list.sort_by_key(|&p| self.number(p));
        list
    }

    fn line(&mut self, indent: &str, name: &str, places: &[Place]) {
        let _ = write!(self.out, "{indent}{name}");
        for &place in places {
            let number = self.number(place);
            let _ = write!(self.out, " {number}");
        }
        self.out.push('\n');
    }

    /// An instruction, and the noise that comes with it.
    fn noisy(&mut self, indent: &str, name: &str, noise: &str, places: &[Place]) {
        self.line(indent, name, places);
        self.noise(indent, noise, places);
    }

    fn noise(&mut self, indent: &str, noise: &str, places: &[Place]) {
        if self.chance > 0.0 {
            let name = format!("{noise}({})", self.chance);
            self.line(indent, &name, places);
        }
    }

    fn neighbours(&self, check: Place) -> Vec<Place> {
        let order = if self.x.contains(&check) {
            X_ORDER
        } else {
            Z_ORDER
        };
        order
            .iter()
            .map(|d| (check.0 + d.0, check.1 + d.1))
            .filter(|p| self.data.contains(p))
            .collect()
    }

    fn round(&mut self, indent: &str, checks: &[Place]) {
        let data = self.sorted(self.data.iter());
        let x = self.sorted(self.x.iter());
        self.line(indent, "TICK", &[]);
        self.noise(indent, "DEPOLARIZE1", &data);
        self.noisy(indent, "H", "DEPOLARIZE1", &x);
        for layer in 0..4 {
            let mut pairs = Vec::new();
            for (checks, order) in [(&self.x, X_ORDER), (&self.z, Z_ORDER)] {
                for &check in checks {
                    let data = (check.0 + order[layer].0, check.1 + order[layer].1);
                    if self.data.contains(&data) {
                        let x = self.x.contains(&check);
                        pairs.extend(if x { [check, data] } else { [data, check] });
                    }
                }
            }
            self.line(indent, "TICK", &[]);
            self.noisy(indent, "CX", "DEPOLARIZE2", &pairs);
        }
        self.line(indent, "TICK", &[]);
        self.noisy(indent, "H", "DEPOLARIZE1", &x);
        self.line(indent, "TICK", &[]);
        self.noise(indent, "X_ERROR", checks);
        self.noisy(indent, "MR", "X_ERROR", checks);
    }

    fn detector(&mut self, indent: &str, (x, y): Place, t: u32, mut back: Vec<usize>) {
        back.sort_unstable();
        let _ = write!(self.out, "{indent}DETECTOR({x}, {y}, {t})");
        self.back(&back);
    }

    fn back(&mut self, back: &[usize]) {
        for b in back {
            let _ = write!(self.out, " rec[-{b}]");
        }
        self.out.push('\n');
    }

    fn text(mut self, rounds: u64) -> String {
        let data = self.sorted(self.data.iter());
        let checks = self.sorted(self.x.iter().chain(&self.z));
        let own = if self.basis == 'X' { &self.x } else { &self.z };
        let own: Vec<Place> = own.iter().copied().collect();
        for place in self.sorted(self.data.iter().chain(&self.x).chain(&self.z)) {
            let number = self.number(place);
            let _ = writeln!(self.out, "QUBIT_COORDS({}, {}) {number}", place.0, place.1);
        }
        let (suffix, error) = if self.basis == 'X' {
            ("X", "Z_ERROR")
        } else {
            ("", "X_ERROR")
        };
        self.noisy("", &format!("R{suffix}"), error, &data);
        self.noisy("", "R", "X_ERROR", &checks);
        self.round("", &checks);
        // How far back the measurement of a qubit is, at the end of its list.
        let back = |list: &[Place], place: &Place| {
            list.iter()
                .rev()
                .position(|p| p == place)
                .unwrap_or_default()
                + 1
        };
        for &check in &own {
            self.detector("", check, 0, vec![back(&checks, &check)]);
        }
        if rounds > 1 {
            let (open, indent, close) = if rounds == 2 {
                (String::new(), "", "")
            } else {
                (format!("REPEAT {} {{\n", rounds - 1), "    ", "}\n")
            };
            self.out.push_str(&open);
            self.round(indent, &checks);
            let _ = writeln!(self.out, "{indent}SHIFT_COORDS(0, 0, 1)");
            for check in &checks {
                let last = back(&checks, check);
                self.detector(indent, *check, 0, vec![last, last + checks.len()]);
            }
            self.out.push_str(close);
        }
        self.noise("", error, &data);
        self.line("", &format!("M{suffix}"), &data);
        for &check in &own {
            let neighbours = self.neighbours(check);
            let mut list: Vec<usize> = neighbours.iter().map(|p| back(&data, p)).collect();
            list.push(data.len() + back(&checks, &check));
            self.detector("", check, 1, list);
        }
        let mut list: Vec<usize> = self.observable.iter().map(|p| back(&data, p)).collect();
        list.sort_unstable();
        self.out.push_str("OBSERVABLE_INCLUDE(0)");
        self.back(&list);
        self.out
    }
}

//! What a run gives: counts in Qiskit's bit order, expectation values, amplitudes, and what it took.

use std::collections::BTreeMap;

use crate::ir::{Circuit, QUBITS_MAX};
use crate::{C64, Error};

/// A sum of Pauli products with real coefficients.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observable {
    /// Coefficient, X parts and Z parts (both is Y), 64 qubits to a word.
    pub terms: Vec<(f64, Vec<u64>, Vec<u64>)>,
}

impl Observable {
    /// Reads `0.5*XZI - Y0 Z12 + 2`: strings of Paulis whose last letter is qubit 0 (as in Qiskit), or
    /// letters with qubit numbers.
    ///
    /// # Errors
    /// [`Error::Circuit`] says what is not understood.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Circuit(format!("observable {text:?}: {what}"));
        let mut observable = Self::default();
        let mut terms: Vec<String> = vec![String::new()];
        let mut before = ' ';
        for c in text.chars() {
            // A sign starts a term, but for that of an exponent.
            if matches!(c, '+' | '-') && !matches!(before, 'e' | 'E') {
                terms.push(String::new());
            }
            if let Some(term) = terms.last_mut() {
                term.push(c);
            }
            before = c;
        }
        for term in terms.iter().map(|t| t.trim()).filter(|t| !t.is_empty()) {
            let (sign, rest) = match term.split_at(1) {
                ("-", rest) => (-1.0, rest.trim()),
                ("+", rest) => (1.0, rest.trim()),
                _ => (1.0, term),
            };
            let split = rest.find(['I', 'X', 'Y', 'Z']).unwrap_or(rest.len());
            let (number, paulis) = rest.split_at(split);
            let number = number.trim().trim_end_matches('*').trim();
            let factor: f64 = if number.is_empty() {
                1.0
            } else {
                number
                    .parse()
                    .map_err(|_| wrong(&format!("{number:?} is no number")))?
            };
            if !factor.is_finite() || (number.is_empty() && paulis.is_empty()) {
                return Err(wrong("a term without a value"));
            }
            let (x, z) = paulis_of(paulis).map_err(|what| wrong(&what))?;
            observable.terms.push((sign * factor, x, z));
        }
        if observable.terms.is_empty() {
            return Err(wrong("no terms"));
        }
        Ok(observable)
    }

    pub(crate) fn check(&self, qubits: u32) -> Result<(), Error> {
        let outside = |words: &[u64]| {
            words.iter().enumerate().any(|(i, &w)| {
                let first = 64 * i as u64;
                let left = u64::from(qubits).saturating_sub(first);
                left < 64 && w >> left != 0
            })
        };
        if self.terms.iter().any(|(_, x, z)| outside(x) || outside(z)) {
            return Err(Error::Circuit(format!(
                "an observable is on more than the {qubits} qubits there are"
            )));
        }
        Ok(())
    }
}

fn paulis_of(text: &str) -> Result<(Vec<u64>, Vec<u64>), String> {
    let (mut x, mut z) = (Vec::new(), Vec::new());
    let mut put = |pauli: char, qubit: u64| -> Result<(), String> {
        if qubit >= QUBITS_MAX {
            return Err(format!("qubit {qubit} is out of range"));
        }
        let (word, bit) = (qubit as usize / 64, qubit % 64);
        for (bits, letters) in [(&mut x, "XY"), (&mut z, "ZY")] {
            if bits.len() <= word {
                bits.resize(word + 1, 0u64);
            }
            if letters.contains(pauli) {
                if bits[word] >> bit & 1 == 1 {
                    return Err(format!("qubit {qubit} is named twice"));
                }
                bits[word] |= 1 << bit;
            }
        }
        Ok(())
    };
    let letters = |c: char| matches!(c, 'I' | 'X' | 'Y' | 'Z');
    if text.chars().all(letters) {
        for (qubit, pauli) in text.chars().rev().enumerate() {
            put(pauli, qubit as u64)?;
        }
        return Ok((x, z));
    }
    let mut rest = text.trim();
    while let Some(pauli) = rest.chars().next() {
        let digits: String = rest
            .chars()
            .skip(1)
            .take_while(char::is_ascii_digit)
            .collect();
        if !letters(pauli) || digits.is_empty() {
            return Err(format!("{rest:?}: a Pauli letter and a qubit expected"));
        }
        put(
            pauli,
            digits
                .parse()
                .map_err(|_| format!("qubit {digits} is out of range"))?,
        )?;
        rest = rest[1 + digits.len()..].trim_start_matches([' ', '*']);
    }
    Ok((x, z))
}

/// A basis state from its bits, qubit 0 last.
///
/// # Errors
/// [`Error::Circuit`] if it is not a bit for each qubit.
pub fn basis_state(text: &str, qubits: u32) -> Result<Vec<u64>, Error> {
    if text.len() != qubits as usize || !text.bytes().all(|c| matches!(c, b'0' | b'1')) {
        return Err(Error::Circuit(format!(
            "basis state {text:?}: {qubits} bits expected"
        )));
    }
    let mut words = vec![0u64; text.len().div_ceil(64).max(1)];
    for (i, _) in text.bytes().rev().enumerate().filter(|(_, c)| *c == b'1') {
        words[i / 64] |= 1 << (i % 64);
    }
    Ok(words)
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// The method's name.
    pub method: &'static str,
    /// How often each result came; the last declared register is the leftmost, its highest bit first.
    pub counts: BTreeMap<String, u64>,
    /// The result of each shot, if asked for.
    pub memory: Vec<String>,
    /// All amplitudes, if asked for.
    pub statevector: Vec<C64>,
    /// The amplitudes asked for.
    pub amplitudes: Vec<C64>,
    /// The expectation values asked for.
    pub expectations: Vec<f64>,
    /// A bound on the error of probabilities from rounding and cutting; 0 where results are exact.
    pub error_bound: f64,
    /// Bytes of the largest state.
    pub bytes: u128,
    /// The seed that repeats it.
    pub seed: u64,
}

/// The text of a shot's bits.
pub fn text(circuit: &Circuit, bit: impl Fn(u32) -> bool) -> String {
    let mut text = String::with_capacity(circuit.bits as usize + circuit.bit_registers.len());
    for register in circuit.bit_registers.iter().rev() {
        if !text.is_empty() {
            text.push(' ');
        }
        for i in (0..register.size).rev() {
            text.push(if bit(register.start + i) { '1' } else { '0' });
        }
    }
    text
}

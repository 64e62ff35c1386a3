//! The builder: circuits written in Rust, one call a gate. Calls chain and stop at the first mistake.

use smallvec::SmallVec;

use super::{Angle, Channel, Circuit, Gate, Matrix, Op, standard};
use crate::Error;

impl Circuit {
    /// Adds a gate by its name in Qiskit's standard library.
    ///
    /// # Errors
    /// [`Error::Circuit`] for an unknown name, or a wrong number of angles or qubits.
    pub fn gate(&mut self, name: &str, angles: &[f64], qubits: &[u32]) -> Result<&mut Self, Error> {
        let angles: SmallVec<[Angle; 4]> = angles.iter().map(|&a| Angle::Value(a)).collect();
        self.gate_with(name, &angles, qubits)
    }

    /// The same with angles that may be parameters.
    ///
    /// # Errors
    /// As [`Circuit::gate`].
    pub fn gate_with(
        &mut self,
        name: &str,
        angles: &[Angle],
        qubits: &[u32],
    ) -> Result<&mut Self, Error> {
        let known = standard(name).ok_or_else(|| Error::Circuit(format!("unknown gate {name}")))?;
        for (what, wanted, got) in [
            ("angles", known.angles, angles.len()),
            ("qubits", known.qubits(), qubits.len()),
        ] {
            if wanted != got {
                return Err(Error::Circuit(format!(
                    "{name} has {wanted} {what}, not {got}"
                )));
            }
        }
        for gate in known.gates(angles, qubits) {
            self.push(Op::Gate(gate))?;
        }
        Ok(self)
    }

    /// Adds a gate given by its matrix.
    ///
    /// # Errors
    /// [`Error::Circuit`] unless it is unitary and as large as the qubits say.
    pub fn unitary(&mut self, matrix: Matrix, qubits: &[u32]) -> Result<&mut Self, Error> {
        self.push(Op::Gate(Gate::unitary(matrix, qubits)))
    }

    /// Declares a parameter; gives the angle to use.
    pub fn parameter(&mut self, name: &str) -> Angle {
        self.parameters.push(name.to_owned());
        Angle::Parameter {
            index: self.parameters.len() as u32 - 1,
            factor: 1.0,
            offset: 0.0,
        }
    }

    /// Measures a qubit into a bit.
    ///
    /// # Errors
    /// [`Error::Circuit`] for an index out of range.
    pub fn measure(&mut self, qubit: u32, bit: u32) -> Result<&mut Self, Error> {
        self.push(Op::Measure { qubit, bit })
    }

    /// Measures every qubit into a new register `meas`.
    ///
    /// # Errors
    /// [`Error::Limit`] where the bits get too many.
    pub fn measure_all(&mut self) -> Result<&mut Self, Error> {
        let start = self.add_bits("meas", self.qubits.into())?;
        for qubit in 0..self.qubits {
            self.measure(qubit, start + qubit)?;
        }
        Ok(self)
    }

    /// Puts a qubit to 0.
    ///
    /// # Errors
    /// [`Error::Circuit`] for an index out of range.
    pub fn reset(&mut self, qubit: u32) -> Result<&mut Self, Error> {
        self.push(Op::Reset(qubit))
    }

    /// Adds noise.
    ///
    /// # Errors
    /// [`Error::Circuit`] for numbers that are no probabilities or a wrong number of qubits.
    pub fn noise(&mut self, channel: Channel, qubits: &[u32]) -> Result<&mut Self, Error> {
        self.push(Op::Noise(channel, SmallVec::from_slice(qubits)))
    }
}

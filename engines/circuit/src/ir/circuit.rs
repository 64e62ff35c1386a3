//! The circuit itself: registers, parameters and operations, and the checks that every operation
//! passes before a method sees it.

use smallvec::SmallVec;

use super::{
    Angle, BITS_MAX, Channel, DEPTH_MAX, Expression, Gate, MATRIX_QUBITS_MAX, OPERATIONS_MAX,
    QUBITS_MAX,
};
use crate::Error;

/// A named run of qubits or bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Its name.
    pub name: String,
    /// Its first qubit or bit.
    pub start: u32,
    /// How many it has.
    pub size: u32,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// A gate.
    Gate(Gate),
    /// A measurement of a qubit into a bit.
    Measure {
        /// The qubit.
        qubit: u32,
        /// The bit.
        bit: u32,
    },
    /// Puts a qubit to 0.
    Reset(u32),
    /// Gates do not move across it; for drawing and for noise only.
    Barrier(Vec<u32>),
    /// Noise on qubits.
    Noise(Channel, SmallVec<[u32; 2]>),
    /// Bits from `start` on take the value of an expression.
    Assign {
        /// The first bit.
        start: u32,
        /// How many.
        width: u32,
        /// The value.
        value: Expression,
    },
    /// One of two blocks.
    If {
        /// Not zero: the first block.
        condition: Expression,
        /// The first block.
        then: Vec<Op>,
        /// The second block.
        otherwise: Vec<Op>,
    },
    /// A block as long as a condition holds.
    While {
        /// Zero ends the loop.
        condition: Expression,
        /// The block.
        body: Vec<Op>,
    },
    /// Leaves the innermost loop.
    Break,
    /// On to the next round of the innermost loop.
    Continue,
    /// Ends the shot.
    End,
}

/// A circuit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Circuit {
    /// How many qubits.
    pub qubits: u32,
    /// How many classical bits.
    pub bits: u32,
    /// Quantum registers, in the order of declaration.
    pub qubit_registers: Vec<Register>,
    /// Classical registers that results show, in the order of declaration.
    pub bit_registers: Vec<Register>,
    /// Names of parameters that are filled in before a run.
    pub parameters: Vec<String>,
    /// The operations.
    pub ops: Vec<Op>,
}

impl Circuit {
    /// An empty circuit with one register `q` and one register `c` (if it has bits at all).
    ///
    /// # Errors
    /// [`Error::Limit`] for more than [`QUBITS_MAX`] or [`BITS_MAX`].
    pub fn new(qubits: u64, bits: u64) -> Result<Self, Error> {
        let mut circuit = Self::default();
        circuit.add_qubits("q", qubits)?;
        if bits > 0 {
            circuit.add_bits("c", bits)?;
        }
        Ok(circuit)
    }

    /// Declares a quantum register; gives its first qubit.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than [`QUBITS_MAX`] in all.
    pub fn add_qubits(&mut self, name: &str, size: u64) -> Result<u32, Error> {
        let start = self.qubits;
        self.qubits = grown("qubits", start, size, QUBITS_MAX)?;
        self.qubit_registers.push(Register {
            name: name.to_owned(),
            start,
            size: self.qubits - start,
        });
        Ok(start)
    }

    /// Declares a classical register; gives its first bit.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than [`BITS_MAX`] in all.
    pub fn add_bits(&mut self, name: &str, size: u64) -> Result<u32, Error> {
        let start = self.add_hidden_bits(size)?;
        self.bit_registers.push(Register {
            name: name.to_owned(),
            start,
            size: self.bits - start,
        });
        Ok(start)
    }

    /// Adds bits that no result shows (variables of a program); gives the first.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than [`BITS_MAX`] in all.
    pub fn add_hidden_bits(&mut self, size: u64) -> Result<u32, Error> {
        let start = self.bits;
        self.bits = grown("classical bits", start, size, BITS_MAX)?;
        Ok(start)
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// [`Error::Circuit`] says what is wrong with it; [`Error::Limit`] where there are too many.
    pub fn push(&mut self, op: Op) -> Result<&mut Self, Error> {
        self.check_op(&op, 0, false)?;
        within("operations", self.ops.len() as u128 + 1, OPERATIONS_MAX)?;
        self.ops.push(op);
        Ok(self)
    }

    /// Checks every operation: for circuits that were put together by hand.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        within("qubits", self.qubits.into(), QUBITS_MAX)?;
        within("classical bits", self.bits.into(), BITS_MAX)?;
        let mut count = 0;
        each(&self.ops, &mut |_| count += 1);
        within("operations", count, OPERATIONS_MAX)?;
        self.ops
            .iter()
            .try_for_each(|op| self.check_op(op, 0, false))
    }

    /// Calls `see` for every operation, those in blocks included.
    pub fn each(&self, see: &mut dyn FnMut(&Op)) {
        each(&self.ops, see);
    }

    /// The same registers and parameters without operations.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self {
            qubits: self.qubits,
            bits: self.bits,
            qubit_registers: self.qubit_registers.clone(),
            bit_registers: self.bit_registers.clone(),
            parameters: self.parameters.clone(),
            ops: Vec::new(),
        }
    }

    /// The same circuit with its parameters filled in.
    ///
    /// # Errors
    /// [`Error::Circuit`] for a wrong number of values or a value that is not finite.
    pub fn bind(&self, values: &[f64]) -> Result<Self, Error> {
        if values.len() != self.parameters.len() {
            return Err(Error::Circuit(format!(
                "{} parameter values given, the circuit has {}",
                values.len(),
                self.parameters.len()
            )));
        }
        let mut bound = self.clone();
        bound.parameters.clear();
        fill(&mut bound.ops, values);
        bound.check()?;
        Ok(bound)
    }

    /// Whether every parameter is filled in.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        let mut bound = true;
        self.each(&mut |op| {
            if let Op::Gate(gate) = op {
                bound &= gate.angles.iter().all(|a| matches!(a, Angle::Value(_)));
            }
        });
        bound
    }

    /// The circuit that undoes this one, if it has nothing but gates and barriers.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let mut inverse = self.clone();
        inverse.ops = self
            .ops
            .iter()
            .rev()
            .map(|op| match op {
                Op::Gate(gate) => Some(Op::Gate(gate.inverse())),
                Op::Barrier(qubits) => Some(Op::Barrier(qubits.clone())),
                _ => None,
            })
            .collect::<Option<_>>()?;
        Some(inverse)
    }

    pub(crate) fn check_op(&self, op: &Op, depth: usize, in_loop: bool) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Limit {
                what: "nested blocks",
                got: depth as u128,
                limit: DEPTH_MAX as u128,
            });
        }
        let expression = |e: &Expression| {
            let mut result = Ok(());
            e.reads(&mut |start, width| {
                if result.is_ok() {
                    result = self.check_bits(start, width);
                }
            });
            result
        };
        let block = |ops: &[Op], in_loop| {
            ops.iter()
                .try_for_each(|op| self.check_op(op, depth + 1, in_loop))
        };
        match op {
            Op::Gate(gate) => self.check_gate(gate),
            Op::Measure { qubit, bit } => {
                self.check_qubits(&[*qubit])?;
                self.check_bits(*bit, 1)
            }
            Op::Reset(qubit) => self.check_qubits(&[*qubit]),
            Op::Barrier(qubits) => self.check_qubits(qubits),
            Op::Noise(channel, qubits) => {
                channel.check()?;
                self.check_qubits(qubits)?;
                if channel.qubits() == qubits.len() {
                    return Ok(());
                }
                Err(Error::Circuit(format!(
                    "a noise channel on {} qubits is given {}",
                    channel.qubits(),
                    qubits.len()
                )))
            }
            Op::Assign {
                start,
                width,
                value,
            } => {
                self.check_bits(*start, *width)?;
                expression(value)
            }
            Op::If {
                condition,
                then,
                otherwise,
            } => {
                expression(condition)?;
                block(then, in_loop)?;
                block(otherwise, in_loop)
            }
            Op::While { condition, body } => {
                expression(condition)?;
                block(body, true)
            }
            Op::Break | Op::Continue if !in_loop => Err(Error::Circuit(
                "break or continue outside of a loop".to_owned(),
            )),
            Op::Break | Op::Continue | Op::End => Ok(()),
        }
    }

    fn check_gate(&self, gate: &Gate) -> Result<(), Error> {
        let wanted = gate.controls as usize + gate.base.targets();
        if gate.qubits.len() != wanted {
            return Err(Error::Circuit(format!(
                "{:?} with {} controls is on {wanted} qubits, {} are given",
                gate.base,
                gate.controls,
                gate.qubits.len()
            )));
        }
        if gate.angles.len() != gate.base.angles() {
            return Err(Error::Circuit(format!(
                "{:?} has {} angles, {} are given",
                gate.base,
                gate.base.angles(),
                gate.angles.len()
            )));
        }
        for angle in &gate.angles {
            let fine = match *angle {
                Angle::Value(value) => value.is_finite(),
                Angle::Parameter {
                    index,
                    factor,
                    offset,
                } => {
                    (index as usize) < self.parameters.len()
                        && factor.is_finite()
                        && offset.is_finite()
                }
            };
            if !fine {
                return Err(Error::Circuit(format!(
                    "the angle {angle:?} of {:?} is not a finite number",
                    gate.base
                )));
            }
        }
        if let super::Base::Unitary(matrix) = &gate.base {
            within(
                "qubits of a matrix",
                u128::from(matrix.size().trailing_zeros()),
                MATRIX_QUBITS_MAX as u64,
            )?;
            let error = matrix.unitary_error();
            if !matrix.size().is_power_of_two() || error.is_nan() || error > 1e-9 {
                return Err(Error::Circuit(format!(
                    "a matrix of {} rows is not unitary (off by {error:.1e})",
                    matrix.size()
                )));
            }
        }
        self.check_qubits(&gate.qubits)
    }

    fn check_qubits(&self, qubits: &[u32]) -> Result<(), Error> {
        for (i, qubit) in qubits.iter().enumerate() {
            if *qubit >= self.qubits {
                return Err(Error::Circuit(format!(
                    "qubit {qubit} is out of range: there are {}",
                    self.qubits
                )));
            }
            // Long lists are barriers, where twice does no harm.
            if qubits.len() <= 1024 && qubits[..i].contains(qubit) {
                return Err(Error::Circuit(format!("qubit {qubit} is named twice")));
            }
        }
        Ok(())
    }

    fn check_bits(&self, start: u32, width: u32) -> Result<(), Error> {
        if u64::from(start) + u64::from(width) <= self.bits.into() {
            return Ok(());
        }
        Err(Error::Circuit(format!(
            "bit {} is out of range: there are {}",
            u64::from(start) + u64::from(width) - 1,
            self.bits
        )))
    }
}

fn each(ops: &[Op], see: &mut dyn FnMut(&Op)) {
    for op in ops {
        see(op);
        match op {
            Op::If {
                then, otherwise, ..
            } => {
                each(then, see);
                each(otherwise, see);
            }
            Op::While { body, .. } => each(body, see),
            _ => {}
        }
    }
}

fn fill(ops: &mut [Op], values: &[f64]) {
    for op in ops {
        match op {
            Op::Gate(gate) => {
                for angle in &mut gate.angles {
                    *angle = Angle::Value(angle.value(values).unwrap_or(f64::NAN));
                }
            }
            Op::If {
                then, otherwise, ..
            } => {
                fill(then, values);
                fill(otherwise, values);
            }
            Op::While { body, .. } => fill(body, values),
            _ => {}
        }
    }
}

fn grown(what: &'static str, have: u32, more: u64, limit: u64) -> Result<u32, Error> {
    let all = u128::from(have) + u128::from(more);
    within(what, all, limit)?;
    u32::try_from(all).map_err(|_| Error::Circuit(format!("too many {what}")))
}

fn within(what: &'static str, got: u128, limit: u64) -> Result<(), Error> {
    if got <= limit.into() {
        return Ok(());
    }
    Err(Error::Limit {
        what,
        got,
        limit: limit.into(),
    })
}

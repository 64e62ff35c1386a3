//! A noise model: channels after gates and errors of readout, put into the circuit before it runs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::Error;
use crate::ir::{Channel, Circuit, Op, standard};

/// Noise that a circuit does not say itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Noise {
    /// After each gate on one qubit.
    pub one: Vec<Channel>,
    /// After each gate on two qubits: on both, or on each where it is for one qubit.
    pub two: Vec<Channel>,
    /// After gates of a name, instead of the above.
    pub gates: BTreeMap<String, Vec<Channel>>,
    /// On a qubit after each gate that touches it, besides the above.
    pub qubits: BTreeMap<u32, Vec<Channel>>,
    /// The chances that readout shows 1 for 0 and 0 for 1.
    pub readout: [f64; 2],
}

impl Noise {
    /// Whether there is any.
    #[must_use]
    pub fn is_some(&self) -> bool {
        *self != Self::default()
    }

    /// Adds what `[GATE:|qN:]CHANNEL=P` says: noise after every gate, after gates of a name, or on a qubit
    /// whenever a gate touches it. Channels are depolarizing, amplitude-damping, phase-damping, bit-flip and
    /// phase-flip.
    ///
    /// # Errors
    /// [`Error::Circuit`] says what is not understood.
    pub fn add(&mut self, text: &str) -> Result<(), Error> {
        let wrong = |what: String| Error::Circuit(format!("noise {text:?}: {what}"));
        let (name, p) = text
            .split_once('=')
            .and_then(|(name, value)| Some((name.trim(), value.trim().parse().ok()?)))
            .ok_or_else(|| wrong("CHANNEL=P expected".to_owned()))?;
        let (place, channel) = name.split_once(':').unwrap_or(("", name));
        let (one, two) = match channel {
            "depolarizing" => (Channel::Depolarizing(p), Channel::Depolarizing2(p)),
            "amplitude-damping" => (Channel::AmplitudeDamping(p), Channel::AmplitudeDamping(p)),
            "phase-damping" => (Channel::PhaseDamping(p), Channel::PhaseDamping(p)),
            "bit-flip" => (Channel::Pauli([p, 0.0, 0.0]), Channel::Pauli([p, 0.0, 0.0])),
            "phase-flip" => (Channel::Pauli([0.0, 0.0, p]), Channel::Pauli([0.0, 0.0, p])),
            _ => return Err(wrong(format!("unknown channel {channel:?}"))),
        };
        one.check()?;
        let qubit = place.strip_prefix('q').and_then(|n| n.parse::<u32>().ok());
        match (place, qubit) {
            ("", _) => {
                self.one.push(one);
                self.two.push(two);
            }
            (_, Some(qubit)) => self.qubits.entry(qubit).or_default().push(one),
            (gate, None) => {
                let known =
                    standard(gate).ok_or_else(|| wrong(format!("unknown gate {gate:?}")))?;
                let channel = if known.qubits() == 2 { two } else { one };
                self.gates.entry(gate.to_owned()).or_default().push(channel);
            }
        }
        Ok(())
    }

    /// The circuit with this noise in it (readout errors come with the measurement).
    ///
    /// # Errors
    /// [`Error::Circuit`] for numbers that are no probabilities.
    pub fn applied<'a>(&self, circuit: &'a Circuit) -> Result<Cow<'a, Circuit>, Error> {
        Channel::Pauli([self.readout[0], 0.0, 0.0]).check()?;
        Channel::Pauli([self.readout[1], 0.0, 0.0]).check()?;
        if !self.is_some() {
            return Ok(Cow::Borrowed(circuit));
        }
        let noisy = Circuit {
            ops: self.block(&circuit.ops),
            ..circuit.bare()
        };
        noisy.check()?;
        Ok(Cow::Owned(noisy))
    }

    fn block(&self, ops: &[Op]) -> Vec<Op> {
        let mut out = Vec::with_capacity(2 * ops.len());
        for op in ops {
            match op {
                Op::Gate(gate) => {
                    out.push(op.clone());
                    let usual = match gate.qubits.len() {
                        1 => &self.one,
                        2 => &self.two,
                        _ => &Vec::new(),
                    };
                    for channel in self.gates.get(&gate.name()).unwrap_or(usual) {
                        if channel.qubits() == gate.qubits.len() {
                            let on = SmallVec::from_slice(&gate.qubits);
                            out.push(Op::Noise(channel.clone(), on));
                        } else if channel.qubits() == 1 {
                            each(&gate.qubits, channel, &mut out);
                        }
                    }
                    for qubit in &gate.qubits {
                        for channel in self.qubits.get(qubit).into_iter().flatten() {
                            each(&[*qubit], channel, &mut out);
                        }
                    }
                }
                Op::If {
                    condition,
                    then,
                    otherwise,
                } => out.push(Op::If {
                    condition: condition.clone(),
                    then: self.block(then),
                    otherwise: self.block(otherwise),
                }),
                Op::While { condition, body } => out.push(Op::While {
                    condition: condition.clone(),
                    body: self.block(body),
                }),
                other => out.push(other.clone()),
            }
        }
        out
    }
}

fn each(qubits: &[u32], channel: &Channel, out: &mut Vec<Op>) {
    for &qubit in qubits {
        out.push(Op::Noise(channel.clone(), SmallVec::from_slice(&[qubit])));
    }
}

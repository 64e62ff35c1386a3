//! What a circuit is like: which gates reach what is measured, which qubits ever meet, whether it is
//! Clifford, how entangled it can get.

use std::collections::HashMap;

use crate::ir::{Base, Circuit, Gate, Op};
use crate::stabilizer::Action;

/// Facts about a circuit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Analysis {
    /// Gates in all, those in blocks included.
    pub gates: u64,
    /// The most qubits that a gate is on.
    pub widest: usize,
    /// Gates that are not Clifford.
    pub other_than_clifford: u64,
    /// Whether only gates come before the last measurements.
    pub is_static: bool,
    /// Whether there is damping.
    pub damps: bool,
    /// An upper bound of the logarithm (base 2) of the number of non-zero amplitudes.
    pub log_non_zeros: u32,
    /// An upper bound of the logarithm of the bond across the worst cut between neighbours.
    pub log_bond: u32,
    /// The groups of qubits that meet, the largest first.
    pub groups: Vec<Vec<u32>>,
}

/// Qubits that a circuit needs, after what does not matter has gone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Split {
    /// Gates outside the light cone of what is asked for.
    pub dropped: u64,
    /// Qubits that nothing asks about and no gate that matters touches.
    pub idle: u32,
}

impl Analysis {
    /// Looks at a circuit.
    #[must_use]
    pub fn of(circuit: &Circuit) -> Self {
        let n = circuit.qubits as usize;
        let mut analysis = Self {
            is_static: is_static(circuit),
            ..Self::default()
        };
        let mut parent: Vec<u32> = (0..circuit.qubits).collect();
        let mut spread = vec![false; n];
        // What each cut adds to the one before it.
        let mut cuts = vec![0i64; n + 2];
        let mut known = Known::default();
        circuit.each(&mut |op| match op {
            Op::Gate(gate) => {
                analysis.gates += 1;
                analysis.widest = analysis.widest.max(gate.qubits.len());
                let (clifford, monomial) = known.of(gate);
                analysis.other_than_clifford += u64::from(!clifford);
                if !monomial {
                    for &q in gate.target_qubits() {
                        analysis.log_non_zeros += 1;
                        spread[q as usize] = true;
                    }
                }
                if let Some(&first) = gate.qubits.first() {
                    let root = find(&mut parent, first);
                    for &other in &gate.qubits[1..] {
                        let other = find(&mut parent, other);
                        parent[other as usize] = root;
                    }
                    let low = gate.qubits.iter().min().copied().unwrap_or(first) as usize;
                    let high = gate.qubits.iter().max().copied().unwrap_or(first) as usize;
                    // A control or a rotation about a Pauli product doubles a bond at most; two mixed qubits
                    // make it four times as large.
                    let growth = if doubles(gate) { 1 } else { 2 };
                    cuts[low + 1] += growth;
                    cuts[high + 1] -= growth;
                }
            }
            Op::Noise(channel, _) => analysis.damps |= channel.paulis().is_none(),
            _ => {}
        });
        let spread = spread.iter().filter(|s| **s).count() as u32;
        analysis.log_non_zeros = analysis.log_non_zeros.min(spread);
        let mut cut = 0;
        for (at, step) in cuts.iter().enumerate() {
            cut += step;
            let sides = at.min(n - at.min(n)) as u32;
            let bond = u32::try_from(cut).unwrap_or(u32::MAX);
            analysis.log_bond = analysis.log_bond.max(bond.min(sides));
        }
        let mut groups: HashMap<u32, Vec<u32>> = HashMap::new();
        for qubit in 0..circuit.qubits {
            groups
                .entry(find(&mut parent, qubit))
                .or_default()
                .push(qubit);
        }
        analysis.groups = groups.into_values().collect();
        analysis
            .groups
            .sort_by_key(|g| (usize::MAX - g.len(), g[0]));
        analysis
    }

    /// Whether every gate is Clifford.
    #[must_use]
    pub fn is_clifford(&self) -> bool {
        self.other_than_clifford == 0 && !self.damps
    }
}

/// What is known of gates that came before: whether they are Clifford, and monomial.
#[derive(Default)]
struct Known {
    plain: Vec<(Base, u32, (bool, bool))>,
    turned: HashMap<String, (bool, bool)>,
}

impl Known {
    fn of(&mut self, gate: &Gate) -> (bool, bool) {
        let look = || kinds(gate);
        if matches!(gate.base, Base::Unitary(_)) {
            return look();
        }
        if !gate.angles.is_empty() {
            let name = format!("{} {:?}", gate.name(), gate.angles);
            return *self.turned.entry(name).or_insert_with(look);
        }
        let same = |k: &&(Base, u32, _)| k.0 == gate.base && k.1 == gate.controls;
        if let Some(found) = self.plain.iter().find(same) {
            return found.2;
        }
        let facts = look();
        self.plain.push((gate.base.clone(), gate.controls, facts));
        facts
    }
}

/// Whether a gate is Clifford, and whether it is monomial.
pub(super) fn kinds(gate: &Gate) -> (bool, bool) {
    (Action::of(gate).is_some(), is_monomial(gate))
}

fn find(parent: &mut [u32], mut qubit: u32) -> u32 {
    while parent[qubit as usize] != qubit {
        let above = parent[parent[qubit as usize] as usize];
        parent[qubit as usize] = above;
        qubit = above;
    }
    qubit
}

/// Whether the gate is a sum of two products, so that it doubles a bond at most.
fn doubles(gate: &Gate) -> bool {
    let product = matches!(gate.base, Base::Rxx | Base::Ryy | Base::Rzz | Base::Rzx);
    gate.target_qubits().len() <= 1 || (product && gate.controls == 0)
}

/// Whether basis states go to basis states.
fn is_monomial(gate: &Gate) -> bool {
    let matrix = gate.target_matrix();
    let size = matrix.size();
    (0..size).all(|c| {
        (0..size)
            .filter(|&r| matrix.at(r, c).norm_sqr() > 1e-32)
            .count()
            == 1
    })
}

/// Whether the circuit is gates, then measurements that nothing comes after.
pub fn is_static(circuit: &Circuit) -> bool {
    let mut measured = vec![false; circuit.qubits as usize];
    circuit.ops.iter().all(|op| match op {
        Op::Gate(gate) => !gate.qubits.iter().any(|&q| measured[q as usize]),
        Op::Measure { qubit, .. } => {
            measured[*qubit as usize] = true;
            true
        }
        Op::Barrier(_) => true,
        _ => false,
    })
}

/// Drops gates that cannot change what is measured (or kept), from the end backwards. For static circuits.
pub fn light_cone(circuit: &Circuit, kept: &[u32]) -> (Circuit, Split) {
    let mut matters = vec![false; circuit.qubits as usize];
    for &qubit in kept {
        matters[qubit as usize] = true;
    }
    let mut split = Split::default();
    let mut ops = Vec::with_capacity(circuit.ops.len());
    for op in circuit.ops.iter().rev() {
        match op {
            Op::Gate(gate) => {
                if !gate.qubits.iter().any(|&q| matters[q as usize]) {
                    split.dropped += 1;
                    continue;
                }
                gate.qubits.iter().for_each(|&q| matters[q as usize] = true);
            }
            Op::Measure { qubit, .. } => matters[*qubit as usize] = true,
            _ => {}
        }
        ops.push(op.clone());
    }
    ops.reverse();
    split.idle = matters.iter().filter(|m| !**m).count() as u32;
    let reduced = Circuit {
        ops,
        ..circuit.bare()
    };
    (reduced, split)
}

//! Gradients of expectation values by the adjoint method: one run forwards, one backwards, however many
//! parameters there are. Four states in double precision are held.

use crate::dense::{State, bytes_needed};
use crate::ir::{Angle, Base, Circuit, Gate, Op};
use crate::run::Observable;
use crate::{Error, Watch};

/// Bytes that a gradient takes, saturated at the type's end.
#[must_use]
pub fn bytes_taken(qubits: u32, threads: usize) -> u128 {
    bytes_needed::<f64>(qubits, threads).saturating_mul(4)
}

/// Whether a circuit can be run backwards.
///
/// # Errors
/// [`Error::Unsupported`] names what cannot be undone.
pub fn check(circuit: &Circuit) -> Result<(), Error> {
    let obstacle = circuit.ops.iter().find_map(|op| match op {
        Op::Gate(_) | Op::Barrier(_) => None,
        Op::Measure { .. } => Some("a measurement"),
        Op::Reset(_) => Some("a reset"),
        Op::Noise(..) => Some("noise"),
        Op::Assign { .. } => Some("an assignment to bits"),
        _ => Some("control by bits"),
    });
    obstacle.map_or(Ok(()), |what| Err(irreversible(what)))
}

/// The error for what has no adjoint.
pub(crate) fn irreversible(what: &str) -> Error {
    Error::Unsupported {
        method: "the adjoint gradient",
        what: format!(
            "go back through {what}: it runs the circuit backwards, which has to be gates alone"
        ),
    }
}

/// The expectation value of an observable and its derivative by each parameter of the circuit.
///
/// # Errors
/// [`Error::Unsupported`] for anything but gates, [`Error::Memory`] where four states do not fit,
/// [`Error::Circuit`] for a wrong number of values.
pub fn gradient(
    circuit: &Circuit,
    values: &[f64],
    observable: &Observable,
    threads: usize,
    available: u64,
    watch: &Watch,
) -> Result<(f64, Vec<f64>), Error> {
    check(circuit)?;
    let bound = circuit.bind(values)?;
    observable.check(circuit.qubits)?;
    let needed = bytes_taken(circuit.qubits, threads);
    if needed > available.into() {
        return Err(Error::Memory {
            method: "adjoint gradient",
            needed,
            available,
            advice: "four states are held at once; fewer qubits fit".to_owned(),
        });
    }
    // Each gate with numbers for angles beside the one that says which parameter they come from.
    let mut gates: Vec<(&Gate, &Gate)> = Vec::new();
    for (symbolic, numeric) in circuit.ops.iter().zip(&bound.ops) {
        if let (Op::Gate(symbolic), Op::Gate(numeric)) = (symbolic, numeric) {
            gates.push((symbolic, numeric));
        }
    }
    let mut state = State::<f64>::new(circuit.qubits, threads, available)?;
    state.apply_all(gates.iter().map(|g| g.1), watch)?;
    let mut costate = state.copied()?;
    costate.clear();
    let mut value = 0.0;
    for (factor, x, z) in &observable.terms {
        let mut turned = state.copied()?;
        let paulis = pauli_gates(x, z);
        turned.apply_all(paulis.iter(), watch)?;
        value += factor * state.inner(&turned).re;
        costate.add(*factor, &turned);
    }
    let mut derivatives = vec![0.0; circuit.parameters.len()];
    for (symbolic, numeric) in gates.into_iter().rev() {
        let back = numeric.inverse();
        state.apply_all(std::iter::once(&back), watch)?;
        for (i, angle) in symbolic.angles.iter().enumerate() {
            let Angle::Parameter { index, factor, .. } = *angle else {
                continue;
            };
            let slope = derivative(&state, &costate, numeric, i, watch)?;
            derivatives[index as usize] += factor * 2.0 * slope;
        }
        costate.apply_all(std::iter::once(&back), watch)?;
    }
    Ok((value, derivatives))
}

/// `Re <costate| d gate / d angle |state>`: a difference of two shifted gates, which is exact because
/// cells are constant, or harmonic in the angle or in half of it.
fn derivative(
    state: &State<f64>,
    costate: &State<f64>,
    gate: &Gate,
    angle: usize,
    watch: &Watch,
) -> Result<f64, Error> {
    let halves = angle == 0 && !matches!(gate.base, Base::Phase | Base::GlobalPhase);
    let (shift, weight) = if halves {
        (std::f64::consts::PI, 0.25)
    } else {
        (std::f64::consts::FRAC_PI_2, 0.5)
    };
    let mut slope = 0.0;
    for sign in [1.0, -1.0] {
        let mut shifted = gate.clone();
        if let Angle::Value(value) = &mut shifted.angles[angle] {
            *value += sign * shift;
        }
        let mut moved = state.copied()?;
        moved.apply_all(std::iter::once(&shifted), watch)?;
        slope += sign * weight * costate.inner(&moved).re;
    }
    Ok(slope)
}

fn pauli_gates(x: &[u64], z: &[u64]) -> Vec<Gate> {
    let bit = |w: &[u64], q: u32| {
        w.get(q as usize / 64)
            .is_some_and(|w| w >> (q % 64) & 1 == 1)
    };
    (0..64 * x.len().max(z.len()) as u32)
        .filter_map(|q| {
            let base = match (bit(x, q), bit(z, q)) {
                (false, false) => return None,
                (true, false) => Base::X,
                (true, true) => Base::Y,
                (false, true) => Base::Z,
            };
            Some(Gate::new(base, &[], &[q]))
        })
        .collect()
}

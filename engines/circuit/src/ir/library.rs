//! The gate names that front ends share: Qiskit's standard library, with the synonyms in use elsewhere.

use smallvec::SmallVec;

use super::{Angle, Base, Gate};

/// A named gate: a base with controls, and how its angles come from the ones that are written.
#[derive(Debug, Clone)]
pub struct Standard {
    /// What it does to its targets.
    pub base: Base,
    /// How many controls.
    pub controls: u32,
    /// How many angles are written.
    pub angles: usize,
    form: Form,
}

/// How written angles become the base's.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Same,
    /// u2(phi, lambda) is U(pi/2, phi, lambda).
    U2,
    /// cu(theta, phi, lambda, gamma) has a phase of its own on the control.
    Cu,
    /// u0(cycles) waits.
    Wait,
}

impl Standard {
    /// How many qubits it is on.
    #[must_use]
    pub fn qubits(&self) -> usize {
        self.controls as usize + self.base.targets()
    }

    /// The gates to put into the circuit, with these angles (as many as `angles` says) on these
    /// qubits; mostly one.
    #[must_use]
    pub fn gates(&self, angles: &[Angle], qubits: &[u32]) -> SmallVec<[Gate; 1]> {
        let mut gates = SmallVec::new();
        let mut taken: SmallVec<[Angle; 1]> = SmallVec::from_slice(angles);
        match self.form {
            Form::Same => {}
            Form::U2 => taken.insert(0, Angle::Value(std::f64::consts::FRAC_PI_2)),
            Form::Wait => taken.clear(),
            Form::Cu => {
                if let (Some(phase), Some(&control)) = (taken.pop(), qubits.first()) {
                    gates.push(Gate {
                        base: Base::Phase,
                        controls: 0,
                        angles: SmallVec::from_slice(&[phase]),
                        qubits: SmallVec::from_slice(&[control]),
                    });
                }
            }
        }
        gates.push(Gate {
            base: self.base.clone(),
            controls: self.controls,
            angles: taken,
            qubits: SmallVec::from_slice(qubits),
        });
        gates
    }
}

/// Every name with its base and controls.
const NAMES: &[(&str, Base, u32)] = &[
    ("id", Base::Id, 0),
    ("i", Base::Id, 0),
    ("x", Base::X, 0),
    ("y", Base::Y, 0),
    ("z", Base::Z, 0),
    ("h", Base::H, 0),
    ("s", Base::S, 0),
    ("sdg", Base::Sdg, 0),
    ("t", Base::T, 0),
    ("tdg", Base::Tdg, 0),
    ("sx", Base::Sx, 0),
    ("sxdg", Base::Sxdg, 0),
    ("p", Base::Phase, 0),
    ("phase", Base::Phase, 0),
    ("u1", Base::Phase, 0),
    ("rx", Base::Rx, 0),
    ("ry", Base::Ry, 0),
    ("rz", Base::Rz, 0),
    ("r", Base::R, 0),
    ("u", Base::U, 0),
    ("u3", Base::U, 0),
    ("u2", Base::U, 0),
    ("u0", Base::Id, 0),
    ("swap", Base::Swap, 0),
    ("iswap", Base::ISwap, 0),
    ("dcx", Base::Dcx, 0),
    ("ecr", Base::Ecr, 0),
    ("rxx", Base::Rxx, 0),
    ("ryy", Base::Ryy, 0),
    ("rzz", Base::Rzz, 0),
    ("rzx", Base::Rzx, 0),
    ("xx_minus_yy", Base::XxMinusYy, 0),
    ("xx_plus_yy", Base::XxPlusYy, 0),
    ("rccx", Base::Rccx, 0),
    ("rc3x", Base::Rc3x, 0),
    ("rcccx", Base::Rc3x, 0),
    ("cx", Base::X, 1),
    ("cnot", Base::X, 1),
    ("cy", Base::Y, 1),
    ("cz", Base::Z, 1),
    ("ch", Base::H, 1),
    ("cs", Base::S, 1),
    ("csdg", Base::Sdg, 1),
    ("csx", Base::Sx, 1),
    ("cp", Base::Phase, 1),
    ("cphase", Base::Phase, 1),
    ("cu1", Base::Phase, 1),
    ("crx", Base::Rx, 1),
    ("cry", Base::Ry, 1),
    ("crz", Base::Rz, 1),
    ("cu3", Base::U, 1),
    ("cu", Base::U, 1),
    ("ccx", Base::X, 2),
    ("toffoli", Base::X, 2),
    ("ccz", Base::Z, 2),
    ("cswap", Base::Swap, 1),
    ("fredkin", Base::Swap, 1),
    ("c3x", Base::X, 3),
    ("mcx", Base::X, 3),
    ("c3sx", Base::Sx, 3),
    ("c3sqrtx", Base::Sx, 3),
    ("c4x", Base::X, 4),
    ("gphase", Base::GlobalPhase, 0),
];

/// The gate of that name. Names are lower case.
#[must_use]
pub fn standard(name: &str) -> Option<Standard> {
    let (_, base, controls) = NAMES.iter().find(|(known, _, _)| *known == name)?;
    let (form, angles) = match name {
        "u2" => (Form::U2, 2),
        "u0" => (Form::Wait, 1),
        "cu" => (Form::Cu, 4),
        _ => (Form::Same, base.angles()),
    };
    Some(Standard {
        base: base.clone(),
        controls: *controls,
        angles,
        form,
    })
}

/// Every name that [`standard`] knows.
pub fn standard_names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _, _)| *name)
}

impl Gate {
    /// The name as Qiskit has it; controls beyond the named gates are counted (`c5x`).
    #[must_use]
    pub fn name(&self) -> String {
        if let Base::Unitary(_) = self.base {
            return match self.controls {
                0 => "unitary".to_owned(),
                1 => "cunitary".to_owned(),
                n => format!("c{n}unitary"),
            };
        }
        let of = |controls| {
            NAMES
                .iter()
                .find(|(name, base, c)| *base == self.base && *c == controls && *name != "i")
                .map(|(name, _, _)| *name)
        };
        of(self.controls).map_or_else(
            || format!("c{}{}", self.controls, of(0).unwrap_or("gate")),
            str::to_owned,
        )
    }
}

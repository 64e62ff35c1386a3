//! Gates: a base operation, how many controls it has, its angles and its qubits. `cx` is `x` with one
//! control, so that every method sees one form of the many names.

use std::f64::consts::FRAC_1_SQRT_2;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Matrix;
use crate::C64;

/// An angle in radians, or another real parameter of a gate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Angle {
    /// A number.
    Value(f64),
    /// `factor * parameter + offset`, for a parameter of the circuit that a sweep fills in.
    Parameter {
        /// Which parameter.
        index: u32,
        /// What it is multiplied by.
        factor: f64,
        /// What is added.
        offset: f64,
    },
}

impl Angle {
    /// The number, with the circuit's parameters filled in; `None` where one is missing.
    #[must_use]
    pub fn value(self, parameters: &[f64]) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Parameter {
                index,
                factor,
                offset,
            } => Some(factor * parameters.get(index as usize)? + offset),
        }
    }

    /// The angle times a number.
    #[must_use]
    pub fn scaled(self, by: f64) -> Self {
        match self {
            Self::Value(value) => Self::Value(value * by),
            Self::Parameter {
                index,
                factor,
                offset,
            } => Self::Parameter {
                index,
                factor: factor * by,
                offset: offset * by,
            },
        }
    }
}

impl From<f64> for Angle {
    fn from(value: f64) -> Self {
        Self::Value(value)
    }
}

/// What a gate does to its targets. Definitions are those of Qiskit's standard library.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The names are the definitions, as Qiskit has them.
pub enum Base {
    /// A global phase `exp(i angle)`, on no qubit; with controls it is a phase of its own.
    GlobalPhase,
    Id,
    X,
    Y,
    Z,
    H,
    S,
    Sdg,
    T,
    Tdg,
    Sx,
    Sxdg,
    /// `diag(1, exp(i angle))`.
    Phase,
    Rx,
    Ry,
    Rz,
    /// `exp(-i theta/2 (cos(phi) X + sin(phi) Y))`.
    R,
    /// `U(theta, phi, lambda)` with a real first cell.
    U,
    Swap,
    ISwap,
    Dcx,
    Ecr,
    Rxx,
    Ryy,
    Rzz,
    Rzx,
    XxMinusYy,
    XxPlusYy,
    /// The relative-phase Toffoli (Margolus) gate.
    Rccx,
    /// The relative-phase triply controlled X.
    Rc3x,
    /// A gate given by its matrix.
    Unitary(Arc<Matrix>),
}

impl Base {
    /// How many targets it has.
    #[must_use]
    pub fn targets(&self) -> usize {
        match self {
            Self::GlobalPhase => 0,
            Self::Swap
            | Self::ISwap
            | Self::Dcx
            | Self::Ecr
            | Self::Rxx
            | Self::Ryy
            | Self::Rzz
            | Self::Rzx
            | Self::XxMinusYy
            | Self::XxPlusYy => 2,
            Self::Rccx => 3,
            Self::Rc3x => 4,
            Self::Unitary(matrix) => matrix.size().trailing_zeros() as usize,
            _ => 1,
        }
    }

    /// How many angles it has.
    #[must_use]
    pub fn angles(&self) -> usize {
        match self {
            Self::GlobalPhase
            | Self::Phase
            | Self::Rx
            | Self::Ry
            | Self::Rz
            | Self::Rxx
            | Self::Ryy
            | Self::Rzz
            | Self::Rzx => 1,
            Self::R | Self::XxMinusYy | Self::XxPlusYy => 2,
            Self::U => 3,
            _ => 0,
        }
    }

    /// The matrix over the targets, for that many angles as [`Base::angles`] says.
    #[must_use]
    pub fn matrix(&self, angles: &[f64]) -> Matrix {
        let a = |i: usize| angles.get(i).copied().unwrap_or_default();
        let r = |x: f64| C64::new(x, 0.0);
        let e = |x: f64| C64::from_polar(1.0, x);
        let (o, l, i) = (C64::ZERO, C64::ONE, C64::I);
        let h = r(FRAC_1_SQRT_2);
        let (c, s) = ((a(0) / 2.0).cos(), (a(0) / 2.0).sin());
        let half = |re: f64, im: f64| C64::new(re / 2.0, im / 2.0);
        match self {
            Self::GlobalPhase => Matrix::diagonal(&[e(a(0))]),
            Self::Id => Matrix::identity(2),
            Self::X => square([[o, l], [l, o]]),
            Self::Y => square([[o, -i], [i, o]]),
            Self::Z => Matrix::diagonal(&[l, -l]),
            Self::H => square([[h, h], [h, -h]]),
            Self::S => Matrix::diagonal(&[l, i]),
            Self::Sdg => Matrix::diagonal(&[l, -i]),
            Self::T => Matrix::diagonal(&[l, C64::new(FRAC_1_SQRT_2, FRAC_1_SQRT_2)]),
            Self::Tdg => Matrix::diagonal(&[l, C64::new(FRAC_1_SQRT_2, -FRAC_1_SQRT_2)]),
            Self::Sx => square([
                [half(1.0, 1.0), half(1.0, -1.0)],
                [half(1.0, -1.0), half(1.0, 1.0)],
            ]),
            Self::Sxdg => square([
                [half(1.0, -1.0), half(1.0, 1.0)],
                [half(1.0, 1.0), half(1.0, -1.0)],
            ]),
            Self::Phase => Matrix::diagonal(&[l, e(a(0))]),
            Self::Rx => square([[r(c), -i * s], [-i * s, r(c)]]),
            Self::Ry => square([[r(c), r(-s)], [r(s), r(c)]]),
            Self::Rz => Matrix::diagonal(&[e(-a(0) / 2.0), e(a(0) / 2.0)]),
            Self::R => square([[r(c), -i * s * e(-a(1))], [-i * s * e(a(1)), r(c)]]),
            Self::U => square([[r(c), -e(a(2)) * s], [e(a(1)) * s, e(a(1) + a(2)) * c]]),
            Self::Swap => square([[l, o, o, o], [o, o, l, o], [o, l, o, o], [o, o, o, l]]),
            Self::ISwap => square([[l, o, o, o], [o, o, i, o], [o, i, o, o], [o, o, o, l]]),
            Self::Dcx => square([[l, o, o, o], [o, o, o, l], [o, l, o, o], [o, o, l, o]]),
            Self::Ecr => square([
                [o, h, o, i * h],
                [h, o, -i * h, o],
                [o, i * h, o, h],
                [-i * h, o, h, o],
            ]),
            Self::Rxx => square([
                [r(c), o, o, -i * s],
                [o, r(c), -i * s, o],
                [o, -i * s, r(c), o],
                [-i * s, o, o, r(c)],
            ]),
            Self::Ryy => square([
                [r(c), o, o, i * s],
                [o, r(c), -i * s, o],
                [o, -i * s, r(c), o],
                [i * s, o, o, r(c)],
            ]),
            Self::Rzz => {
                let (minus, plus) = (e(-a(0) / 2.0), e(a(0) / 2.0));
                Matrix::diagonal(&[minus, plus, plus, minus])
            }
            Self::Rzx => square([
                [r(c), o, -i * s, o],
                [o, r(c), o, i * s],
                [-i * s, o, r(c), o],
                [o, i * s, o, r(c)],
            ]),
            Self::XxMinusYy => square([
                [r(c), o, o, -i * s * e(-a(1))],
                [o, l, o, o],
                [o, o, l, o],
                [-i * s * e(a(1)), o, o, r(c)],
            ]),
            Self::XxPlusYy => square([
                [l, o, o, o],
                [o, r(c), -i * s * e(-a(1)), o],
                [o, -i * s * e(a(1)), r(c), o],
                [o, o, o, l],
            ]),
            Self::Rccx => sparse(8, &[(3, 7, -i), (5, 5, -l), (7, 3, i)]),
            Self::Rc3x => sparse(16, &[(3, 3, i), (7, 15, l), (11, 11, -i), (15, 7, -l)]),
            Self::Unitary(matrix) => (**matrix).clone(),
        }
    }

    /// Whether the matrix is diagonal whatever the angles are.
    #[must_use]
    pub fn is_diagonal(&self) -> bool {
        match self {
            Self::GlobalPhase
            | Self::Id
            | Self::Z
            | Self::S
            | Self::Sdg
            | Self::T
            | Self::Tdg
            | Self::Phase
            | Self::Rz
            | Self::Rzz => true,
            Self::Unitary(matrix) => matrix.is_diagonal(),
            _ => false,
        }
    }
}

fn square<const N: usize>(rows: [[C64; N]; N]) -> Matrix {
    let cells = rows.into_iter().flatten().collect();
    Matrix::new(N, cells).unwrap_or_else(|| Matrix::identity(N))
}

/// The identity, but each row named has only this cell.
fn sparse(size: usize, cells: &[(usize, usize, C64)]) -> Matrix {
    let mut all: Vec<C64> = Matrix::identity(size).cells().to_vec();
    for &(row, _, _) in cells {
        all[row * size + row] = C64::ZERO;
    }
    for &(row, column, value) in cells {
        all[row * size + column] = value;
    }
    Matrix::new(size, all).unwrap_or_else(|| Matrix::identity(size))
}

/// A gate on its qubits.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// What is done to the targets where every control is 1.
    pub base: Base,
    /// How many of the qubits are controls; they come first.
    pub controls: u32,
    /// As many as the base has.
    pub angles: SmallVec<[Angle; 1]>,
    /// Controls, then targets.
    pub qubits: SmallVec<[u32; 4]>,
}

impl Gate {
    /// A gate without controls, on these targets.
    #[must_use]
    pub fn new(base: Base, angles: &[f64], targets: &[u32]) -> Self {
        Self {
            base,
            controls: 0,
            angles: angles.iter().map(|&a| Angle::Value(a)).collect(),
            qubits: SmallVec::from_slice(targets),
        }
    }

    /// A gate given by its matrix.
    #[must_use]
    pub fn unitary(matrix: Matrix, targets: &[u32]) -> Self {
        Self::new(Base::Unitary(Arc::new(matrix)), &[], targets)
    }

    /// With more controls, in front of those it has.
    #[must_use]
    pub fn controlled(mut self, by: &[u32]) -> Self {
        self.qubits.insert_many(0, by.iter().copied());
        self.controls += by.len() as u32;
        self
    }

    /// The control qubits.
    #[must_use]
    pub fn control_qubits(&self) -> &[u32] {
        &self.qubits[..self.controls as usize]
    }

    /// The target qubits.
    #[must_use]
    pub fn target_qubits(&self) -> &[u32] {
        &self.qubits[self.controls as usize..]
    }

    /// The angles as numbers; a parameter that is not filled in counts as not a number.
    #[must_use]
    pub fn numbers(&self) -> SmallVec<[f64; 4]> {
        self.angles
            .iter()
            .map(|a| a.value(&[]).unwrap_or(f64::NAN))
            .collect()
    }

    /// The matrix over the targets.
    #[must_use]
    pub fn target_matrix(&self) -> Matrix {
        self.base.matrix(&self.numbers())
    }

    /// Whether it multiplies each basis state by a phase only.
    #[must_use]
    pub fn is_diagonal(&self) -> bool {
        self.base.is_diagonal()
    }

    /// The gate that undoes it.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut gate = self.clone();
        let negate = |gate: &mut Self, count: usize| {
            for angle in gate.angles.iter_mut().take(count) {
                *angle = angle.scaled(-1.0);
            }
        };
        match &self.base {
            Base::S => gate.base = Base::Sdg,
            Base::Sdg => gate.base = Base::S,
            Base::T => gate.base = Base::Tdg,
            Base::Tdg => gate.base = Base::T,
            Base::Sx => gate.base = Base::Sxdg,
            Base::Sxdg => gate.base = Base::Sx,
            Base::Dcx => {
                // cx(0,1) cx(1,0) backwards is the same with the targets exchanged.
                let at = self.controls as usize;
                gate.qubits.swap(at, at + 1);
            }
            Base::U => {
                negate(&mut gate, 3);
                gate.angles.swap(1, 2);
            }
            Base::ISwap | Base::Rccx | Base::Rc3x => {
                gate.base = Base::Unitary(Arc::new(self.target_matrix().dagger()));
            }
            Base::Unitary(matrix) => gate.base = Base::Unitary(Arc::new(matrix.dagger())),
            Base::GlobalPhase
            | Base::Phase
            | Base::Rx
            | Base::Ry
            | Base::Rz
            | Base::R
            | Base::Rxx
            | Base::Ryy
            | Base::Rzz
            | Base::Rzx
            | Base::XxMinusYy
            | Base::XxPlusYy => negate(&mut gate, 1),
            Base::Id | Base::X | Base::Y | Base::Z | Base::H | Base::Swap | Base::Ecr => {}
        }
        gate
    }
}

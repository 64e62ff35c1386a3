//! A group of rotations with phases between them, laid out for vectors. Cells of up to three wires above the
//! lanes are read together; then come phases, the rotation of the first of these wires, phases, and so on;
//! at last rotations of lanes with phases between those.

use smallvec::SmallVec;

use super::fuse::Step;
use super::group::{Group, LANE_SLOT};
use super::lanes::Real;
use super::tile::{position, split};
use crate::C64;

/// Phases of a group: a factor for each lane of each of its cells.
#[derive(Debug)]
pub struct Factors<T> {
    /// Cells that change, by their numbers in the group.
    pub cells: u32,
    /// For each cell a vector of real and one of imaginary parts.
    pub values: Vec<T>,
}

impl<T: Real> Factors<T> {
    /// Factors of 1 for the cells of so many wires.
    fn ones(wires: usize) -> Self {
        let cell = || (0..2 * T::LANES).map(|i| T::of(if i < T::LANES { 1.0 } else { 0.0 }));
        Self {
            cells: 0,
            values: (0..1 << wires).flat_map(|_| cell()).collect(),
        }
    }
}

/// Smaller factors are multiplied on before the end: numbers must stay well within single precision.
const LEAST_SCALE: f64 = 1.0 / 65536.0;

/// The rotation of a lane's wire.
#[derive(Debug)]
pub struct LaneTurn<T> {
    /// Lane i meets lane `i ^ mask`.
    pub mask: usize,
    /// With what the other lane is multiplied where the lane itself is not, or the lane itself where the
    /// other is not.
    pub tangents: Vec<T>,
    /// Whether it is the lane itself that is multiplied.
    pub exchanged: bool,
    /// Phases afterwards.
    pub then: Option<Factors<T>>,
}

/// One sweep over a tile.
#[derive(Debug)]
pub struct Turns<T> {
    /// Bits of the cell number, in the order of their rotations.
    pub cells: Vec<u32>,
    /// Cells of a group are read in this order: number i is read from where `i ^ exchanged` is written to.
    pub exchanged: usize,
    /// For each wire above the lanes the tangent of its rotation.
    pub tangents: Vec<T>,
    /// Phases before each of them, and after the last.
    pub phases: Vec<Option<Factors<T>>>,
    /// Rotations of lanes.
    pub lanes: Vec<LaneTurn<T>>,
}

impl<T: Real> Turns<T> {
    /// The sweep for a group of these steps on a tile, and the factor that it leaves out, where `scale` has been
    /// left out before it.
    pub fn new(
        group: &Group,
        steps: &[Option<Step>],
        local: &[u32],
        mut scale: f64,
    ) -> (Self, f64) {
        let shift = T::LANES.trailing_zeros();
        let cells: Vec<u32> = group
            .cells
            .iter()
            .map(|c| position(c.0, local) - shift)
            .collect();
        let count = cells.len();
        let (mut tangents, mut exchanged) = (Vec::new(), 0);
        for (bit, (_, step)) in group.cells.iter().enumerate() {
            let mut tangent = 0.0;
            if let Some(Some(Step::Turn(turn, _))) = step.map(|i| &steps[i]) {
                tangent = turn.tangent;
                scale *= turn.cosine;
                exchanged |= usize::from(turn.exchanged) << bit;
            }
            tangents.push(T::of(tangent));
        }
        let factors = |slot: usize, exchanged: usize| {
            let terms =
                group
                    .phases
                    .iter()
                    .filter(|p| p.1 == slot)
                    .filter_map(|p| match &steps[p.0] {
                        Some(Step::Phase(mask, factor)) => Some((split(*mask, local).0, *factor)),
                        _ => None,
                    });
            factors(terms, &cells, exchanged)
        };
        let mut phases: Vec<Option<Factors<T>>> = (0..=count)
            .map(|slot| factors(slot, exchanged >> slot << slot))
            .collect();
        let mut lanes = Vec::new();
        for (i, &step) in group.lanes.iter().enumerate() {
            if let Some(Step::Turn(turn, q)) = &steps[step] {
                scale *= turn.cosine;
                let mask = 1usize << position(*q, local);
                let tangents = (0..T::LANES)
                    .map(|lane| {
                        T::of(if lane & mask == 0 {
                            -turn.tangent
                        } else {
                            turn.tangent
                        })
                    })
                    .collect();
                lanes.push(LaneTurn {
                    mask,
                    tangents,
                    exchanged: turn.exchanged,
                    then: factors(LANE_SLOT + i, 0),
                });
            }
        }
        if scale < LEAST_SCALE
            && let Some(first) = phases.first_mut()
        {
            let factors = first.get_or_insert_with(|| Factors::ones(count));
            factors.cells = (1 << (1 << count)) - 1;
            for value in &mut factors.values {
                *value = T::of((*value).into() * scale);
            }
            scale = 1.0;
        }
        let turns = Self {
            cells,
            exchanged,
            tangents,
            phases,
            lanes,
        };
        (turns, scale)
    }
}

/// The product of terms (bits of the tile's index, factor); `None` without any. Number i stands for cell
/// `i ^ exchanged`.
fn factors<T: Real>(
    terms: impl Iterator<Item = (usize, C64)>,
    cells: &[u32],
    exchanged: usize,
) -> Option<Factors<T>> {
    let shift = T::LANES.trailing_zeros();
    let mut all: SmallVec<[C64; 64]> = SmallVec::new();
    let mut changed = 0u32;
    for (mask, factor) in terms {
        all.resize(T::LANES << cells.len(), C64::ONE);
        let lanes = mask & (T::LANES - 1);
        let of_group = cells
            .iter()
            .enumerate()
            .fold(0, |m, (i, &cell)| m | (mask >> (cell + shift) & 1) << i);
        for (number, values) in all.chunks_mut(T::LANES).enumerate() {
            if (number ^ exchanged) & of_group == of_group {
                changed |= 1 << number;
                for (lane, value) in values.iter_mut().enumerate() {
                    if lane & lanes == lanes {
                        *value *= factor;
                    }
                }
            }
        }
    }
    if changed == 0 {
        return None;
    }
    let mut values = Vec::with_capacity(2 * all.len());
    for cell in all.chunks(T::LANES) {
        values.extend(cell.iter().map(|v| T::of(v.re)));
        values.extend(cell.iter().map(|v| T::of(v.im)));
    }
    Some(Factors {
        cells: changed,
        values,
    })
}

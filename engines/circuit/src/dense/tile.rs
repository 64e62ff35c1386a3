//! What a pass does to each of its tiles: steps in groups that share a sweep over the tile. A group has
//! up to three wires above the lanes, whose cells a sweep holds in registers while it rotates them and
//! multiplies them by phases; or it is one matrix on two wires; phases on other wires have sweeps of their own.

use super::fuse::Step;
use super::group::{self, Found, LARGE, SMALL};
use super::lanes::Real;
use super::matrix::{Combine, combine, narrow};
use super::phases::Phases;
use super::turns::Turns;
use crate::C64;

/// Whether a sweep over that many wires takes less time than looking for the best one: up to 32 KiB.
pub fn is_small<T>(wires: usize) -> bool {
    (2 * size_of::<T>()) << wires <= 1 << 15
}

/// One sweep over a tile.
#[derive(Debug)]
pub enum TileOp<T> {
    /// Rotations and phases between them.
    Turns(Turns<T>),
    /// Sums over cells and exchanged lanes, with a coefficient for each lane.
    Combine(Combine<T>),
    /// A matrix on any wires, one amplitude at a time.
    Many {
        /// Positions in the tile's index.
        on: Vec<u32>,
        /// Bits of the tile's index that must be 1.
        controls: usize,
        /// Wires outside that must be 1.
        outer: u64,
        /// Cells of the matrix.
        matrix: Vec<[T; 2]>,
    },
    /// Phases.
    Phases(Phases<T>),
}

/// The sweeps for these steps on tiles of these wires, and the factor that rotations leave to the end.
pub fn compile<T: Real>(steps: Vec<Step>, local: &[u32]) -> (Vec<TileOp<T>>, f64) {
    let lanes = local[..T::LANES.trailing_zeros() as usize]
        .iter()
        .fold(0u64, |m, w| m | (1 << w));
    let inside = local.iter().fold(0u64, |m, w| m | (1 << w));
    let cost = if is_small::<T>(local.len()) {
        &SMALL
    } else {
        &LARGE
    };
    let mut rest: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let (mut ops, mut scale, mut head) = (Vec::new(), 1.0, 0);
    loop {
        while rest.get(head).is_some_and(Option::is_none) {
            head += 1;
        }
        let Some(steps) = rest.get_mut(head..).filter(|s| !s.is_empty()) else {
            return (ops, scale);
        };
        match group::find(steps, lanes, inside, cost) {
            Found::Turns(taken) => {
                let (turns, left) = Turns::new(&taken, steps, local, scale);
                scale = left;
                ops.push(TileOp::Turns(turns));
                taken.steps().for_each(|i| steps[i] = None);
            }
            Found::Matrix(taken) => {
                let m = taken.product(steps);
                ops.push(TileOp::Combine(combine(&m, &taken.on, 0, local)));
                taken.steps.iter().for_each(|&i| steps[i] = None);
            }
            Found::Phases(taken) => {
                let terms: Vec<(u64, C64)> = taken
                    .iter()
                    .filter_map(|&i| match steps[i].take() {
                        Some(Step::Phase(mask, factor)) => Some((mask, factor)),
                        _ => None,
                    })
                    .collect();
                ops.push(TileOp::Phases(Phases::new(&terms, local)));
            }
            Found::Step(i) => ops.extend(steps[i].take().map(|step| alone(&step, local))),
        }
    }
}

/// A step that shares its sweep with no other.
fn alone<T: Real>(step: &Step, local: &[u32]) -> TileOp<T> {
    match step {
        Step::Turn(turn, q) => TileOp::Combine(combine(&turn.matrix(), &[*q], 0, local)),
        Step::Phase(mask, factor) => TileOp::Phases(Phases::new(&[(*mask, *factor)], local)),
        Step::One(m, q, controls) => TileOp::Combine(combine(m, &[*q], *controls, local)),
        Step::Two(m, on, controls) => TileOp::Combine(combine(&m[..], on, *controls, local)),
        Step::Many(matrix, on, controls) => {
            let (controls, outer) = split(*controls, local);
            TileOp::Many {
                on: on.iter().map(|&q| position(q, local)).collect(),
                controls,
                outer,
                matrix: narrow(matrix),
            }
        }
    }
}

/// Where a wire is in the tile's index.
pub fn position(wire: u32, local: &[u32]) -> u32 {
    local.iter().position(|&w| w == wire).unwrap_or_default() as u32
}

/// A mask of wires, split into bits of the tile's index and wires outside.
pub fn split(mask: u64, local: &[u32]) -> (usize, u64) {
    let mut inside = 0;
    let mut outside = mask;
    for (i, &wire) in local.iter().enumerate() {
        if mask >> wire & 1 == 1 {
            inside |= 1 << i;
            outside &= !(1 << wire);
        }
    }
    (inside, outside)
}

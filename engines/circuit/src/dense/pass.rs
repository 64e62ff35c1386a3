//! Which steps go into which pass: one sweep over memory does all that mixes only the wires of its tiles.

use std::collections::VecDeque;

use super::fuse::{Step, bits};
use super::lanes::Real;
use super::left::Left;
use super::tile::{TileOp, compile};

/// The lowest wires that every tile has, so that it is copied in runs of 2^LOW amplitudes.
const LOW: u32 = 6;
/// So many steps that have to wait are looked past.
const WAITING: usize = 4096;

/// Wires of a tile: half a mebibyte, a part of the second-level cache.
pub const fn tile_wires<T>() -> u32 {
    (1usize << 19).ilog2() - (2 * size_of::<T>()).ilog2()
}

/// One sweep over memory.
#[derive(Debug)]
pub struct Pass<T> {
    /// The wires of a tile, in order.
    pub local: Vec<u32>,
    /// The other wires that are not known to be 0.
    pub outer: Vec<u32>,
    /// What is done to a tile.
    pub ops: Vec<TileOp<T>>,
    /// What every amplitude is multiplied by at the end.
    pub scale: T,
}

/// Plans passes for steps on that many wires; `zero` are wires known to be 0, kept up to date.
pub fn plan<T: Real>(steps: Vec<Step>, wires: u32, zero: &mut u64) -> Vec<Pass<T>> {
    let mut rest = VecDeque::from(steps);
    let mut passes = Vec::new();
    while !rest.is_empty() {
        let (inside, now) = choose(&mut rest, wires, tile_wires::<T>().min(wires));
        let local: Vec<u32> = bits(inside).map(|w| w as u32).collect();
        let mixed = now.iter().fold(0, |m, step| m | step.mixes());
        let outer = (0..wires)
            .filter(|w| (inside | *zero) >> w & 1 == 0)
            .collect();
        let (ops, scale) = compile(now, &local);
        *zero &= !mixed;
        passes.push(Pass {
            local,
            outer,
            ops,
            scale: T::of(scale),
        });
    }
    passes
}

/// Takes as many steps as a tile of that size can hold; the tile's wires, and those steps.
fn choose(rest: &mut VecDeque<Step>, wires: u32, size: u32) -> (u64, Vec<Step>) {
    let all = (1u64 << wires) - 1;
    let mut inside: u64 = (1u64 << LOW.min(size)) - 1;
    let mut left = Left::default();
    let (mut now, mut later) = (Vec::new(), Vec::new());
    while let Some(step) = rest.pop_front() {
        let on = step.wires();
        if left.allows(on) && (on.mixes == 0 || (inside | on.mixes).count_ones() <= size) {
            inside |= on.mixes;
            now.push(step);
        } else {
            left.leave(on);
            later.push(step);
            if left.mixes_all(all) || later.len() == WAITING {
                break;
            }
        }
    }
    later
        .into_iter()
        .rev()
        .for_each(|step| rest.push_front(step));
    // The tile is filled up from below: longer runs.
    for wire in 0..wires {
        if inside.count_ones() < size {
            inside |= 1 << wire;
        }
    }
    (inside, now)
}

//! The state vector: amplitudes, where each qubit lies among them, and the passes over them.

#![allow(unsafe_code)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::buffer::Buffer;
use super::fuse::Fuser;
use super::kernel::{Copying, TileWork};
use super::lanes::Real;
use super::pass::{Pass, plan, tile_wires};
use super::tile::is_small;
use crate::ir::Gate;
use crate::watch::Watch;
use crate::{C64, Error};

/// The most qubits that any machine could hold.
const QUBITS: u32 = 48;

/// What passes have moved so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// How often the state (the part of it that is known not to be zero) was swept.
    pub passes: u64,
    /// Bytes that sweeps read and wrote.
    pub bytes: u64,
}

/// A state vector in single or double precision.
#[derive(Debug)]
pub struct State<T: Real> {
    qubits: u32,
    /// Wires of the memory: the qubits, and more to fill a vector.
    pub(super) wires: u32,
    pub(super) amplitudes: Buffer<T>,
    /// The wire of each qubit.
    pub(super) map: Vec<u32>,
    /// Wires that are 0 for sure.
    zero: u64,
    /// The global phase, in radians.
    pub(super) phase: f64,
    pub(super) threads: usize,
    traffic: Traffic,
}

/// Bytes of a state of that many qubits with that many threads.
#[must_use]
pub fn bytes_needed<T: Real>(qubits: u32, threads: usize) -> u128 {
    let wires = qubits.max(T::LANES.trailing_zeros());
    let amplitude = 2 * size_of::<T>() as u128;
    let state = amplitude
        .checked_shl(wires)
        .filter(|_| wires < 100)
        .unwrap_or(u128::MAX);
    let tiles = if wires > tile_wires::<T>() {
        (amplitude << tile_wires::<T>()) * threads as u128
    } else {
        0
    };
    state.saturating_add(tiles)
}

impl<T: Real> State<T> {
    /// All qubits 0.
    ///
    /// # Errors
    /// [`Error::Memory`] where it takes more than `available` bytes; nothing is allocated then.
    pub fn new(qubits: u32, threads: usize, available: u64) -> Result<Self, Error> {
        let needed = bytes_needed::<T>(qubits, threads);
        if needed > available.into() || qubits > QUBITS {
            return Err(Error::Memory {
                method: "dense",
                needed,
                available,
                advice: "fewer qubits, single precision, or another method".to_owned(),
            });
        }
        let wires = qubits.max(T::LANES.trailing_zeros());
        let mut amplitudes = Buffer::zeroed(2usize << wires)?;
        amplitudes.as_mut_slice()[0] = T::of(1.0);
        Ok(Self {
            qubits,
            wires,
            amplitudes,
            map: (0..qubits).collect(),
            zero: (1u64 << wires) - 1,
            phase: 0.0,
            threads: threads.clamp(1, 1024),
            traffic: Traffic::default(),
        })
    }

    /// How many qubits.
    #[must_use]
    pub fn qubits(&self) -> u32 {
        self.qubits
    }

    /// What passes have moved so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// A copy, for which the caller has the memory.
    ///
    /// # Errors
    /// [`Error::Memory`] where the kernel refuses it.
    pub fn copied(&self) -> Result<Self, Error> {
        Ok(Self {
            amplitudes: self.amplitudes.copied()?,
            map: self.map.clone(),
            ..*self
        })
    }

    /// Applies gates.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn apply(&mut self, gates: &[Gate], watch: &Watch) -> Result<(), Error> {
        self.apply_all(gates.iter(), watch)
    }

    /// The same for any sequence of gates.
    pub(crate) fn apply_all<'a>(
        &mut self,
        gates: impl Iterator<Item = &'a Gate>,
        watch: &Watch,
    ) -> Result<(), Error> {
        let mut fuser = Fuser::new(&mut self.map, is_small::<T>(self.wires as usize));
        for gate in gates {
            fuser.add(gate);
        }
        let (steps, phase) = fuser.finish();
        self.phase = (self.phase + phase) % std::f64::consts::TAU;
        let passes = plan(steps, self.wires, &mut self.zero);
        self.traffic.passes += passes.len() as u64;
        for pass in &passes {
            let swept = 1u64 << (pass.local.len() + pass.outer.len());
            self.traffic.bytes += 4 * size_of::<T>() as u64 * swept;
        }
        self.run(&passes, watch)
    }

    /// Wires that collapse or rotation may have set: from here on nothing is known to be 0.
    pub(super) fn forget_zeros(&mut self) {
        self.zero = 0;
    }

    fn run(&mut self, passes: &[Pass<T>], watch: &Watch) -> Result<(), Error> {
        let tiles: Vec<usize> = passes.iter().map(|p| 1usize << p.outer.len()).collect();
        let most = tiles.iter().copied().max().unwrap_or(0);
        let threads = self.threads.min(most).max(1);
        watch.expect(tiles.iter().sum::<usize>() as u64);
        let next: Vec<AtomicUsize> = passes.iter().map(|_| AtomicUsize::new(0)).collect();
        let barrier = Barrier::new(threads);
        let memory = &self.amplitudes;
        let whole = self.wires <= tile_wires::<T>();
        let scratch: Vec<Buffer<T>> = (0..if whole { 0 } else { threads })
            .map(|_| Buffer::zeroed(2 << tile_wires::<T>()))
            .collect::<Result<_, _>>()?;
        let work = |scratch: Option<&Buffer<T>>| {
            for ((pass, next), &tiles) in passes.iter().zip(&next).zip(&tiles) {
                let runs = Runs::new::<T>(pass);
                loop {
                    let tile = next.fetch_add(1, Ordering::Relaxed);
                    if tile >= tiles || watch.is_cancelled() {
                        break;
                    }
                    one_tile(memory, scratch, pass, &runs, tile);
                    watch.advance(1);
                }
                barrier.wait();
            }
        };
        std::thread::scope(|scope| {
            for i in 1..threads {
                let scratch = scratch.get(i);
                let work = &work;
                scope.spawn(move || work(scratch));
            }
            work(scratch.first());
        });
        watch.check()
    }

    /// The amplitude of a basis state, given by its bits.
    #[must_use]
    pub fn amplitude(&self, basis: u64) -> C64 {
        if basis >> self.qubits != 0 {
            return C64::ZERO;
        }
        self.raw(self.physical(basis)) * C64::from_polar(1.0, self.phase)
    }

    /// Where a basis state lies.
    pub(super) fn physical(&self, basis: u64) -> usize {
        self.map
            .iter()
            .enumerate()
            .fold(0, |x, (q, &wire)| x | ((basis >> q & 1) as usize) << wire)
    }

    pub(super) fn raw(&self, index: usize) -> C64 {
        let shift = T::LANES.trailing_zeros();
        let at = ((index >> shift) << (shift + 1)) + (index & (T::LANES - 1));
        let all = self.amplitudes.as_slice();
        C64::new(all[at].into(), all[at + T::LANES].into())
    }

    /// All amplitudes, by the number that the qubits are (qubit 0 the lowest bit).
    #[must_use]
    pub fn amplitudes(&self) -> Vec<C64> {
        let phase = C64::from_polar(1.0, self.phase);
        (0..1u64 << self.qubits)
            .map(|basis| self.raw(self.physical(basis)) * phase)
            .collect()
    }
}

/// Where a tile's runs of cells start, and how long they are.
struct Runs {
    /// Numbers in a run.
    length: usize,
    /// Where runs start, in numbers.
    starts: Vec<usize>,
}

impl Runs {
    fn new<T: Real>(pass: &Pass<T>) -> Self {
        let low = pass
            .local
            .iter()
            .enumerate()
            .take_while(|(i, w)| *i as u32 == **w)
            .count();
        let high = &pass.local[low..];
        let starts = (0..1usize << high.len())
            .map(|x| 2 * deposit(x, high))
            .collect();
        Self {
            length: 2 << low,
            starts,
        }
    }
}

/// The bits of x at these wires.
fn deposit(x: usize, wires: &[u32]) -> usize {
    wires
        .iter()
        .enumerate()
        .fold(0, |all, (i, &wire)| all | (x >> i & 1) << wire)
}

fn one_tile<T: Real>(
    memory: &Buffer<T>,
    scratch: Option<&Buffer<T>>,
    pass: &Pass<T>,
    runs: &Runs,
    tile: usize,
) {
    let outer = deposit(tile, &pass.outer);
    let start = memory.pointer();
    let copy = scratch.map(|_| Copying {
        start: start.wrapping_add(2 * outer),
        runs: &runs.starts,
        length: runs.length,
    });
    // Run i of the tile is within memory and scratch; other tiles have other outer bits, so no two threads
    // touch the same amplitudes in a pass, and passes are apart by a barrier. Without scratch the whole
    // state is one tile.
    T::dispatch(TileWork {
        pass,
        tile: scratch.map_or(start, Buffer::pointer),
        outer: outer as u64,
        copy,
    });
}

//! Blocks of shots: their random streams, threads, and what is summed up over them.

use super::program::Program;
use super::reference::{self, reference};
pub use super::step::SHOTS;
use super::step::{Frames, Row, WORDS};
use crate::rng::Rng;
use crate::{Error, Watch};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// How many shots.
    pub shots: u64,
    /// From which number the random streams start; each block has its own, so threads change nothing.
    pub seed: u64,
    /// Threads to use, at least 1.
    pub threads: usize,
    /// Bytes that may be used.
    pub available: u64,
    /// Whether outcomes are wanted, and not only detectors and observables; they need the reference.
    pub measurements: bool,
}

/// Up to 1024 shots. Row after row, 16 words each, a bit a shot; bits beyond the shots are 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// How many shots.
    pub shots: u64,
    /// A row for each measurement; empty if not asked for.
    pub measurements: Vec<Row>,
    /// A row for each detector: where it differs from the noiseless circuit.
    pub detectors: Vec<Row>,
    /// A row for each observable, likewise.
    pub observables: Vec<Row>,
}

impl Block {
    /// A shot's bit of a row.
    #[must_use]
    pub fn is_set(row: &Row, shot: u64) -> bool {
        row[shot as usize / 64] >> (shot % 64) & 1 == 1
    }
}

/// Bits of rows, shot by shot: as many whole bytes a shot as there are rows to eight, lowest bit first (stim's `b8`).
#[must_use]
pub fn by_shots(rows: &[&Row], shots: u64) -> Vec<u8> {
    let width = rows.len().div_ceil(8);
    let mut out = vec![0; width * shots as usize];
    if width == 0 {
        return out;
    }
    for (word, shots) in out.chunks_mut(64 * width).enumerate() {
        for (group, rows) in rows.chunks(64).enumerate() {
            let mut square = [0; 64];
            for (line, row) in square.iter_mut().zip(rows) {
                *line = row[word];
            }
            transpose(&mut square);
            for (shot, line) in shots.chunks_mut(width).zip(square) {
                let bytes = &mut shot[8 * group..];
                match bytes.first_chunk_mut() {
                    Some(whole) => *whole = line.to_le_bytes(),
                    None => bytes.copy_from_slice(&line.to_le_bytes()[..bytes.len()]),
                }
            }
        }
    }
    out
}

/// Bit j of line i becomes bit i of line j.
fn transpose(square: &mut [u64; 64]) {
    let (mut step, mut mask) = (32, u64::MAX >> 32);
    while step > 0 {
        for both in square.chunks_exact_mut(2 * step) {
            let (low, high) = both.split_at_mut(step);
            for (low, high) in low.iter_mut().zip(high) {
                let moved = (*low >> step ^ *high) & mask;
                *low ^= moved << step;
                *high ^= moved;
            }
        }
        step /= 2;
        mask ^= mask << step;
    }
}

/// Bytes at most for a run.
#[must_use]
pub fn bytes_needed(program: &Program, request: &Request) -> u128 {
    let row = (WORDS * 8) as u128;
    let rows = 2 * u128::from(program.qubits)
        + u128::from(program.measurements)
        + u128::from(program.detectors)
        + u128::from(program.observables);
    let frames = rows * row * (2 * request.threads.max(1)) as u128;
    if request.measurements {
        frames + reference::bytes_needed(program.qubits, program.measurements)
    } else {
        frames
    }
}

/// Samples a program; blocks come in order.
///
/// # Errors
/// [`Error::Memory`] before memory is taken, [`Error::Cancelled`], and what `sink` fails with.
pub fn sample(
    program: &Program,
    request: &Request,
    watch: &Watch,
    sink: &mut dyn FnMut(Block) -> Result<(), Error>,
) -> Result<(), Error> {
    let needed = bytes_needed(program, request);
    if needed > request.available.into() {
        return Err(Error::Memory {
            method: "stabilizer sampling",
            needed,
            available: request.available,
            advice: "fewer rounds, qubits or threads".to_owned(),
        });
    }
    let blocks = request.shots.div_ceil(SHOTS);
    watch.expect(blocks);
    let outcomes = if request.measurements {
        reference(program, watch)?
    } else {
        Vec::new()
    };
    let one = |block: u64| -> Result<Block, Error> {
        let frames = Frames::run(program, Rng::stream(request.seed, block), watch)?;
        watch.advance(1);
        let shots = (request.shots - block * SHOTS).min(SHOTS);
        let mut measurements = if request.measurements {
            frames.record
        } else {
            Vec::new()
        };
        for (row, &one) in measurements.iter_mut().zip(&outcomes) {
            if one {
                row.iter_mut().for_each(|w| *w = !*w);
            }
        }
        let mut block = Block {
            shots,
            measurements,
            detectors: frames.detectors,
            observables: frames.observables,
        };
        if shots < SHOTS {
            let mask: Row = std::array::from_fn(|i| {
                let left = shots.saturating_sub(64 * i as u64);
                if left < 64 { (1 << left) - 1 } else { u64::MAX }
            });
            let lists = [
                &mut block.measurements,
                &mut block.detectors,
                &mut block.observables,
            ];
            for row in lists.into_iter().flatten() {
                row.iter_mut().zip(&mask).for_each(|(w, m)| *w &= m);
            }
        }
        Ok(block)
    };
    let threads = (request.threads.max(1) as u64).min(blocks);
    if threads <= 1 {
        return (0..blocks).try_for_each(|block| sink(one(block)?));
    }
    std::thread::scope(|scope| {
        // A thread makes every so-manieth block, and waits with the next one until the last is taken.
        let made: Vec<_> = (0..threads)
            .map(|first| {
                let (give, take) = std::sync::mpsc::sync_channel(0);
                let one = &one;
                scope.spawn(move || {
                    let mut mine = (first..blocks).step_by(threads as usize);
                    // An error, or nobody who takes, is the end.
                    mine.all(|block| {
                        let done = one(block);
                        let failed = done.is_err();
                        give.send(done).is_ok() && !failed
                    });
                });
                take
            })
            .collect();
        made.iter()
            .cycle()
            .take(blocks as usize)
            .try_for_each(|take| {
                let lost = |_| Err(Error::Numeric("a thread"));
                sink(take.recv().unwrap_or_else(lost)?)
            })
    })
}

/// How often what came up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Shots.
    pub shots: u64,
    /// Shots in which each detector fired.
    pub detectors: Vec<u64>,
    /// Shots in which each observable was turned around.
    pub observables: Vec<u64>,
    /// Shots in which any detector fired.
    pub detected: u64,
    /// Shots in which each measurement was 1; empty if measurements are not asked for.
    pub ones: Vec<u64>,
}

impl Summary {
    /// Adds a block.
    pub fn add(&mut self, block: &Block) {
        self.shots += block.shots;
        let lists = [
            (&mut self.detectors, &block.detectors),
            (&mut self.observables, &block.observables),
            (&mut self.ones, &block.measurements),
        ];
        for (counts, rows) in lists {
            counts.resize(rows.len(), 0);
            for (count, row) in counts.iter_mut().zip(rows) {
                *count += row.iter().map(|w| u64::from(w.count_ones())).sum::<u64>();
            }
        }
        let mut any = [0; WORDS];
        for row in &block.detectors {
            any.iter_mut().zip(row).for_each(|(a, b)| *a |= b);
        }
        self.detected += any.iter().map(|w| u64::from(w.count_ones())).sum::<u64>();
    }
}

/// Samples and sums up.
///
/// # Errors
/// As [`sample`].
pub fn summary(program: &Program, request: &Request, watch: &Watch) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    sample(program, request, watch, &mut |block| {
        summary.add(&block);
        Ok(())
    })?;
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_by_shots_are_those_of_the_rows() {
        let mut rng = Rng::stream(3, 3);
        let rows: Vec<Row> = (0..203)
            .map(|_| std::array::from_fn(|_| rng.bits()))
            .collect();
        for (count, shots) in [(0, 5), (1, 1), (8, 64), (64, 65), (203, 1000), (130, 1024)] {
            let list: Vec<&Row> = rows.iter().take(count).collect();
            let bytes = by_shots(&list, shots);
            let width = count.div_ceil(8);
            assert_eq!(bytes.len(), width * shots as usize);
            for (i, byte) in bytes.iter().enumerate() {
                for bit in 0..8 {
                    let row = list.get(8 * (i % width) + bit);
                    let wanted = row.is_some_and(|row| Block::is_set(row, (i / width) as u64));
                    assert_eq!(byte >> bit & 1 == 1, wanted, "{count} rows: byte {i}");
                }
            }
        }
    }
}

//! A stream's chunks from one descriptor to another: regular files by several threads that each
//! read, seal or open, and write a part of their own; anything else a batch after the other.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use quantumos_resonance::stream::{CHUNK, StreamKey, TAG, sealed_len};

/// Chunks that a thread takes at a time: its two buffers stay in the processor's cache.
const BATCH: usize = 8;

/// Whether chunks are made or undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a message to chunks.
    Seal,
    /// From chunks to a message.
    Open,
}

/// Why it stopped.
#[derive(Debug)]
pub enum Failure {
    /// The input can't be read.
    Input(io::Error),
    /// The output can't be written.
    Output(io::Error),
    /// The chunks are refused.
    Stream(quantumos_resonance::Error),
}

impl Direction {
    /// Bytes of a chunk before and after.
    fn chunk(self) -> (usize, usize) {
        match self {
            Self::Seal => (CHUNK, CHUNK + TAG),
            Self::Open => (CHUNK + TAG, CHUNK),
        }
    }

    /// What `len` bytes come to.
    fn out_len(self, len: usize) -> usize {
        match self {
            Self::Seal => sealed_len(len as u64) as usize,
            Self::Open => len.saturating_sub(len.div_ceil(CHUNK + TAG).max(1) * TAG),
        }
    }

    fn run(
        self,
        key: &StreamKey,
        first: u64,
        last: bool,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<(), Failure> {
        match self {
            Self::Seal => key.seal_run(first, last, input, out),
            Self::Open => key.open_run(first, last, input, out),
        }
        .map_err(Failure::Stream)
    }
}

/// Where the chunks or the message lie in a file.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// From which byte on.
    pub at: u64,
    /// How many bytes.
    pub len: u64,
}

/// Converts a part of a file with `threads` threads to what begins at `out_at` of another one, or
/// only checks it when there is no other.
pub fn files(
    key: &StreamKey,
    direction: Direction,
    input: (&File, Part),
    output: Option<(&File, u64)>,
    threads: usize,
) -> Result<(), Failure> {
    let (file, part) = input;
    let (before, after) = direction.chunk();
    let step = (before * BATCH) as u64;
    // A stream has a chunk even when the message has no byte.
    let batches = part.len.div_ceil(step).max(1);
    let next = AtomicU64::new(0);
    let failed = Mutex::new(None);
    let work = || {
        let mut from = vec![0; before * BATCH];
        let mut to = vec![0; after * BATCH];
        loop {
            let batch = next.fetch_add(1, Ordering::Relaxed);
            if batch >= batches {
                return Ok(());
            }
            let start = batch * step;
            let from = &mut from[..(part.len - start).min(step) as usize];
            file.read_exact_at(from, part.at + start)
                .map_err(Failure::Input)?;
            let to = &mut to[..direction.out_len(from.len())];
            let last = batch + 1 == batches;
            direction.run(key, batch * BATCH as u64, last, from, to)?;
            if let Some((file, at)) = output {
                let place = at + batch * (after * BATCH) as u64;
                file.write_all_at(to, place).map_err(Failure::Output)?;
            }
        }
    };
    let work = || {
        if let Err(failure) = work() {
            // The others stop at their next batch.
            next.store(batches, Ordering::Relaxed);
            failed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(failure);
        }
    };
    if threads <= 1 {
        work();
    } else {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(Ok(()), Err)
}

/// Converts all that comes, in memory that does not depend on how much that is.
pub fn pipes(
    key: &StreamKey,
    direction: Direction,
    input: &mut dyn Read,
    output: &mut dyn Write,
    threads: usize,
) -> Result<(), Failure> {
    let (before, after) = direction.chunk();
    let share = before * BATCH;
    let whole = share * threads.max(1);
    let (mut now, mut later) = (vec![0; whole], vec![0; whole]);
    let mut out = vec![0; after * BATCH * threads.max(1)];
    let mut chunk = 0;
    let mut len = fill(input, &mut now)?;
    loop {
        // What comes after tells whether this is the end.
        let next = if len == whole {
            fill(input, &mut later)?
        } else {
            0
        };
        let last = next == 0;
        let from = &now[..len];
        let to = &mut out[..direction.out_len(len)];
        if threads <= 1 || len <= share {
            direction.run(key, chunk, last, from, to)?;
        } else {
            shared(key, direction, chunk, last, from, to)?;
        }
        output.write_all(to).map_err(Failure::Output)?;
        if last {
            return output.flush().map_err(Failure::Output);
        }
        chunk += (len / before) as u64;
        std::mem::swap(&mut now, &mut later);
        len = next;
    }
}

/// Several batches at once, a thread each.
fn shared(
    key: &StreamKey,
    direction: Direction,
    first: u64,
    last: bool,
    from: &[u8],
    to: &mut [u8],
) -> Result<(), Failure> {
    let (before, after) = direction.chunk();
    let count = from.len().div_ceil(before * BATCH);
    let parts = from
        .chunks(before * BATCH)
        .zip(to.chunks_mut(after * BATCH));
    thread::scope(|scope| {
        let started: Vec<_> = parts
            .enumerate()
            .map(|(i, (from, to))| {
                let chunk = first + (i * BATCH) as u64;
                let last = last && i + 1 == count;
                scope.spawn(move || direction.run(key, chunk, last, from, to))
            })
            .collect();
        started.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or(Err(Failure::Output(io::ErrorKind::Other.into())))
        })
    })
}

/// Reads until the buffer is full or nothing more comes.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Failure> {
    let mut len = 0;
    while len < buffer.len() {
        match input.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::Input(error)),
        }
    }
    Ok(len)
}

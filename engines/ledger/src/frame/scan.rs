//! Reads the append file from its start and checks each byte of it.

use super::{FILE, HEADER, Header, Log, MAGIC, MARK, chained, damage};
use crate::tile::Tile;
use crate::{Error, Hash, bundle, leaf_hash};
use std::io::{ErrorKind, Read};

/// An entry as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its number.
    pub index: u64,
    /// Where its frame begins in the file.
    pub frame: u64,
    /// Where its length and bytes begin in the file.
    pub offset: u64,
    /// The entry.
    pub bytes: &'a [u8],
}

/// What is behind the last whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// Nothing, or zeros: room for frames to come.
    Clean,
    /// A write that was interrupted before it was acknowledged.
    Torn {
        /// Where it begins.
        offset: u64,
        /// Why it isn't a frame.
        why: String,
    },
}

/// A log that was read.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// Its state after the last whole frame.
    pub log: Log,
    /// What is behind that.
    pub tail: Tail,
    /// Bytes of the file.
    pub length: u64,
}

struct Source<R> {
    reader: R,
    at: u64,
}

impl<R: Read> Source<R> {
    /// As many bytes as there are, at most those of `buffer`.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Error::Storage {
                        what: format!("{} at byte {}", super::NAME, self.at + filled as u64),
                        why: error.to_string(),
                    });
                }
            }
        }
        self.at += filled as u64;
        Ok(filled)
    }
}

/// A frame that doesn't hold.
struct Fault {
    offset: u64,
    records: Option<(u64, u64)>,
    why: String,
}

/// Reads a log. Each entry of a whole frame goes to `each`, each tile that becomes full to `full`.
/// `signed` is the size that a verified checkpoint speaks for: within it, nothing counts as an
/// interrupted write.
///
/// # Errors
/// [`Error::Damage`] with the place, [`Error::Storage`], and what `each` gives.
pub fn scan(
    reader: impl Read,
    signed: u64,
    mut each: impl FnMut(Entry<'_>) -> Result<(), Error>,
    mut full: impl FnMut(Tile, Vec<Hash>) -> Result<(), Error>,
) -> Result<Scanned, Error> {
    let mut source = Source { reader, at: 0 };
    let mut log = start(&mut source)?;
    let mut frame = Vec::new();
    loop {
        let offset = source.at;
        frame.resize(HEADER, 0);
        let got = source.fill(&mut frame)?;
        let checked = match Header::from_bytes(&frame[..got]) {
            Some(header) if header.first == log.size() => {
                frame.resize(HEADER + header.rest(), 0);
                let more = source.fill(&mut frame[HEADER..])?;
                frame.truncate(HEADER + more);
                check(&mut log, header, offset, &frame, &mut full)?
            }
            Some(header) => Err(Fault {
                offset,
                records: None,
                why: format!(
                    "a frame that begins with record {} where {} is due",
                    header.first,
                    log.size()
                ),
            }),
            None => Err(Fault {
                offset,
                records: None,
                why: "no frame".into(),
            }),
        };
        let Err(fault) = checked else {
            let count = Header::from_bytes(&frame).map_or(0, |header| u64::from(header.count));
            give(&frame, log.size() - count, offset, &mut each)?;
            continue;
        };
        frame.truncate(if got < HEADER { got } else { frame.len() });
        let tail = tail(&mut source, &log, signed, offset, &frame, fault)?;
        return Ok(Scanned {
            log,
            tail,
            length: source.at,
        });
    }
}

/// Gives the entries of a whole frame that begins at `offset` with record `first`.
fn give(
    frame: &[u8],
    first: u64,
    offset: u64,
    each: &mut impl FnMut(Entry<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let header = Header::from_bytes(frame);
    let (count, length) = header.map_or((0, 0), |h| (h.count, h.bytes as usize));
    let mut rest = frame.get(HEADER..HEADER + length).unwrap_or_default();
    for index in first..first + u64::from(count) {
        let at = offset + (HEADER + length - rest.len()) as u64;
        let Some(bytes) = bundle::take(&mut rest)? else {
            break;
        };
        each(Entry {
            index,
            frame: offset,
            offset: at,
            bytes,
        })?;
    }
    Ok(())
}

/// Reads whole frames from one that begins at `offset` with record `first`, until `each` gives `false`
/// or the records up to `end` were given. Checks each record's mark, not the chain: for a log that was
/// scanned before.
///
/// # Errors
/// [`Error::Damage`] with the place, [`Error::Storage`], and what `each` gives.
pub fn walk(
    reader: impl Read,
    offset: u64,
    first: u64,
    end: u64,
    mut each: impl FnMut(Entry<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut source = Source { reader, at: offset };
    let (mut next, mut more) = (first, true);
    let mut frame = Vec::new();
    while more && next < end {
        let offset = source.at;
        frame.resize(HEADER, 0);
        let got = source.fill(&mut frame)?;
        let header = Header::from_bytes(&frame[..got]).filter(|header| header.first == next);
        let Some(header) = header else {
            return Err(damage(offset, Some((next, next)), "no frame"));
        };
        frame.resize(HEADER + header.rest(), 0);
        if source.fill(&mut frame[HEADER..])? < header.rest() {
            let why = "the file ends within the frame";
            return Err(damage(offset, Some((next, next)), why));
        }
        let marks = frame[HEADER + header.bytes as usize..].to_vec();
        let mut marks = marks.chunks_exact(MARK);
        give(&frame, next, offset, &mut |entry| {
            if marks.next() != Some(&leaf_hash(entry.bytes)[..MARK]) {
                let why = "the record is not the one that was written";
                return Err(damage(entry.offset, Some((entry.index, entry.index)), why));
            }
            more = more && entry.index < end && each(entry)?;
            Ok(())
        })?;
        next += u64::from(header.count);
    }
    Ok(())
}

/// The log's name, from the file's header.
///
/// # Errors
/// [`Error::Damage`], [`Error::Storage`].
pub fn origin(reader: impl Read) -> Result<String, Error> {
    start(&mut Source { reader, at: 0 }).map(|log| log.origin)
}

fn start(source: &mut Source<impl Read>) -> Result<Log, Error> {
    let wrong = |offset, why: &str| damage(offset, None, why);
    let mut head = [0; FILE.len() + 1];
    let got = source.fill(&mut head)?;
    if got < head.len() {
        return Err(wrong(got as u64, "it ends within its header"));
    }
    if let Some(at) = (0..FILE.len()).find(|at| head[*at] != FILE[*at]) {
        return Err(wrong(at as u64, "not the header of a log"));
    }
    let mut origin = vec![0; usize::from(head[FILE.len()])];
    if source.fill(&mut origin)? < origin.len() {
        return Err(wrong(source.at, "it ends within its header"));
    }
    let origin = std::str::from_utf8(&origin)
        .map_err(|_| wrong(FILE.len() as u64, "its origin is no UTF-8"))?;
    let made = Log::new(origin);
    let (log, _) = made.map_err(|error| wrong(FILE.len() as u64, &error.to_string()))?;
    Ok(log)
}

/// Checks a frame and takes it into the log, or says what is wrong with it and leaves the log.
fn check(
    log: &mut Log,
    header: Header,
    offset: u64,
    frame: &[u8],
    full: &mut impl FnMut(Tile, Vec<Hash>) -> Result<(), Error>,
) -> Result<Result<(), Fault>, Error> {
    let (first, count) = (header.first, u64::from(header.count));
    let whole = Some((first, first + count - 1));
    let fault = |offset, records, why: &str| {
        Ok(Err(Fault {
            offset,
            records,
            why: why.into(),
        }))
    };
    if frame.len() < HEADER + header.rest() {
        return fault(offset, whole, "the file ends within the frame");
    }
    let (entries, rest) = frame[HEADER..].split_at(header.bytes as usize);
    let (marks, digest) = rest.split_at(rest.len() - 32);
    let mut leaves = Vec::with_capacity(header.count as usize);
    let mut left = entries;
    for (index, mark) in (first..).zip(marks.chunks_exact(MARK)) {
        let at = offset + (HEADER + entries.len() - left.len()) as u64;
        if left.is_empty() {
            return fault(offset, whole, "the frame holds fewer records than it says");
        }
        let one = Some((index, index));
        let Ok(Some(entry)) = bundle::take(&mut left) else {
            return fault(at, one, "the record's length leads out of its frame");
        };
        let leaf = leaf_hash(entry);
        if leaf[..MARK] != *mark {
            return fault(at, one, "the record is not the one that was written");
        }
        leaves.push(leaf);
    }
    if !left.is_empty() {
        let at = offset + (HEADER + entries.len() - left.len()) as u64;
        return fault(at, whole, "the frame holds more than its records");
    }
    let mut tree = log.tree.clone();
    let mut filled = Vec::new();
    for leaf in leaves {
        tree.push(leaf, |tile, hashes| filled.push((tile, hashes)));
    }
    let chain = chained(&log.digest, &frame[..HEADER], &tree.root());
    if chain != *digest {
        let why = "the frame's digest is not that of its records and of the frames before it";
        return fault(offset, whole, why);
    }
    for (tile, hashes) in filled {
        full(tile, hashes)?;
    }
    log.tree = tree;
    log.digest = chain;
    log.end = offset + frame.len() as u64;
    Ok(Ok(()))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) == 0
}

/// Whether the header of a frame is in these bytes whose records come behind so many.
fn follows(bytes: &[u8], size: u64) -> bool {
    let mut starts = bytes.windows(HEADER).filter(|b| b[..4] == MAGIC);
    starts.any(|b| Header::from_bytes(b).is_some_and(|header| header.first > size))
}

/// Judges what is behind the last whole frame: `frame` was read of it already.
fn tail(
    source: &mut Source<impl Read>,
    log: &Log,
    signed: u64,
    offset: u64,
    frame: &[u8],
    fault: Fault,
) -> Result<Tail, Error> {
    const PIECE: usize = 1 << 16;
    let size = log.size();
    let altered = |why: &str| {
        let records = fault.records.or(Some((size, size)));
        Err(damage(
            fault.offset,
            records,
            format!("{}; {why}", fault.why),
        ))
    };
    let mut window = frame.to_vec();
    let mut zeros = true;
    let mut later = false;
    // The frame itself may begin here; one that follows begins behind its magic.
    let mut from = window.len().min(1);
    loop {
        // Room that was set aside is zeros, megabytes of them, in which nothing begins.
        if !is_zero(&window) {
            zeros = false;
            later |= follows(&window[from..], size);
        }
        // What may be the begin of a header stays for the next piece.
        let keep = window
            .len()
            .saturating_sub(HEADER - 1)
            .max(from.min(window.len()));
        window.drain(..keep);
        from = 0;
        let before = window.len();
        window.resize(before + PIECE, 0);
        let got = source.fill(&mut window[before..])?;
        window.truncate(before + got);
        if got == 0 {
            break;
        }
    }
    if size < signed {
        return altered(&format!("a signed checkpoint speaks for {signed} records"));
    }
    if zeros {
        return Ok(Tail::Clean);
    }
    if later {
        return altered("whole frames follow");
    }
    Ok(Tail::Torn {
        offset,
        why: fault.why,
    })
}

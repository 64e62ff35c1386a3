//! The append file that a tree is built from. Each append is a frame: the entries as in a bundle, four
//! bytes of each one's leaf hash, and a digest that chains the frame before it and the tree's root
//! after it. So any change is found, most often down to the record, and a write that was
//! interrupted is told from one that was altered: no frame ever follows an interrupted one.

use crate::error::Damage;
use crate::tile::{Grower, Tile};
use crate::{Error, Hash, bundle, leaf_hash, sha256};

mod scan;
pub use scan::{Entry, Scanned, Tail, origin, scan, walk};

/// The file's name.
pub const NAME: &str = "log";
/// Entries of one frame, at most.
pub const ENTRIES_MAX: usize = 1 << 16;
/// Bytes of the entries of one frame, lengths included, at most.
pub const BYTES_MAX: usize = 16 << 20;
/// Bytes of an origin, at most.
pub const ORIGIN_MAX: usize = 255;

const FILE: &[u8; 24] = b"quantumos ledger log v1\n";
/// No UTF-8, so that no text in an entry looks like a frame.
const MAGIC: [u8; 4] = [0xf1, b'Q', b'L', b'F'];
const DOMAIN: &[u8] = b"quantumos ledger frame v1\0";
const HEADER: usize = 20;
const MARK: usize = 4;

/// A frame's header: magic, number of entries, bytes of the entries, number of the first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    count: u32,
    bytes: u32,
    first: u64,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..4].copy_from_slice(&MAGIC);
        out[4..8].copy_from_slice(&self.count.to_be_bytes());
        out[8..12].copy_from_slice(&self.bytes.to_be_bytes());
        out[12..].copy_from_slice(&self.first.to_be_bytes());
        out
    }

    /// `None` when there is no magic or the numbers can't be right.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let header = Self {
            count: u32::from_be_bytes(*count),
            bytes: u32::from_be_bytes(*length),
            first: u64::from_be_bytes(*rest.first_chunk()?),
        };
        let (count, bytes) = (header.count as usize, header.bytes as usize);
        let plausible = (1..=ENTRIES_MAX).contains(&count)
            && (2 * count..=BYTES_MAX).contains(&bytes)
            && header.first.checked_add(count as u64).is_some();
        (*magic == MAGIC && plausible).then_some(header)
    }

    /// Bytes after the header.
    fn rest(self) -> usize {
        self.bytes as usize + self.count as usize * MARK + 32
    }
}

/// The state of a log: where the next frame goes and what it has to hold.
#[derive(Debug, Clone)]
pub struct Log {
    origin: String,
    tree: Grower,
    digest: Hash,
    end: u64,
}

fn file_header(origin: &str) -> Result<Vec<u8>, Error> {
    let length = u8::try_from(origin.len()).unwrap_or(u8::MAX);
    let good = (1..=ORIGIN_MAX).contains(&origin.len()) && !origin.contains(char::is_control);
    if !good {
        let why = "1 to 255 bytes without control characters";
        return Err(Error::malformed("origin", why));
    }
    Ok([FILE, &[length][..], origin.as_bytes()].concat())
}

impl Log {
    /// An empty log and the bytes that its file begins with.
    ///
    /// # Errors
    /// [`Error::Malformed`] for the origin.
    pub fn new(origin: &str) -> Result<(Self, Vec<u8>), Error> {
        let header = file_header(origin)?;
        let log = Self {
            origin: origin.into(),
            tree: Grower::default(),
            digest: sha256(&[DOMAIN, &header]),
            end: header.len() as u64,
        };
        Ok((log, header))
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The tree, for its partial tiles.
    #[must_use]
    pub fn tree(&self) -> &Grower {
        &self.tree
    }

    /// Where the next frame goes in the file.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Adds entries and appends their frame to `out`; it belongs at the [`Log::end`] of before. The
    /// tiles that become full go to `full`.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Malformed`] for no entry; the log stays as it was then.
    pub fn append(
        &mut self,
        entries: &[impl AsRef<[u8]>],
        out: &mut Vec<u8>,
        mut full: impl FnMut(Tile, Vec<Hash>),
    ) -> Result<(), Error> {
        let bytes: usize = entries.iter().map(|entry| 2 + entry.as_ref().len()).sum();
        let longest = entries.iter().map(|entry| entry.as_ref().len()).max();
        let within = |what, got: usize, limit: usize| {
            let (got, limit) = (got as u64, limit as u64);
            match got <= limit {
                true => Ok(()),
                false => Err(Error::Limit { what, limit, got }),
            }
        };
        let longest = longest.ok_or_else(|| Error::malformed("append", "no entry"))?;
        within("bytes of an entry", longest, bundle::ENTRY_MAX)?;
        within("entries of an append", entries.len(), ENTRIES_MAX)?;
        within("bytes of an append", bytes, BYTES_MAX)?;
        let header = Header {
            // Both are within limits far below 2^32.
            count: entries.len() as u32,
            bytes: bytes as u32,
            first: self.size(),
        };
        let header_bytes = header.to_bytes();
        out.reserve(HEADER + header.rest());
        out.extend_from_slice(&header_bytes);
        let mut marks = Vec::with_capacity(entries.len() * MARK);
        for entry in entries {
            bundle::push(out, entry.as_ref())?;
            let leaf = leaf_hash(entry.as_ref());
            marks.extend_from_slice(&leaf[..MARK]);
            self.tree.push(leaf, &mut full);
        }
        out.extend_from_slice(&marks);
        self.digest = chained(&self.digest, &header_bytes, &self.tree.root());
        out.extend_from_slice(&self.digest);
        self.end += (HEADER + header.rest()) as u64;
        Ok(())
    }
}

fn chained(before: &Hash, header: &[u8], root: &Hash) -> Hash {
    sha256(&[DOMAIN, before, header, root])
}

fn damage(offset: u64, records: Option<(u64, u64)>, why: impl Into<String>) -> Error {
    Error::Damage(Damage {
        file: NAME.into(),
        offset: Some(offset),
        records,
        why: why.into(),
    })
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;

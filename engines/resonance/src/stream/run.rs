//! Runs of neighbouring chunks from one buffer to another, for callers who read and write many at
//! a time or share a file among threads.

use super::{CHUNK, StreamKey, TAG, sealed_len};
use crate::Error;

impl StreamKey {
    /// Seals the chunks from number `first` on into `out`, which has to have [`sealed_len`] bytes for
    /// them. All are whole, but for the last one if `last` says that the message ends here.
    ///
    /// # Errors
    /// As [`StreamKey::seal`]; [`Error::Malformed`] for a buffer of another length.
    pub fn seal_run(
        &self,
        first: u64,
        last: bool,
        message: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error> {
        if out.len() as u64 != sealed_len(message.len() as u64) {
            return Err(WRONG_BUFFER);
        }
        if message.is_empty() {
            return self.seal_into(first, last, message, out);
        }
        let end = message.len().div_ceil(CHUNK) as u64 - 1;
        let pairs = message.chunks(CHUNK).zip(out.chunks_mut(CHUNK + TAG));
        for (i, (plain, sealed)) in (0..).zip(pairs) {
            self.seal_into(first + i, last && i == end, plain, sealed)?;
        }
        Ok(())
    }

    /// Opens the chunks from number `first` on into `out`, which has to have as many bytes less the
    /// tags. When it fails, `out` holds nothing but whole chunks that are authentic.
    ///
    /// # Errors
    /// As [`StreamKey::open`]; [`Error::Malformed`] for a buffer of another length.
    pub fn open_run(
        &self,
        first: u64,
        last: bool,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error> {
        let count = sealed.len().div_ceil(CHUNK + TAG).max(1);
        if out.len() != sealed.len().saturating_sub(count * TAG) {
            return Err(WRONG_BUFFER);
        }
        let mut rest = out;
        let mut chunks = sealed.chunks(CHUNK + TAG).peekable();
        let mut number = first;
        if chunks.peek().is_none() {
            return self.open(first, last, sealed, rest);
        }
        while let Some(chunk) = chunks.next() {
            let ends = last && chunks.peek().is_none();
            let len = chunk.len().saturating_sub(TAG).min(rest.len());
            let (plain, later) = rest.split_at_mut(len);
            self.open(number, ends, chunk, plain)?;
            rest = later;
            number += 1;
        }
        Ok(())
    }
}

const WRONG_BUFFER: Error = Error::Malformed {
    what: "buffer for chunks",
    why: "has another length than the chunks",
};

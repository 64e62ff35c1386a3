//! Decryption of pieces as they come.

use super::{CHUNK, Cost, Header, Secret, StreamKey, TAG, WHAT};
use crate::Error;

/// Opens a stream piece by piece, header included. Holds one chunk. What it gives out is authentic;
/// that nothing is missing is known only when [`Opener::finish`] has said so.
#[derive(Debug)]
pub struct Opener {
    state: State,
    held: Vec<u8>,
    chunk: u64,
    failed: Option<Error>,
}

#[derive(Debug)]
enum State {
    Header,
    Locked(Box<Header>),
    Open(StreamKey),
}

impl Default for Opener {
    fn default() -> Self {
        Self::new()
    }
}

impl Opener {
    /// Waits for a header.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Header,
            held: Vec::with_capacity(CHUNK + TAG),
            chunk: 0,
            failed: None,
        }
    }

    /// Starts behind a header that was read otherwise.
    #[must_use]
    pub fn with_key(key: StreamKey) -> Self {
        Self {
            state: State::Open(key),
            ..Self::new()
        }
    }

    /// The header, once it is there and until [`Opener::unlock`].
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        match &self.state {
            State::Locked(header) => Some(header),
            _ => None,
        }
    }

    /// Gives the secret, which the header tells which it has to be.
    ///
    /// # Errors
    /// As [`Header::open`]; [`Error::Truncated`] while the header isn't there.
    pub fn unlock(&mut self, secret: Secret<'_>, context: &[u8], limit: Cost) -> Result<(), Error> {
        match &self.state {
            State::Header => Err(self.cut()),
            State::Open(_) => Ok(()),
            State::Locked(header) => {
                self.state = State::Open(header.open(secret, context, limit)?);
                Ok(())
            }
        }
    }

    /// Takes the next piece and says how many of its bytes it took: all of them, except that it
    /// stops behind the header until [`Opener::unlock`]. Appends the message so far to `out`.
    /// After an error it gives the same error again.
    ///
    /// # Errors
    /// As [`Header::from_bytes`] and [`StreamKey::open`].
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let taken = match self.state {
            State::Header => self.take_header(piece),
            State::Locked(_) => Ok(0),
            State::Open(_) => self.take_chunks(piece, out),
        };
        taken.inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// Ends the stream and appends the last of the message to `out`.
    ///
    /// # Errors
    /// As [`Opener::push`]; [`Error::Truncated`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.state {
            State::Open(_) => self.emit(true, out),
            _ => Err(self.cut()),
        }
    }

    fn cut(&self) -> Error {
        Error::Truncated {
            what: WHAT,
            after: self.held.len() as u64,
        }
    }

    fn take_header(&mut self, piece: &[u8]) -> Result<usize, Error> {
        let mut taken = 0;
        loop {
            let want = Header::len(&self.held)?.unwrap_or(self.held.len() + 1);
            if self.held.len() >= want {
                let header = Header::from_bytes(&self.held)?;
                self.held.clear();
                self.state = State::Locked(Box::new(header));
                return Ok(taken);
            }
            let more = (want - self.held.len()).min(piece.len() - taken);
            if more == 0 {
                return Ok(taken);
            }
            self.held.extend_from_slice(&piece[taken..taken + more]);
            taken += more;
        }
    }

    fn take_chunks(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut rest = piece;
        while !rest.is_empty() {
            if self.held.len() == CHUNK + TAG {
                self.emit(false, out)?;
            }
            let (now, later) = rest.split_at(rest.len().min(CHUNK + TAG - self.held.len()));
            self.held.extend_from_slice(now);
            rest = later;
        }
        Ok(piece.len())
    }

    fn emit(&mut self, last: bool, out: &mut Vec<u8>) -> Result<(), Error> {
        let State::Open(key) = &self.state else {
            return Err(self.cut());
        };
        let start = out.len();
        out.resize(start + self.held.len().saturating_sub(TAG), 0);
        if let Err(error) = key.open(self.chunk, last, &self.held, &mut out[start..]) {
            out.truncate(start);
            return Err(error);
        }
        self.held.clear();
        self.chunk += 1;
        Ok(())
    }
}

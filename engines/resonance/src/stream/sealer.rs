//! Encryption of pieces as they come.

use super::{CHUNK, Cost, Header, Secret, Source, StreamKey, Suite, TAG};
use crate::Error;
use crate::derive::random;
use zeroize::Zeroizing;

/// How to seal a stream.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// The cipher.
    pub suite: Suite,
    /// Names a stored key in the header, at most [`REFERENCE_MAX`](super::REFERENCE_MAX) bytes; unused for a passphrase.
    pub reference: &'a [u8],
    /// What carries the key, if it is a data key for this stream only; unused for a passphrase.
    pub capsule: Option<&'a [u8]>,
    /// The cost for a passphrase; unused for a key.
    pub cost: Cost,
    /// What the stream belongs to, at most [`CONTEXT_MAX`](super::CONTEXT_MAX) bytes. Not written;
    /// the same has to be given to open it.
    pub context: &'a [u8],
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            suite: Suite::fastest(),
            reference: b"",
            capsule: None,
            cost: Cost::default(),
            context: b"",
        }
    }
}

/// Seals a stream piece by piece. Holds one chunk.
#[derive(Debug)]
pub struct Sealer {
    header: Header,
    key: StreamKey,
    held: Zeroizing<Vec<u8>>,
    chunk: u64,
}

impl Sealer {
    /// Starts a stream. Write [`Sealer::header`] first.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::TooShort`], [`Error::TooCostly`], [`Error::Library`].
    pub fn new(secret: Secret<'_>, options: &Options<'_>) -> Result<Self, Error> {
        let mut salt = [0u8; 32];
        random(&mut salt)?;
        Self::with_salt(secret, options, salt)
    }

    pub(super) fn with_salt(
        secret: Secret<'_>,
        options: &Options<'_>,
        salt: [u8; 32],
    ) -> Result<Self, Error> {
        let source = match secret {
            Secret::Key(_) => match options.capsule {
                None => Source::Key(options.reference.to_vec()),
                Some(capsule) => Source::Carried {
                    reference: options.reference.to_vec(),
                    capsule: capsule.to_vec(),
                },
            },
            Secret::Passphrase(_) => Source::Passphrase(options.cost),
        };
        let (header, key) = Header::create(options.suite, source, salt, secret, options.context)?;
        Ok(Self {
            header,
            key,
            held: Zeroizing::new(Vec::with_capacity(CHUNK)),
            chunk: 0,
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Gives up the pieces and keeps the key, for callers who number the chunks themselves.
    #[must_use]
    pub fn into_key(self) -> StreamKey {
        self.key
    }

    /// Takes the next piece of the message and appends what is sealed by now to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Library`].
    pub fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        while !piece.is_empty() {
            // A full chunk is held back until more follows: it might be the last.
            if self.held.len() == CHUNK {
                self.emit(false, out)?;
            }
            let (now, later) = piece.split_at(piece.len().min(CHUNK - self.held.len()));
            self.held.extend_from_slice(now);
            piece = later;
        }
        Ok(())
    }

    /// Ends the message and appends the rest to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Library`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.emit(true, out)
    }

    fn emit(&mut self, last: bool, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        out.resize(start + self.held.len() + TAG, 0);
        let sealed = &mut out[start..];
        if let Err(error) = self.key.seal_into(self.chunk, last, &self.held, sealed) {
            out.truncate(start);
            return Err(error);
        }
        self.held.clear();
        self.chunk += 1;
        Ok(())
    }
}

//! What is signed or verified: a file or standard input.
//! Small messages are read here; large files are handed to the service as a descriptor, and a
//! large standard input is spooled to memory first, so that a slow writer holds up nobody else.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::Path,
};

use crate::error::Error;

/// Largest message that travels in the call itself (the service's own limit).
const INLINE: u64 = 1 << 20;
/// Largest message at all (the service's own limit).
const LARGEST: u64 = 64 << 20;

/// A message to sign or verify.
#[derive(Debug)]
pub enum Message {
    /// In memory.
    Bytes(Vec<u8>),
    /// To be read by the service.
    Descriptor(File),
}

impl Message {
    /// The file at `path`, or standard input for none and `-`.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        match named(path) {
            Some(path) => {
                let file = File::open(path).map_err(|source| Error::file(path, source))?;
                let metadata = file
                    .metadata()
                    .map_err(|source| Error::file(path, source))?;
                if metadata.is_file() && metadata.len() > INLINE {
                    check(path, metadata.len())?;
                    return Ok(Self::Descriptor(file));
                }
                Self::spool(path, file)
            }
            None => Self::spool(Path::new("standard input"), io::stdin().lock()),
        }
    }

    /// What is in memory already.
    pub fn of(bytes: &[u8]) -> Result<Self, Error> {
        Self::spool(Path::new("message"), bytes)
    }

    fn spool(name: &Path, source: impl Read) -> Result<Self, Error> {
        let bytes = take(name, source)?;
        if bytes.len() as u64 <= INLINE {
            return Ok(Self::Bytes(bytes));
        }
        let memory = nix::sys::memfd::memfd_create(
            c"quantumctl-message",
            nix::sys::memfd::MFdFlags::MFD_CLOEXEC,
        )
        .map_err(|errno| Error::file(name, errno.into()))?;
        let mut file = File::from(memory);
        file.write_all(&bytes)
            .and_then(|()| file.rewind())
            .map_err(|source| Error::file(name, source))?;
        Ok(Self::Descriptor(file))
    }
}

/// The path, unless it means standard input.
fn named(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| *path != Path::new("-"))
}

/// Everything in `source`, at most [`LARGEST`].
fn take(name: &Path, source: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    source
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::file(name, source))?;
    check(name, bytes.len() as u64)?;
    Ok(bytes)
}

fn check(name: &Path, length: u64) -> Result<(), Error> {
    if length > LARGEST {
        return Err(Error::Usage(format!(
            "{}: more than 64 MiB, the most that a signature may be over",
            name.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_decides_how_a_message_travels() {
        for (length, inline) in [(0, true), (1 << 20, true), ((1 << 20) + 1, false)] {
            let data = vec![7u8; length];
            match Message::spool(Path::new("m"), data.as_slice()).unwrap() {
                Message::Bytes(bytes) => assert!(inline && bytes == data),
                Message::Descriptor(mut file) => {
                    let mut copy = Vec::new();
                    file.read_to_end(&mut copy).unwrap();
                    assert!(!inline && copy == data);
                }
            }
        }
    }

    #[test]
    fn too_large_is_refused() {
        let endless = io::repeat(0);
        assert_eq!(
            Message::spool(Path::new("m"), endless)
                .unwrap_err()
                .to_string(),
            "m: more than 64 MiB, the most that a signature may be over"
        );
        assert!(matches!(
            Message::open(Some(Path::new("/nonexistent/file"))),
            Err(Error::File { .. })
        ));
    }
}

//! What passes over the virtio port between a test and the agent inside the guest: frames, many
//! commands at once. A side that joins in the middle, as after a reboot, skips to the next sync
//! frame, whose 33 bytes occur nowhere else.

use std::io::{self, Read, Write};

/// The port's name in the guest, below /dev/virtio-ports.
pub const PORT: &str = "org.quantumos.agent";

/// Bound on one frame's payload; more is a broken peer.
pub const LONGEST: usize = 1 << 20;

/// The id of frames that belong to no command.
pub const NO_COMMAND: u32 = u32::MAX;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// To the agent: are you there? The payload is [`MAGIC`] and eight bytes to say back.
    Sync = 1,
    /// From the agent: the payload of the sync, then the boot id.
    Here = 2,
    /// To the agent: start this command; its arguments end in NUL each.
    Start = 3,
    /// To the agent: more of the command's standard input; empty ends it.
    Input = 4,
    /// To the agent: kill the command's process group.
    Kill = 5,
    /// From the agent: the command's standard output.
    Output = 6,
    /// From the agent: the command's standard error.
    Error = 7,
    /// From the agent: the command has ended; a little-endian i32, 128 + n for signal n.
    Exit = 8,
    /// From the agent: the command could not be started, and why.
    Refused = 9,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        use Kind::{Error, Exit, Here, Input, Kill, Output, Refused, Start, Sync};
        [Sync, Here, Start, Input, Kill, Output, Error, Exit, Refused]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// What a sync begins with.
pub const MAGIC: [u8; 16] = *b"QuantumOS agent\n";

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which command it belongs to.
    pub id: u32,
    /// What it says.
    pub kind: Kind,
    /// The rest.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame.
    pub fn new(id: u32, kind: Kind, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            id,
            kind,
            payload: payload.into(),
        }
    }

    /// Writes it whole.
    ///
    /// # Errors
    /// Those of the writer; a payload over [`LONGEST`] is `InvalidInput`.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.payload.len())
            .ok()
            .filter(|length| *length as usize <= LONGEST)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "frame too long"))?;
        let mut bytes = Vec::with_capacity(9 + self.payload.len());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.push(self.kind as u8);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.payload);
        to.write_all(&bytes)?;
        to.flush()
    }

    /// Reads the next one.
    ///
    /// # Errors
    /// Those of the reader; `InvalidData` when the bytes are no frame.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 9];
        from.read_exact(&mut head)?;
        let [i0, i1, i2, i3, kind, l0, l1, l2, l3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        if length > LONGEST {
            return Err(bad("frame too long"));
        }
        let kind = Kind::of(kind).ok_or_else(|| bad("frame of no known kind"))?;
        let mut payload = vec![0; length];
        from.read_exact(&mut payload)?;
        Ok(Self::new(
            u32::from_le_bytes([i0, i1, i2, i3]),
            kind,
            payload,
        ))
    }

    /// Skips whatever comes until a sync or its answer, and reads that.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read_sync(from: &mut impl Read) -> io::Result<Self> {
        let mut window = Vec::new();
        let mut byte = [0];
        loop {
            from.read_exact(&mut byte)?;
            window.push(byte[0]);
            if window.ends_with(&MAGIC) && window.len() >= MAGIC.len() + 9 {
                let mut whole = &window[window.len() - MAGIC.len() - 9..];
                let mut rest = io::Read::chain(&mut whole, &mut *from);
                if let Ok(frame) = Self::read(&mut rest) {
                    return Ok(frame);
                }
                window.clear();
            }
            if window.len() > 4096 {
                window.drain(..2048);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_written() {
        for payload in [vec![], vec![0; 1], vec![7; 70_000], MAGIC.to_vec()] {
            let frame = Frame::new(9, Kind::Output, payload);
            let mut bytes = Vec::new();
            frame.write(&mut bytes).unwrap();
            assert_eq!(Frame::read(&mut bytes.as_slice()).unwrap(), frame);
        }
    }

    #[test]
    fn a_sync_is_found_in_the_middle_of_anything() {
        let mut payload = MAGIC.to_vec();
        payload.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let sync = Frame::new(NO_COMMAND, Kind::Sync, payload);
        for noise in [0, 1, 8, 33, 5000, 9000] {
            let mut bytes = vec![0xff; noise];
            sync.write(&mut bytes).unwrap();
            Frame::new(1, Kind::Input, *b"next")
                .write(&mut bytes)
                .unwrap();
            let mut from = bytes.as_slice();
            assert_eq!(
                Frame::read_sync(&mut from).unwrap(),
                sync,
                "{noise} bytes of noise"
            );
            assert_eq!(Frame::read(&mut from).unwrap().payload, b"next");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut long = vec![0, 0, 0, 0, Kind::Input as u8];
        long.extend_from_slice(&(LONGEST as u32 + 1).to_le_bytes());
        for bytes in [long, vec![0, 0, 0, 0, 77, 0, 0, 0, 0], vec![1, 2]] {
            assert!(Frame::read(&mut bytes.as_slice()).is_err(), "{bytes:?}");
        }
    }
}

//! Bytes to frames and back, piece by piece. FSE and PME carry a byte as the shift from one frame's
//! wavelength or phase to the next one's, AME as intensity; QIML carries three bytes a frame, one
//! in each.
//!
//! A header comes before the frames, big-endian: `QWLF` (4), format version 1 (1), modulation (1), length of
//! the payload (8), CRC-32 (4). Each frame's check sum is seeded with the header's.

use crate::Error;
use crate::frame::{FRAME_LEN, Frame, Levels, checksum};
use std::str::FromStr;

/// Bytes of a header.
pub const HEADER_LEN: usize = 18;

/// The longest payload in bytes, so that frames can be numbered.
pub const PAYLOAD_MAX: u64 = u32::MAX as u64;

const MAGIC: &[u8; 4] = b"QWLF";
const FORMAT: u8 = 1;

/// How bytes become light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Frequency shift: a byte is a shift of wavelength.
    Fse,
    /// Amplitude modulation: a byte is an intensity.
    Ame,
    /// Phase modulation: a byte is a shift of phase.
    Pme,
    /// All three at once: three bytes a frame.
    Qiml,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fse, Self::Ame, Self::Pme, Self::Qiml];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fse => "FSE",
            Self::Ame => "AME",
            Self::Pme => "PME",
            Self::Qiml => "QIML",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Fse => 1,
            Self::Ame => 2,
            Self::Pme => 3,
            Self::Qiml => 4,
        }
    }

    /// Bytes in a frame.
    #[must_use]
    pub fn width(self) -> usize {
        if self == Self::Qiml { 3 } else { 1 }
    }

    fn frames(self, len: u64) -> u64 {
        len.div_ceil(self.width() as u64)
    }
}

impl FromStr for Method {
    type Err = Error;

    /// Reads a name in any case.
    fn from_str(name: &str) -> Result<Self, Error> {
        let mut all = Self::ALL.into_iter();
        all.find(|m| m.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let shown: String = name.chars().take(32).collect();
                Error::UnknownMethod(format!("{shown:?}"))
            })
    }
}

/// What a payload of `len` bytes comes to, header included.
#[must_use]
pub fn encoded_len(method: Method, len: u64) -> u64 {
    HEADER_LEN as u64 + method.frames(len) * FRAME_LEN as u64
}

/// Modulates a payload piece by piece. Holds at most two bytes of it.
#[derive(Debug, Clone)]
pub struct Encoder {
    method: Method,
    seed: u32,
    len: u64,
    taken: u64,
    held: Vec<u8>,
    number: u32,
    levels: Levels,
}

impl Encoder {
    /// Starts a payload of `len` bytes and appends the header to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`].
    pub fn new(method: Method, len: u64, out: &mut Vec<u8>) -> Result<Self, Error> {
        check_len(len)?;
        let start = out.len();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[FORMAT, method.number()]);
        out.extend_from_slice(&len.to_be_bytes());
        let seed = checksum(0, &out[start..]);
        out.extend_from_slice(&seed.to_be_bytes());
        Ok(Self {
            method,
            seed,
            len,
            taken: 0,
            held: Vec::with_capacity(3),
            number: 0,
            levels: Levels::default(),
        })
    }

    /// Takes the next piece and hands each whole frame to `each`.
    ///
    /// # Errors
    /// [`Error::Length`] once there are more bytes than stated.
    pub fn push_frames(&mut self, piece: &[u8], mut each: impl FnMut(&Frame)) -> Result<(), Error> {
        let taken = self.taken + piece.len() as u64;
        if taken > self.len {
            return Err(Error::Length {
                want: self.len,
                got: taken,
            });
        }
        self.taken = taken;
        for byte in piece {
            self.held.push(*byte);
            if self.held.len() == self.method.width() {
                each(&self.modulate());
            }
        }
        // The last frame of three may have bytes to spare, which are zeros.
        if self.taken == self.len && !self.held.is_empty() {
            self.held.resize(self.method.width(), 0);
            each(&self.modulate());
        }
        Ok(())
    }

    /// Takes the next piece and appends its frames to `out`.
    ///
    /// # Errors
    /// [`Error::Length`] once there are more bytes than stated.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let seed = self.seed;
        self.push_frames(piece, |frame| out.extend_from_slice(&frame.to_bytes(seed)))
    }

    /// Ends the payload.
    ///
    /// # Errors
    /// [`Error::Length`] when there were fewer bytes than stated.
    pub fn finish(self) -> Result<(), Error> {
        if self.taken < self.len {
            return Err(Error::Length {
                want: self.len,
                got: self.taken,
            });
        }
        Ok(())
    }

    fn modulate(&mut self) -> Frame {
        let levels = &mut self.levels;
        match (self.method, self.held.as_slice()) {
            (Method::Fse, [b]) => levels.wavelength = levels.wavelength.wrapping_add(*b),
            (Method::Ame, [b]) => levels.intensity = *b,
            (Method::Pme, [b]) => levels.phase = levels.phase.wrapping_add(*b),
            (_, [w, i, p]) => {
                levels.wavelength = levels.wavelength.wrapping_add(*w);
                levels.intensity = *i;
                levels.phase = levels.phase.wrapping_add(*p);
            }
            // Called with as many bytes as a frame takes.
            _ => {}
        }
        let frame = Frame::new(self.number, self.levels);
        self.held.clear();
        self.number = self.number.wrapping_add(1);
        frame
    }
}

/// Demodulates frames piece by piece. Holds less than a frame.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    state: Option<State>,
    held: Vec<u8>,
    seen: u64,
    failed: Option<Error>,
}

#[derive(Debug, Clone)]
struct State {
    method: Method,
    seed: u32,
    len: u64,
    given: u64,
    frame: u64,
    levels: Levels,
}

impl Decoder {
    /// Waits for a header.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Modulation and length of the payload, once the header was there.
    #[must_use]
    pub fn header(&self) -> Option<(Method, u64)> {
        self.state.as_ref().map(|state| (state.method, state.len))
    }

    /// Takes the next piece, appends what it carries to `out` and hands each frame to `each`. After
    /// an error it gives the same error again.
    ///
    /// # Errors
    /// [`Error`] but [`Error::Length`].
    pub fn push_frames(
        &mut self,
        piece: &[u8],
        out: &mut Vec<u8>,
        each: impl FnMut(&Frame),
    ) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.take(piece, out, each)
            .inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// Takes the next piece and appends what it carries to `out`.
    ///
    /// # Errors
    /// As [`Decoder::push_frames`].
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.push_frames(piece, out, |_| {})
    }

    /// Ends the frames.
    ///
    /// # Errors
    /// [`Error::Truncated`], or the error that came before.
    pub fn finish(self) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let want = self.state.as_ref().map_or(HEADER_LEN as u64, |state| {
            encoded_len(state.method, state.len)
        });
        if self.seen < want || self.state.is_none() {
            return Err(Error::Truncated {
                got: self.seen,
                want,
            });
        }
        Ok(())
    }

    fn take(
        &mut self,
        mut piece: &[u8],
        out: &mut Vec<u8>,
        mut each: impl FnMut(&Frame),
    ) -> Result<(), Error> {
        while !piece.is_empty() {
            let want = match &self.state {
                None => HEADER_LEN,
                Some(state) if state.given == state.len => return Err(Error::Trailing),
                Some(_) => FRAME_LEN,
            };
            let (now, later) = piece.split_at(piece.len().min(want - self.held.len()));
            self.held.extend_from_slice(now);
            self.seen += now.len() as u64;
            piece = later;
            if self.state.is_none() {
                let seen = self.held.len().min(MAGIC.len());
                if self.held[..seen] != MAGIC[..seen] {
                    return Err(Error::Foreign);
                }
            }
            if self.held.len() < want {
                return Ok(());
            }
            match &mut self.state {
                None => self.state = Some(State::from_header(&self.held)?),
                Some(state) => {
                    if let Some(bytes) = self.held.first_chunk() {
                        each(&state.demodulate(bytes, out)?);
                    }
                }
            }
            self.held.clear();
        }
        Ok(())
    }
}

impl State {
    fn from_header(bytes: &[u8]) -> Result<Self, Error> {
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(Error::DamagedHeader)?;
        if body[4] != FORMAT {
            return Err(Error::UnknownVersion(body[4]));
        }
        let seed = checksum(0, body);
        if seed != u32::from_be_bytes(*crc) {
            return Err(Error::DamagedHeader);
        }
        let mut all = Method::ALL.into_iter();
        let method = all
            .find(|m| m.number() == body[5])
            .ok_or_else(|| Error::UnknownMethod(format!("number {}", body[5])))?;
        let len = body.last_chunk().map_or(0, |len| u64::from_be_bytes(*len));
        check_len(len)?;
        Ok(Self {
            method,
            seed,
            len,
            given: 0,
            frame: 0,
            levels: Levels::default(),
        })
    }

    fn demodulate(&mut self, bytes: &[u8; FRAME_LEN], out: &mut Vec<u8>) -> Result<Frame, Error> {
        let place = self.frame;
        let frame = Frame::from_bytes(bytes, self.seed, place)?;
        if u64::from(frame.number) != place {
            return Err(Error::OutOfOrder {
                expected: place,
                found: frame.number.into(),
            });
        }
        let (before, now) = (self.levels, frame.levels()?);
        let impossible = |what| Error::Impossible { frame: place, what };
        let wavelength = now.wavelength.wrapping_sub(before.wavelength);
        let phase = now.phase.wrapping_sub(before.phase);
        // What a modulation doesn't use doesn't change.
        let uses = |methods: [Method; 2]| methods.contains(&self.method);
        if wavelength != 0 && !uses([Method::Fse, Method::Qiml]) {
            return Err(impossible("the wavelength"));
        }
        if now.intensity != 0 && !uses([Method::Ame, Method::Qiml]) {
            return Err(impossible("the intensity"));
        }
        if phase != 0 && !uses([Method::Pme, Method::Qiml]) {
            return Err(impossible("the phase"));
        }
        let three = [wavelength, now.intensity, phase];
        let bytes = match self.method {
            Method::Fse => &three[..1],
            Method::Ame => &three[1..2],
            Method::Pme => &three[2..],
            Method::Qiml => &three[..],
        };
        let left = usize::try_from(self.len - self.given).unwrap_or(usize::MAX);
        let (payload, spare) = bytes.split_at(bytes.len().min(left));
        if spare.iter().any(|b| *b != 0) {
            return Err(impossible("what follows the payload"));
        }
        out.extend_from_slice(payload);
        self.given += payload.len() as u64;
        self.frame += 1;
        self.levels = now;
        Ok(frame)
    }
}

fn check_len(len: u64) -> Result<(), Error> {
    if len > PAYLOAD_MAX {
        return Err(Error::TooLong {
            limit: PAYLOAD_MAX,
            got: len,
        });
    }
    Ok(())
}

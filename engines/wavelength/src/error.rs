//! What the wavelength suite refuses, each cause by itself and with the frame that shows it.

/// Every failure of the suite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are something else altogether.
    #[error("these are not wavelength frames: the first bytes are others")]
    Foreign,
    /// Made by a version that this one can't read.
    #[error("the frames have format version {0}, which is not known here")]
    UnknownVersion(u8),
    /// A modulation that is not known.
    #[error("modulation {0} is not known here")]
    UnknownMethod(String),
    /// The header's check sum differs.
    #[error("the header of the frames is damaged: its check sum differs")]
    DamagedHeader,
    /// A frame's check sum differs.
    #[error("frame {0} is damaged: its check sum differs")]
    Damaged(u64),
    /// A frame stands in another one's place.
    #[error("frames are out of order: where frame {expected} belongs stands frame {found}")]
    OutOfOrder {
        /// The place.
        expected: u64,
        /// The frame that stands there.
        found: u64,
    },
    /// A frame holds what no encoder makes.
    #[error("frame {frame}: {what} is not one that this modulation makes")]
    Impossible {
        /// Which frame.
        frame: u64,
        /// Which of its values.
        what: &'static str,
    },
    /// A frame's energy is NaN or infinite.
    #[error("frame {0}: the energy is not a finite number")]
    NotFinite(u64),
    /// The end is missing.
    #[error("the frames are cut off: {got} bytes of {want}")]
    Truncated {
        /// How many there are.
        got: u64,
        /// How many there should be; the header's length while that isn't whole.
        want: u64,
    },
    /// More follows after the last frame.
    #[error("data follows the last frame")]
    Trailing,
    /// The payload is longer than allowed.
    #[error("the payload has {got} bytes, at most {limit} are allowed")]
    TooLong {
        /// The most it may have.
        limit: u64,
        /// What it has.
        got: u64,
    },
    /// The payload is not as long as stated when encoding began.
    #[error("the payload has {got} bytes, {want} were stated")]
    Length {
        /// What was stated.
        want: u64,
        /// What there is (at least).
        got: u64,
    },
    /// A library failed.
    #[error("{0} failed")]
    Library(&'static str),
}

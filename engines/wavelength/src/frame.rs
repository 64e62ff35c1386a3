//! One frame of light. On the wire, big-endian: number (4), wavelength in picometres (4), photons (4), phase
//! in 1/256 turns (1), a zero byte, energy in joules as a double (8), CRC-32 (4) seeded with the header.

use crate::Error;

/// Bytes of a frame.
pub const FRAME_LEN: usize = 26;

/// Planck's constant (J s) times the speed of light (m/s), both exact in the SI.
const HC: f64 = 6.626_070_15e-34 * 299_792_458.0;

/// The least wavelength, 380 nm.
pub(crate) const SHORTEST_PM: u32 = 380_000;
/// One step of wavelength: 255 of them stay below 780 nm.
pub(crate) const STEP_PM: u32 = 1_568;
/// The photons of a pulse that carries no intensity, and one step of intensity.
pub(crate) const PHOTONS: u32 = 1_000;
pub(crate) const PHOTON_STEP: u32 = 16;

/// Energy of a photon in joules, h c / lambda.
#[must_use]
pub fn photon_energy(wavelength_pm: u32) -> f64 {
    HC * 1e12 / f64::from(wavelength_pm)
}

/// A pulse of light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Its number, from 0 on.
    pub number: u32,
    /// Wavelength in picometres, 380,000 to 779,840.
    pub wavelength_pm: u32,
    /// Intensity in photons, 1,000 to 5,080.
    pub photons: u32,
    /// Phase in 1/256 turns.
    pub phase: u8,
    /// Energy of one photon in joules, h c / lambda.
    pub energy: f64,
}

/// The three levels, 0 to 255 each, that a frame is modulated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Levels {
    pub(crate) wavelength: u8,
    pub(crate) intensity: u8,
    pub(crate) phase: u8,
}

impl Frame {
    pub(crate) fn new(number: u32, levels: Levels) -> Self {
        let wavelength_pm = SHORTEST_PM + STEP_PM * u32::from(levels.wavelength);
        Self {
            number,
            wavelength_pm,
            photons: PHOTONS + PHOTON_STEP * u32::from(levels.intensity),
            phase: levels.phase,
            energy: photon_energy(wavelength_pm),
        }
    }

    /// The levels, if an encoder can have made them.
    pub(crate) fn levels(&self) -> Result<Levels, Error> {
        let frame = u64::from(self.number);
        let level = |what, value: u32, least: u32, step: u32| {
            let above = value.checked_sub(least).filter(|above| above % step == 0);
            above
                .and_then(|above| u8::try_from(above / step).ok())
                .ok_or(Error::Impossible { frame, what })
        };
        let wavelength = level("the wavelength", self.wavelength_pm, SHORTEST_PM, STEP_PM)?;
        if !self.energy.is_finite() {
            return Err(Error::NotFinite(frame));
        }
        if self.energy.to_bits() != photon_energy(self.wavelength_pm).to_bits() {
            return Err(Error::Impossible {
                frame,
                what: "the energy",
            });
        }
        Ok(Levels {
            wavelength,
            intensity: level("the intensity", self.photons, PHOTONS, PHOTON_STEP)?,
            phase: self.phase,
        })
    }

    /// Phase in radians, in [0, 2 pi).
    #[must_use]
    pub fn phase_radians(&self) -> f64 {
        f64::from(self.phase) / 256.0 * std::f64::consts::TAU
    }

    pub(crate) fn to_bytes(self, seed: u32) -> [u8; FRAME_LEN] {
        let mut out = [0u8; FRAME_LEN];
        out[..4].copy_from_slice(&self.number.to_be_bytes());
        out[4..8].copy_from_slice(&self.wavelength_pm.to_be_bytes());
        out[8..12].copy_from_slice(&self.photons.to_be_bytes());
        out[12] = self.phase;
        out[14..22].copy_from_slice(&self.energy.to_bits().to_be_bytes());
        let crc = checksum(seed, &out[..22]);
        out[22..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads a frame and checks its sum; whether an encoder can have made it is another question.
    pub(crate) fn from_bytes(
        bytes: &[u8; FRAME_LEN],
        seed: u32,
        place: u64,
    ) -> Result<Self, Error> {
        let word = |at: usize| {
            let mut word = [0u8; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_be_bytes(word)
        };
        if checksum(seed, &bytes[..22]) != word(22) {
            return Err(Error::Damaged(place));
        }
        if bytes[13] != 0 {
            return Err(Error::Impossible {
                frame: place,
                what: "the reserved byte",
            });
        }
        let energy = u64::from(word(14)) << 32 | u64::from(word(18));
        Ok(Self {
            number: word(0),
            wavelength_pm: word(4),
            photons: word(8),
            phase: bytes[12],
            energy: f64::from_bits(energy),
        })
    }
}

pub(crate) fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seed.to_be_bytes());
    crc.update(bytes);
    crc.finalize()
}

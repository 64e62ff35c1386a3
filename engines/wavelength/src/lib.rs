//! The wavelength suite: four modulations that carry ciphertext as frames of light, and the
//! five-dimensional signature.
//!
//! Modulation is encoding: it keeps nothing secret and proves nothing. What is to be kept secret is
//! sealed before it is modulated, and opened after; the check sums here find damage, not
//! forgery. No disk, no clock, no bus.

mod codec;
mod error;
mod frame;
mod signature;

pub use codec::{Decoder, Encoder, HEADER_LEN, Method, PAYLOAD_MAX, encoded_len};
pub use error::Error;
pub use frame::{FRAME_LEN, Frame, photon_energy};
pub use signature::{SIGNATURE_5D_LEN, Signature5d};

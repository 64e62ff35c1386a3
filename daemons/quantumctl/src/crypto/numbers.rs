//! Lists of numbers in files, as the engine reads them.

use crate::error::Error;

/// The most bytes of such a list.
pub const TEXT_MAX: u64 = quantumos_resonance::numbers::TEXT_MAX as u64;

/// The numbers in `text`; `name` is for messages.
pub fn parse(name: &str, text: &[u8]) -> Result<Vec<f64>, Error> {
    quantumos_resonance::numbers::parse(text)
        .map_err(|error| Error::Usage(format!("{name}: {error}")))
}

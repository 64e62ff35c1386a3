//! Signatures and public keys as raw bytes, base64 or hexadecimal.
//! Reading finds out by itself which one it is; raw keys and signatures are thousands of random
//! bytes, which never look like text.

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use quantumos_ledger::hex;

use crate::error::Error;

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// The bytes themselves
    Raw,
    /// Base64 (RFC 4648, padded), one line
    Base64,
    /// Hexadecimal, lower case, one line
    Hex,
}

impl Encoding {
    /// `bytes` as this encoding writes them; texts end with a newline.
    pub fn encode(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Raw => bytes.to_vec(),
            Self::Base64 => (STANDARD.encode(bytes) + "\n").into_bytes(),
            Self::Hex => (hex(bytes) + "\n").into_bytes(),
        }
    }
}

/// Base64 for JSON.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What `data` holds: hexadecimal if all of it is, else base64 if all of it is, else the bytes
/// themselves. Blanks and line ends in texts are skipped.
pub fn decode(name: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
    let text: Vec<u8> = data
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    if text.is_empty() {
        return Err(Error::Usage(format!("{name}: empty")));
    }
    if text.iter().all(u8::is_ascii_hexdigit) && text.len().is_multiple_of(2) {
        return Ok(text.chunks_exact(2).map(hex_byte).collect());
    }
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    if text.iter().all(base64) {
        return STANDARD
            .decode(&text)
            .map_err(|error| Error::Usage(format!("{name}: base64: {error}")));
    }
    Ok(data.to_vec())
}

/// Two hexadecimal digits as a byte.
fn hex_byte(pair: &[u8]) -> u8 {
    pair.iter().fold(0, |byte, digit| {
        let value = char::from(*digit).to_digit(16).unwrap_or(0);
        (byte << 4) | u8::try_from(value).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_reads_back() {
        let bytes: Vec<u8> = (0..=255).cycle().take(4627).collect();
        for encoding in [Encoding::Raw, Encoding::Base64, Encoding::Hex] {
            let written = encoding.encode(&bytes);
            assert_eq!(decode("sig", &written).unwrap(), bytes, "{encoding:?}");
        }
    }

    #[test]
    fn text_forms() {
        assert_eq!(Encoding::Hex.encode(&[0, 255]), b"00ff\n");
        assert_eq!(Encoding::Base64.encode(b"abc"), b"YWJj\n");
        assert_eq!(decode("s", b"00FF\r\n10\n").unwrap(), [0, 255, 16]);
        assert_eq!(decode("s", b"YW\nJj\n").unwrap(), b"abc");
        assert_eq!(decode("s", b"\xff\x00").unwrap(), b"\xff\x00");
    }

    #[test]
    fn bad_text_names_the_file() {
        for (data, message) in [
            (&b" \n"[..], "s.sig: empty"),
            (b"YWJ", "s.sig: base64: Invalid padding"),
        ] {
            assert_eq!(decode("s.sig", data).unwrap_err().to_string(), message);
        }
    }
}

//! Keys behind a TPM 2.0 and post-quantum signatures over D-Bus.

pub mod tpm;

//! What is called of AWS-LC without `aws-lc-rs`, which has no way to pass a context string to
//! ML-DSA or a seed to ML-KEM. All the `unsafe` of this crate is in these modules.

pub(crate) mod dsa;
pub(crate) mod kem;

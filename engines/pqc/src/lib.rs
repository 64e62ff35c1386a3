//! Post-quantum signatures and key wrapping over bytes.

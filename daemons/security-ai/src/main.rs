//! Entry point of security-ai.

fn main() {}

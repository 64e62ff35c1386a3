//! Entry point of quantumctl.

fn main() {}

//! Entry point of steppps-mgr.

fn main() {}

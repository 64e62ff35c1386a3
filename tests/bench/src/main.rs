//! Entry point of quantumos-bench.

fn main() {}

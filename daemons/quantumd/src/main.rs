//! Entry point of quantumd.

fn main() {}

//! Entry point of resource-ai.

fn main() {}

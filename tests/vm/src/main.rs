//! Entry point of quantumos-vm.

fn main() {}

//! quantumctl as its own package builds it, so that the tests here can run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    quantumctl::main()
}

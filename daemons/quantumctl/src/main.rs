//! Entry point of quantumctl.

use std::process::ExitCode;

fn main() -> ExitCode {
    quantumctl::main()
}

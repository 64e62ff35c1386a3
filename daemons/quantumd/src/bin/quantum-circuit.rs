//! Entry point of the process that runs one circuit for quantumd.

use std::process::ExitCode;

fn main() -> ExitCode {
    quantumd::circuit::runner::main()
}

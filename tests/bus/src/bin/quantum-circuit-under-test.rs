//! quantum-circuit as quantumd's own package builds it, so that the tests here can have it run.

use std::process::ExitCode;

fn main() -> ExitCode {
    quantumd::circuit::runner::main()
}

//! Entry point of quantumd.

use std::process::ExitCode;

fn main() -> ExitCode {
    quantumd::process::harden();
    quantumos_service::run::<quantumd::Quantumd>()
}

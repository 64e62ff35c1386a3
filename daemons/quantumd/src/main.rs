//! Entry point of quantumd.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = quantumd::process::harden() {
        // Logging has not started; systemd takes standard error to the journal.
        eprintln!("quantumd: could not rule out core dumps: {error}");
    }
    quantumos_service::run::<quantumd::Quantumd>()
}

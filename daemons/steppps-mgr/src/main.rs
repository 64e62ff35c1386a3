//! Entry point of steppps-mgr.

use std::process::ExitCode;

fn main() -> ExitCode {
    quantumos_service::run::<steppps_mgr::StepppsMgr>()
}

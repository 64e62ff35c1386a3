//! Entry point of resource-ai.

use std::process::ExitCode;

fn main() -> ExitCode {
    quantumos_service::run::<resource_ai::ResourceAi>()
}

//! Entry point of ai-learnd.

use std::process::ExitCode;

fn main() -> ExitCode {
    quantumos_service::run::<ai_learnd::AiLearnd>()
}

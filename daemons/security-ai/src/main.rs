//! Entry point of security-ai.

fn main() -> std::process::ExitCode {
    quantumos_service::run::<security_ai::SecurityAi>()
}

//! Runs quantumctl as its own package builds it.

use std::process::Stdio;

use quantumos_harness::PrivateBus;
use serde_json::Value as Json;
use tokio::process::Command;

/// Runs quantumctl to its end: exit code and the document it printed.
pub async fn ctl(bus: &PrivateBus, arguments: &[&str]) -> (i32, Json) {
    let output = Command::new(env!("CARGO_BIN_EXE_quantumctl-under-test"))
        .arg("--json")
        .args(arguments)
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let json = match text.as_str() {
        "" => serde_json::from_str(&errors),
        text => serde_json::from_str(text),
    };
    let json = json.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}{errors}"));
    (output.status.code().unwrap_or(-1), json)
}

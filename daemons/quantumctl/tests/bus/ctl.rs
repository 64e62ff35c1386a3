//! Runs the binary.

use std::process::{Output, Stdio};

use quantumos_harness::PrivateBus;
use serde_json::Value as Json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// What a run gave.
#[derive(Debug)]
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard output as it came.
    pub raw: Vec<u8>,
    /// Standard error.
    pub err: String,
}

impl Run {
    /// Standard output as one JSON document.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The binary with its surroundings set.
pub fn command(bus: &PrivateBus, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quantumctl"));
    command
        .args(arguments)
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .env("TZ", "UTC")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs to the end.
pub async fn run(bus: &PrivateBus, arguments: &[&str]) -> Run {
    finish(command(bus, arguments).output().await.unwrap())
}

/// Runs to the end with `input` on standard input.
pub async fn run_with(bus: &PrivateBus, arguments: &[&str], input: &[u8]) -> Run {
    let mut child = command(bus, arguments)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).await.unwrap();
    drop(stdin);
    finish(child.wait_with_output().await.unwrap())
}

fn finish(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        raw: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Starts a command that goes on, and gives its lines.
pub fn start(bus: &PrivateBus, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command(bus, arguments).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

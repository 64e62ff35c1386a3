//! A real terminal (a pty made by script(1)): the live view draws, q ends it, and the terminal is left as it was found;
//! lists fit its width, whichever that is.

use std::process::Stdio;

use quantumos_harness::PrivateBus;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use crate::services;

/// Runs the live view until `until` is on the screen, then sends `end`; gives all output.
async fn view(bus: &PrivateBus, variables: &[(&str, &str)], until: &str, end: &[u8]) -> String {
    let program = env!("CARGO_BIN_EXE_quantumctl");
    let line = format!("stty rows 24 cols 80; {program} status --watch; echo code=$?; stty -a");
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    let mut ended = false;
    loop {
        let n = stdout.read(&mut buffer).await.unwrap();
        if n == 0 {
            break;
        }
        seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        if !ended && seen.contains(until) {
            ended = true;
            stdin.write_all(end).await.unwrap();
        }
    }
    child.wait().await.unwrap();
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn q_leaves_the_terminal_as_it_was() {
    let bus = PrivateBus::start().unwrap();
    let _security = services::open_security(&bus).await;
    for end in [&b"q"[..], b"\x03", b"\x1b"] {
        let seen = view(&bus, &[], "Rule r1", end).await;
        assert!(seen.contains("code=0"), "{seen:?}");
        let left = seen.rfind("\x1b[?1049l").unwrap();
        assert!(seen.find("\x1b[?1049h").unwrap() < left);
        let after = &seen[left..];
        let (hidden, shown) = (seen.rfind("\x1b[?25l"), seen.rfind("\x1b[?25h"));
        assert!(hidden < shown, "the cursor is back: {seen:?}");
        let flags: Vec<&str> = after.split_whitespace().collect();
        for flag in ["icanon", "echo", "isig", "opost"] {
            assert!(flags.contains(&flag), "{flag}: {after:?}");
        }
        assert!(!seen.contains("\x1b]0;owned"), "escaped on the screen, too");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_color_means_no_colour() {
    let bus = PrivateBus::start().unwrap();
    let _security = services::open_security(&bus).await;
    let coloured = |seen: &str| seen.contains("\x1b[38;5;") || seen.contains("\x1b[32");
    let seen = view(&bus, &[], "Rule r1", b"q").await;
    assert!(coloured(&seen), "{seen:?}");
    assert!(!coloured(
        &view(&bus, &[("NO_COLOR", "1")], "Rule r1", b"q").await
    ));
}

/// What `quantumctl security alerts`, with this after it, prints on a terminal of so many columns.
async fn alerts(bus: &PrivateBus, columns: u32, after: &str) -> Vec<String> {
    let program = env!("CARGO_BIN_EXE_quantumctl");
    let line = format!("stty rows 24 cols {columns}; {program} security alerts {after}");
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .env("SHELL", "/bin/sh")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // Its end would be echoed into the text.
    let _open = child.stdin.take();
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_fits_the_terminal_and_is_whole_in_a_pipe() {
    let bus = PrivateBus::start().unwrap();
    let _security = services::open_security(&bus).await;
    for columns in [60, 80] {
        let lines = alerts(&bus, columns, "").await;
        let widest = lines.iter().map(|line| line.chars().count()).max();
        assert!(widest.unwrap() <= columns as usize, "{lines:?}");
        assert!(
            lines.iter().any(|line| line.contains("Rule r1")),
            "{lines:?}"
        );
    }
    let whole = alerts(&bus, 400, "").await;
    assert!(
        whole.iter().any(|line| line.chars().count() > 80),
        "{whole:?}"
    );
    assert_eq!(alerts(&bus, 80, "| cat").await, whole);
}

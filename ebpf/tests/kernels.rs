//! The probes on Debian's kernels, each booted in QEMU with nothing but this program in its initial file system:
//! as process 1 it loads them, does every action, and says what it saw. Run by hand, `KERNELS="trixie sid"` picks.

#![allow(unsafe_code, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "support/fire.rs"]
mod fire;
#[path = "support/guest.rs"]
mod guest;
mod support;
#[path = "support/virtual_machine.rs"]
mod virtual_machine;

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    if std::process::id() == 1 {
        guest::run();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // What a test runner may ask: there is one test, and nobody filters it out by name.
    if arguments.iter().any(|argument| argument == "--list") {
        println!("kernels: test");
        return ExitCode::SUCCESS;
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    if wanted.is_some_and(|wanted| !"kernels".contains(wanted.as_str())) {
        return ExitCode::SUCCESS;
    }
    if Command::new("qemu-system-x86_64")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: no qemu-system-x86_64");
        return ExitCode::SUCCESS;
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the top");
    let suites = std::env::var("KERNELS").unwrap_or_default();
    let output = Command::new(top.join("images/kernels"))
        .args(suites.split_whitespace())
        .output()
        .expect("images/kernels");
    let mut failed = false;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().expect("three words");
        let (suite, version, rest) = (word(), word(), word());
        if version == "-" {
            println!("skipped: kernel of {suite}: {rest}");
            continue;
        }
        let mut said = virtual_machine::boot(Path::new(rest));
        // An emulated processor was seen to put a register's bits into EFLAGS (after cmpxchg16b, QEMU 7.2), and its
        // kernel fell while it was still reading or starting. What our programs do to a kernel, they do to it twice.
        let fell = said.contains("Kernel panic") || said.contains("Oops: ");
        if fell && !said.contains(guest::LOADED) {
            println!(
                "{said}\n{suite}, {version}: the kernel fell before programs were loaded; once more"
            );
            said = virtual_machine::boot(Path::new(rest));
        }
        let good = said.lines().any(|line| line.trim_end() == guest::GOOD);
        println!(
            "{said}\n{suite}, {version}: {}",
            if good { "ok" } else { "FAILED" }
        );
        failed |= !good;
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

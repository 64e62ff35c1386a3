//! The guest that a developer keeps: boots the image in the background, runs commands in it, swaps
//! one daemon's program without a new image, and gives its console.

use std::{
    io::{self, IsTerminal, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use clap::{Parser, Subcommand};
use quantumos_harness::guest::{Files, Guest, GuestError, Options, Stream};

/// A whole day: a command that a developer started may run as long.
const AS_LONG_AS_IT_TAKES: Duration = Duration::from_secs(86_400);

#[derive(Parser)]
#[command(name = "quantumos-vm", about = "A QuantumOS guest in the background")]
struct CommandLine {
    /// Where the guest keeps its disk, its TPM and its sockets
    #[arg(long, value_name = "DIRECTORY", default_value = "images/out/guest")]
    guest: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Boot a fresh copy of an image; a guest that runs is stopped first
    Start {
        /// Where quantumos.raw, vmlinuz and initrd are
        #[arg(long, value_name = "DIRECTORY")]
        image: PathBuf,
        /// Keep the disk and the TPM of the last time
        #[arg(long)]
        keep: bool,
    },
    /// Switch the guest off
    Stop,
    /// Run a command in the guest
    Exec {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Run a script of this machine in the guest
    Script {
        /// The script, for /bin/bash
        file: PathBuf,
    },
    /// Put a daemon's program into the guest and restart its unit
    Push {
        /// The program; its file name is the daemon's
        program: PathBuf,
    },
    /// Connect to the serial console; Ctrl-] leaves
    Login,
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    match act(&command_line) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("quantumos-vm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(command_line: &CommandLine) -> Result<ExitCode, GuestError> {
    let directory = &command_line.guest;
    match &command_line.action {
        Action::Start { image, keep } => start(directory, image, *keep)?,
        Action::Stop => {
            if !stop(directory) {
                println!("no guest runs in {}", directory.display());
            }
        }
        Action::Exec { command } => {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            return exec(&Guest::join(directory)?, &words, &[]);
        }
        Action::Script { file } => {
            let script = std::fs::read(file).map_err(|e| failed(file, e))?;
            return exec(&Guest::join(directory)?, &["/bin/bash", "-s"], &script);
        }
        Action::Push { program } => push(&Guest::join(directory)?, program)?,
        Action::Login => login(&Files::below(directory))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(path: &Path, source: io::Error) -> GuestError {
    GuestError::Io {
        what: path.display().to_string(),
        source,
    }
}

fn start(directory: &Path, image: &Path, keep: bool) -> Result<(), GuestError> {
    stop(directory);
    if !keep {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(directory, error));
            }
            _ => {}
        }
    }
    let options = Options {
        detached: true,
        ..Options::of(image)
    };
    Guest::boot_at(directory, options)?
        .shell("systemctl is-system-running --wait")
        .map(drop)
        .or_else(|error| {
            // A degraded system is for the developer to look at, not a reason to take it away.
            eprintln!("quantumos-vm: {error}");
            Ok(())
        })
}

/// Ends the programs whose ids the guest has noted, if they still are what was noted.
fn stop(directory: &Path) -> bool {
    let files = Files::below(directory);
    let mut found = false;
    for name in ["qemu", "swtpm"] {
        let Ok(pid) = std::fs::read_to_string(files.pid(name)) else {
            continue;
        };
        let pid = pid.trim();
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if comm.starts_with(name) {
            found |= Command::new("kill")
                .arg(pid)
                .status()
                .is_ok_and(|s| s.success());
            let gone = format!("/proc/{pid}");
            while Path::new(&gone).exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // Its process is gone; so may the note be already.
        let _ = std::fs::remove_file(files.pid(name));
    }
    found
}

fn exec(guest: &Guest, words: &[&str], input: &[u8]) -> Result<ExitCode, GuestError> {
    let process = guest.start(words)?;
    process.write(input)?;
    process.close()?;
    let code = process.follow(AS_LONG_AS_IT_TAKES, |stream, bytes| {
        // Nobody reads any more: what is left goes nowhere.
        let _ = match stream {
            Stream::Output => io::stdout()
                .write_all(bytes)
                .and_then(|()| io::stdout().flush()),
            Stream::Error => io::stderr().write_all(bytes),
        };
    })?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

fn push(guest: &Guest, program: &Path) -> Result<(), GuestError> {
    let content = std::fs::read(program).map_err(|e| failed(program, e))?;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    if name == "quantumctl" {
        return guest.put("/usr/bin/quantumctl", "0755", &content);
    }
    guest.put(&format!("/usr/libexec/quantumos/{name}"), "0755", &content)?;
    let script =
        format!("systemctl restart {name} && systemctl status --no-pager --lines=5 {name}");
    println!("{}", guest.shell(&script)?);
    Ok(())
}

/// Ties this terminal to the serial console.
fn login(files: &Files) -> Result<(), GuestError> {
    const LEAVE: u8 = 0x1d;
    let path = files.console();
    let mut console = UnixStream::connect(&path).map_err(|e| failed(&path, e))?;
    let mut shown = console.try_clone().map_err(|e| failed(&path, e))?;
    println!("Ctrl-] leaves; Enter shows the prompt.\r");
    let terminal = io::stdin().is_terminal();
    if terminal {
        stty(&["raw", "-echo"]);
    }
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = shown.read(&mut buffer) {
            let mut out = io::stdout();
            if out
                .write_all(&buffer[..count])
                .and_then(|()| out.flush())
                .is_err()
            {
                return;
            }
        }
    });
    let mut buffer = [0; 256];
    while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
        let typed = &buffer[..count];
        if typed.contains(&LEAVE) || console.write_all(typed).is_err() {
            break;
        }
    }
    if terminal {
        stty(&["sane"]);
    }
    println!();
    Ok(())
}

fn stty(arguments: &[&str]) {
    let status = Command::new("stty")
        .args(arguments)
        .stdin(Stdio::inherit())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("quantumos-vm: could not set the terminal, keys may show twice");
    }
}

//! A guest of one test's own: the QuantumOS image in QEMU with a software TPM, on a copy of the
//! disk that outlives its reboots. Commands run inside through an agent on a virtio port; all of it
//! ends with the process that started it.

mod accel;
mod files;
mod link;
mod machine;
pub mod wire;

use std::{
    fmt::Display,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

pub use accel::Accelerator;
pub use files::Files;
use link::Link;
pub use link::{Output, Process, Stream};
use machine::Machine;

/// How long one thing in the guest may take. It bounds a failure, on two busy processors without
/// KVM too, so it is long.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Why something with a guest did not work.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A file or program of the host.
    #[error("{what}: {source}")]
    Io {
        /// Which one.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// There is no image.
    #[error("no image in {0}: `make image` builds it")]
    NoImage(PathBuf),
    /// QEMU or swtpm ended.
    #[error("the machine ended: {0}")]
    Ended(String),
    /// The agent did not answer.
    #[error("the guest did not come up within {0:?}")]
    Silent(Duration),
    /// A command took too long.
    #[error("`{0}` took too long")]
    TooLong(String),
    /// The guest went while a command ran.
    #[error("the guest went away during `{0}`")]
    Gone(String),
    /// A command said no.
    #[error("`{command}` ended with {code}: {output}")]
    Failed {
        /// The command.
        command: String,
        /// Its exit code.
        code: i32,
        /// What it printed.
        output: String,
    },
}

impl GuestError {
    pub(crate) fn io(what: impl Display, source: io::Error) -> Self {
        Self::Io {
            what: what.to_string(),
            source,
        }
    }
}

/// What a guest is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where quantumos.raw, vmlinuz and initrd are.
    pub image: PathBuf,
    /// How many processors it has.
    pub processors: u32,
    /// Its memory in MiB.
    pub memory: u32,
    /// Whether it has a TPM.
    pub tpm: bool,
    /// More for the kernel's command line.
    pub append: String,
    /// Whether it stays when this process ends.
    pub detached: bool,
}

impl Options {
    /// The usual guest of an image.
    pub fn of(image: impl Into<PathBuf>) -> Self {
        Self {
            image: image.into(),
            processors: 2,
            memory: 1024,
            tpm: true,
            append: String::new(),
            detached: false,
        }
    }
}

/// A guest that has booted.
#[derive(Debug)]
pub struct Guest {
    link: Link,
    machine: Option<Machine>,
    files: Files,
    options: Options,
    /// Removed with the guest; by the other, when this process ends without dropping it.
    _directory: Option<(TempDir, std::process::ChildStdin)>,
}

impl Guest {
    /// Boots a fresh copy of the image in a directory of its own.
    ///
    /// # Errors
    /// When there is no image, QEMU can't run it, or it doesn't come up; the end of its console is
    /// in the message.
    pub fn boot(options: Options) -> Result<Self, GuestError> {
        let directory = tempfile::Builder::new()
            .prefix("quantumos-guest-")
            .tempdir()
            .map_err(|e| GuestError::io("temporary directory", e))?;
        let files = Files::below(directory.path());
        let janitor = machine::clean_up_after_us(directory.path())?;
        Self::boot_in(files, options, Some((directory, janitor)))
    }

    /// Boots in a directory that stays; a disk that is there already is used as it is.
    ///
    /// # Errors
    /// As [`Guest::boot`].
    pub fn boot_at(directory: &Path, options: Options) -> Result<Self, GuestError> {
        std::fs::create_dir_all(directory).map_err(|e| GuestError::io(directory.display(), e))?;
        Self::boot_in(Files::below(directory), options, None)
    }

    fn boot_in(
        files: Files,
        options: Options,
        directory: Option<(TempDir, std::process::ChildStdin)>,
    ) -> Result<Self, GuestError> {
        if !options.image.join("quantumos.raw").exists() {
            return Err(GuestError::NoImage(options.image));
        }
        if !files.disk().exists() {
            machine::copy_disk(&options.image, &files.disk())?;
        }
        let (machine, link) = bring_up(&files, &options, None)?;
        Ok(Self {
            link,
            machine: Some(machine),
            files,
            options,
            _directory: directory,
        })
    }

    /// Joins a guest that another process has started in `directory`.
    ///
    /// # Errors
    /// When there is none that answers.
    pub fn join(directory: &Path) -> Result<Self, GuestError> {
        let files = Files::below(directory);
        let socket = files.agent();
        let link = Link::find(&socket, None, Duration::from_secs(60), || {
            std::os::unix::net::UnixStream::connect(files.console())
                .map(drop)
                .map_err(|e| GuestError::io("no guest runs here", e))
        })?;
        Ok(Self {
            link,
            machine: None,
            files,
            options: Options::of(""),
            _directory: None,
        })
    }

    /// Its files on this machine.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Starts a program and leaves it running.
    ///
    /// # Errors
    /// When the guest is gone.
    pub fn start(&self, arguments: &[&str]) -> Result<Process, GuestError> {
        self.link.start(arguments)
    }

    /// Runs a program to its end, whatever that is.
    ///
    /// # Errors
    /// When it could not be started, took longer than [`PATIENCE`], or the guest is gone.
    pub fn run(&self, arguments: &[&str]) -> Result<Output, GuestError> {
        let process = self.start(arguments)?;
        process.close()?;
        process.wait(PATIENCE)
    }

    /// Runs a shell script and returns its standard output.
    ///
    /// # Errors
    /// As [`Guest::run`], and when its exit code isn't 0; both its outputs are in the message.
    pub fn shell(&self, script: &str) -> Result<String, GuestError> {
        let output = self.run(&["/bin/bash", "-c", script])?;
        if output.code == 0 {
            return Ok(output.text());
        }
        Err(GuestError::Failed {
            command: script.to_owned(),
            code: output.code,
            output: format!("{}\n{}", output.text(), output.errors()),
        })
    }

    /// Runs a shell script again and again until it succeeds, and returns its standard output.
    ///
    /// # Errors
    /// When [`PATIENCE`] is over first; the last run's failure is in the message.
    pub fn eventually(&self, script: &str) -> Result<String, GuestError> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            match self.shell(script) {
                Err(GuestError::Failed { .. }) if std::time::Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(250));
                }
                done => return done,
            }
        }
    }

    /// Writes a file in the guest. It appears whole, under its name, with that mode ("0644").
    ///
    /// # Errors
    /// When the guest can't.
    pub fn put(&self, path: &str, mode: &str, content: &[u8]) -> Result<(), GuestError> {
        let script = "mkdir -p \"$(dirname \"$1\")\" && cat >\"$1.new\" && chmod \"$2\" \"$1.new\" && mv \"$1.new\" \"$1\"";
        let process = self.start(&["/bin/sh", "-c", script, "put", path, mode])?;
        process.write(content)?;
        process.close()?;
        expect(format!("write {path}"), process.wait(PATIENCE)?).map(drop)
    }

    /// Reads a file in the guest.
    ///
    /// # Errors
    /// When the guest can't.
    pub fn get(&self, path: &str) -> Result<Vec<u8>, GuestError> {
        expect(format!("read {path}"), self.run(&["/bin/cat", "--", path])?)
    }

    /// Reboots it and waits until it is back, with its disk and its TPM's state.
    ///
    /// # Errors
    /// When it doesn't come back.
    pub fn reboot(&mut self) -> Result<(), GuestError> {
        let process = self.start(&["systemctl", "reboot"])?;
        process.close()?;
        let old = self.link.boot.clone();
        // QEMU serves one connection at a time.
        self.link.close();
        let mut machine = self.machine.take().ok_or_else(not_ours)?;
        let link = reach(&self.files, &mut machine, Some(&old));
        let (machine, link) = once_more(&self.files, &self.options, Some(&old), machine, link)?;
        self.machine = Some(machine);
        self.link = link;
        Ok(())
    }

    /// Cuts its mains and boots it again.
    ///
    /// # Errors
    /// When it doesn't come back.
    pub fn power_cycle(&mut self, append: &str) -> Result<(), GuestError> {
        let old = self.link.boot.clone();
        let mut machine = self.machine.take().ok_or_else(not_ours)?;
        machine.power_off();
        append.clone_into(&mut self.options.append);
        let (machine, link) = bring_up(&self.files, &self.options, Some(&old))?;
        self.machine = Some(machine);
        self.link = link;
        Ok(())
    }

    /// Takes its TPM away while it runs.
    pub fn remove_tpm(&mut self) {
        if let Some(machine) = self.machine.as_mut() {
            machine.remove_tpm();
        }
    }

    /// The journal of this boot, for a failure's report; why there is none, if so.
    pub fn journal(&self) -> String {
        self.shell("journalctl --boot --no-pager --output=short-monotonic")
            .unwrap_or_else(|error| format!("no journal: {error}\n{}", self.console()))
    }

    /// The end of what the serial console has shown.
    pub fn console(&self) -> String {
        console_tail(&self.files)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(machine) = self.machine.as_mut().filter(|_| !self.options.detached) {
            machine.power_off();
        }
    }
}

fn not_ours() -> GuestError {
    GuestError::Ended("another process holds it".to_owned())
}

fn expect(command: String, output: Output) -> Result<Vec<u8>, GuestError> {
    if output.code == 0 {
        return Ok(output.stdout);
    }
    Err(GuestError::Failed {
        command,
        code: output.code,
        output: output.errors(),
    })
}

/// Switches it on and waits until it answers.
fn bring_up(
    files: &Files,
    options: &Options,
    not: Option<&str>,
) -> Result<(Machine, Link), GuestError> {
    let mut machine = Machine::power_on(files, options)?;
    let link = reach(files, &mut machine, not);
    once_more(files, options, not, machine, link)
}

/// A machine whose kernel the emulator brought down before it answered is switched on once more; any other that does not
/// answer is switched off.
fn once_more(
    files: &Files,
    options: &Options,
    not: Option<&str>,
    mut machine: Machine,
    mut link: Result<Link, GuestError>,
) -> Result<(Machine, Link), GuestError> {
    if let Err(error) = &link
        && emulation_failed(&console(files))
    {
        eprintln!("{error}\nthe emulator brought its kernel down; once more");
        machine.power_off();
        machine = Machine::power_on(files, options)?;
        link = reach(files, &mut machine, not);
    }
    match link {
        Ok(link) => Ok((machine, link)),
        Err(error) => {
            machine.power_off();
            Err(error)
        }
    }
}

fn reach(files: &Files, machine: &mut Machine, not: Option<&str>) -> Result<Link, GuestError> {
    let alive = || {
        machine.alive(files)?;
        match emulation_failed(&console(files)) {
            true => Err(GuestError::Ended("its kernel panicked".into())),
            false => Ok(()),
        }
    };
    Link::find(&files.agent(), not, PATIENCE, alive).map_err(|error| {
        GuestError::Ended(format!(
            "{error}; the end of its console:\n{}",
            console_tail(files)
        ))
    })
}

/// Whether a console shows a panic that is the emulator's. Emulated processors were seen to run half of an instruction
/// that the kernel was replacing, at the switches of its own code, mostly while it makes itself ready; to run the
/// breakpoint that stands there meanwhile after the kernel had forgotten it; and to put bits into EFLAGS that no processor
/// has (QEMU 7.2, after cmpxchg16b).
fn emulation_failed(console: &str) -> bool {
    const NO_FLAGS: u32 = !0 << 22;
    let flags = console.split("EFLAGS: ").skip(1);
    let mut flags = flags.filter_map(|text| u32::from_str_radix(text.get(..8)?, 16).ok());
    let signs = ["kernel_init_freeable", "Oops: int3"];
    console.contains("end Kernel panic")
        && (signs.iter().any(|sign| console.contains(sign))
            || flags.any(|flags| flags & NO_FLAGS != 0))
}

fn console(files: &Files) -> String {
    let text = std::fs::read(files.console_log()).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

fn console_tail(files: &Files) -> String {
    let text = console(files);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_emulators_by_its_signs() {
        let panic = "---[ end Kernel panic - not syncing: Fatal exception in interrupt ]---";
        let early =
            format!(" kernel_init_freeable+0x23d/0x2a0\r\n kernel_init+0x1a/0x130\r\n{panic}");
        let breakpoint =
            format!("Oops: int3: 0000 [#1] PREEMPT SMP NOPTI\r\n do_idle+0x269/0x2a0\r\n{panic}");
        let late = format!("EFLAGS: 00010246\r\n do_exit+0x1/0x2\r\n{panic}");
        let flags = format!("RSP: 0018:ff761dd080523bb8 EFLAGS: c13866bf\r\n{panic}");
        for (console, wanted) in [
            (early.as_str(), true),
            (breakpoint.as_str(), true),
            (flags.as_str(), true),
            (late.as_str(), false),
            (" kernel_init_freeable+0x23d/0x2a0", false),
            ("Oops: int3: 0000 [#1] PREEMPT SMP NOPTI", false),
            ("", false),
        ] {
            assert_eq!(emulation_failed(console), wanted, "{console}");
        }
    }
}

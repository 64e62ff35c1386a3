//! QEMU and the software TPM behind one guest: their command lines, their start and their end.

use std::{
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant},
};

use super::{Accelerator, Files, GuestError, Options, wire};
use crate::bus::die_with_parent;

/// The programs of a guest that is switched on.
#[derive(Debug)]
pub(crate) struct Machine {
    pub qemu: Child,
    pub tpm: Option<Child>,
}

impl Machine {
    /// Switches the guest on with the disk and the TPM state that are there.
    pub fn power_on(files: &Files, options: &Options) -> Result<Self, GuestError> {
        let tpm = if options.tpm {
            Some(start_tpm(files, options)?)
        } else {
            None
        };
        let mut qemu = options.command("qemu-system-x86_64");
        qemu.args(arguments(files, options))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log(files, "qemu")?);
        let qemu = spawn(qemu, options.detached)?;
        note(files, "qemu", &qemu)?;
        Ok(Self { qemu, tpm })
    }

    /// An error that says why QEMU is not there any more, if it isn't.
    pub fn alive(&mut self, files: &Files) -> Result<(), GuestError> {
        match self.qemu.try_wait() {
            Ok(None) => Ok(()),
            ended => Err(GuestError::Ended(format!(
                "{ended:?}: {}",
                std::fs::read_to_string(files.directory().join("qemu.log")).unwrap_or_default()
            ))),
        }
    }

    /// As if the mains were cut; the TPM goes too.
    pub fn power_off(&mut self) {
        end(&mut self.qemu);
        self.remove_tpm();
    }

    /// As if the TPM were gone, with the guest running.
    pub fn remove_tpm(&mut self) {
        if let Some(tpm) = self.tpm.as_mut() {
            end(tpm);
        }
        self.tpm = None;
    }
}

fn end(child: &mut Child) {
    // Either may fail only when it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Where a program's complaints go, for the message when it ends.
fn log(files: &Files, name: &str) -> Result<Stdio, GuestError> {
    let path = files.directory().join(format!("{name}.log"));
    std::fs::File::create(&path)
        .map(Stdio::from)
        .map_err(|e| GuestError::io(path.display(), e))
}

fn note(files: &Files, name: &str, child: &Child) -> Result<(), GuestError> {
    let path = files.pid(name);
    std::fs::write(&path, format!("{}\n", child.id()))
        .map_err(|e| GuestError::io(path.display(), e))
}

fn start_tpm(files: &Files, options: &Options) -> Result<Child, GuestError> {
    let state = files.tpm_state();
    std::fs::create_dir_all(&state).map_err(|e| GuestError::io(state.display(), e))?;
    let socket = files.tpm();
    // A socket left by one that was killed.
    let _ = std::fs::remove_file(&socket);
    let mut command = options.command("swtpm");
    command
        .args(["socket", "--tpm2", "--tpmstate"])
        .arg(format!("dir={}", state.display()))
        .arg("--ctrl")
        .arg(format!("type=unixio,path={}", socket.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log(files, "swtpm")?);
    let mut child = spawn(command, options.detached)?;
    note(files, "swtpm", &child)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !socket.exists() {
        if Instant::now() > deadline || !matches!(child.try_wait(), Ok(None)) {
            end(&mut child);
            let log = std::fs::read_to_string(files.directory().join("swtpm.log"));
            return Err(GuestError::Ended(format!(
                "swtpm: {}",
                log.unwrap_or_default()
            )));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

fn arguments(files: &Files, options: &Options) -> Vec<String> {
    let mut all: Vec<String> = Accelerator::working(&options.image)
        .arguments()
        .map(str::to_owned)
        .into();
    let path = |path: PathBuf| path.display().to_string().replace(',', ",,");
    let mut add = |option: &str, value: String| all.extend([option.to_owned(), value]);
    add("-machine", "q35".into());
    add("-smp", options.processors.to_string());
    add("-m", options.memory.to_string());
    add("-display", "none".into());
    add("-kernel", path(options.image.join("vmlinuz")));
    add("-initrd", path(options.image.join("initrd")));
    add("-append", command_line(&options.append));
    // A guest of a test needs no flush to the disk, only to outlive its own reboots.
    add(
        "-drive",
        format!(
            "file={},format=raw,if=virtio,cache=unsafe",
            path(files.disk())
        ),
    );
    add(
        "-chardev",
        format!(
            "socket,id=console,path={},server=on,wait=off,logfile={}",
            path(files.console()),
            path(files.console_log())
        ),
    );
    add("-serial", "chardev:console".into());
    add("-device", "virtio-serial-pci".into());
    add(
        "-chardev",
        format!(
            "socket,id=agent,path={},server=on,wait=off",
            path(files.agent())
        ),
    );
    add(
        "-device",
        format!("virtserialport,chardev=agent,name={}", wire::PORT),
    );
    add("-device", "virtio-rng-pci".into());
    if options.tpm {
        add(
            "-chardev",
            format!("socket,id=tpm,path={}", path(files.tpm())),
        );
        add("-tpmdev", "emulator,id=tpm,chardev=tpm".into());
        add("-device", "tpm-tis,tpmdev=tpm".into());
    }
    all.push("-nodefaults".into());
    all
}

fn command_line(more: &str) -> String {
    // The BPF LSM must be among the active ones for enforcement hooks to fire.
    format!("console=ttyS0 root=/dev/vda1 rw quiet oops=panic audit=0 lsm=landlock,lockdown,yama,bpf {more}")
        .trim_end()
        .to_owned()
}

/// Starts a program that dies with this process, or with nobody when it is detached. The kernel
/// means the parent's *thread*, so one thread that never ends starts them all.
fn spawn(mut command: Command, detached: bool) -> Result<Child, GuestError> {
    type Order = (Command, Sender<io::Result<Child>>);
    static KEEPER: OnceLock<Sender<Order>> = OnceLock::new();
    let name = command.get_program().display().to_string();
    if !detached {
        die_with_parent(&mut command);
    }
    let keeper = KEEPER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Whoever asked waits for it.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = channel();
    let lost = || io::Error::other("the thread that starts programs is gone");
    keeper
        .send((command, answer))
        .map_err(|_| lost())
        .and_then(|()| child.recv().map_err(|_| lost())?)
        .map_err(|error| GuestError::io(name, error))
}

impl Options {
    fn command(&self, program: &str) -> Command {
        if self.detached {
            // A session of its own: the terminal's end doesn't reach it.
            let mut command = Command::new("setsid");
            command.arg(program);
            command
        } else {
            Command::new(program)
        }
    }
}

/// Has a directory removed when this process is gone and the returned pipe with it: a guest in a
/// `static`, as tests share one, is never dropped.
pub(crate) fn clean_up_after_us(directory: &Path) -> Result<ChildStdin, GuestError> {
    let failed = |error| GuestError::io("sh", error);
    Command::new("/bin/sh")
        .args(["-c", "read -r _; rm -rf -- \"$1\"", "janitor"])
        .arg(directory)
        // Not ended by the Ctrl-C that ends us.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?
        .stdin
        .ok_or_else(|| failed(io::Error::other("it has no input")))
}

/// Copies the image's disk; holes stay holes, and a file system that can shares the blocks.
pub(crate) fn copy_disk(image: &Path, to: &Path) -> Result<(), GuestError> {
    let from = image.join("quantumos.raw");
    let status = Command::new("cp")
        .args(["--sparse=always", "--reflink=auto", "--"])
        .arg(&from)
        .arg(to)
        .status()
        .map_err(|e| GuestError::io("cp", e))?;
    if status.success() {
        Ok(())
    } else {
        Err(GuestError::NoImage(image.to_path_buf()))
    }
}

//! A software TPM of one test's own: swtpm on Unix sockets in a temporary directory, killed with
//! the value. The TSS of the distribution can only reach a software TPM over TCP, so two loopback
//! ports that the kernel picks lead to the sockets; what passes through can be recorded.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{Error, bus::die_with_parent, wait::PATIENCE};

/// More than a test's traffic; recording stops there.
const LONGEST_RECORD: usize = 16 << 20;

/// A software TPM.
#[derive(Debug)]
pub struct Swtpm {
    child: Option<Child>,
    directory: TempDir,
    gateway: Gateway,
}

impl Swtpm {
    /// Starts a TPM that nobody has used before.
    ///
    /// # Errors
    /// When swtpm isn't installed or doesn't come up.
    pub fn start() -> Result<Self, Error> {
        let directory = tempfile::tempdir().map_err(|e| Error::start("TPM directory", e))?;
        let gateway = Gateway::open(directory.path())?;
        let mut tpm = Self {
            child: None,
            directory,
            gateway,
        };
        tpm.power_on()?;
        Ok(tpm)
    }

    /// How the TSS reaches it.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.gateway.port)
    }

    /// Kills it, as if the chip were gone. Its state stays for [`Swtpm::power_on`].
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have died already, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
        for name in [SERVER, CONTROL] {
            let _ = std::fs::remove_file(self.directory.path().join(name));
        }
    }

    /// Has it take commands without answering until [`Swtpm::resume`].
    ///
    /// # Errors
    /// When it isn't running.
    pub fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on after [`Swtpm::pause`].
    ///
    /// # Errors
    /// When it isn't running.
    pub fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let gone = || Error::start("swtpm", std::io::Error::other("it is not running"));
        let child = self.child.as_ref().ok_or_else(gone)?;
        let id = i32::try_from(child.id()).map_err(|_| gone())?;
        kill(Pid::from_raw(id), signal).map_err(|e| Error::start("swtpm", e))
    }

    /// Starts it again with the state that it had.
    ///
    /// # Errors
    /// When swtpm doesn't come up.
    pub fn power_on(&mut self) -> Result<(), Error> {
        self.kill();
        let state = self.directory.path().join("state");
        std::fs::create_dir_all(&state).map_err(|e| Error::start("TPM state", e))?;
        let socket = |name: &str| self.directory.path().join(name);
        let mut command = Command::new("swtpm");
        command
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg("--tpmstate")
            .arg(format!("dir={}", state.display()))
            .arg("--server")
            .arg(format!("type=unixio,path={}", socket(SERVER).display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", socket(CONTROL).display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        die_with_parent(&mut command);
        let child = command.spawn().map_err(|e| Error::start("swtpm", e))?;
        let child = self.child.insert(child);
        let deadline = Instant::now() + PATIENCE;
        while !(socket(SERVER).exists() && socket(CONTROL).exists()) {
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                let gone = std::io::Error::other(format!("it gave no sockets ({ended:?})"));
                return Err(Error::start("swtpm", gone));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Puts another, unused TPM in its place, at the same address.
    ///
    /// # Errors
    /// When swtpm doesn't come up.
    pub fn replace(&mut self) -> Result<(), Error> {
        self.kill();
        std::fs::remove_dir_all(self.directory.path().join("state"))
            .map_err(|e| Error::start("TPM state", e))?;
        self.power_on()
    }

    /// From now on keeps what passes between the TPM and its users.
    pub fn record(&self) {
        self.gateway.tap().kept = Some(Vec::new());
    }

    /// What has passed since [`Swtpm::record`], both directions in the order seen.
    pub fn recorded(&self) -> Vec<u8> {
        self.gateway.tap().kept.clone().unwrap_or_default()
    }

    /// From now on stands between TPM and users: these bytes of what passes become those, of the same
    /// length. Who needs it to be one message has to know that it is.
    pub fn swap(&self, bytes: &[u8], by: &[u8]) {
        self.gateway.tap().swaps.push((bytes.into(), by.into()));
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.kill();
    }
}

const SERVER: &str = "server";
const CONTROL: &str = "control";

/// What is done with what passes.
#[derive(Debug, Default)]
struct Tap {
    kept: Option<Vec<u8>>,
    swaps: Vec<(Vec<u8>, Vec<u8>)>,
}

type Record = Arc<Mutex<Tap>>;

/// Two neighbouring ports, as the TSS wants them: commands and control.
#[derive(Debug)]
struct Gateway {
    port: u16,
    ending: Arc<AtomicBool>,
    record: Record,
}

impl Gateway {
    fn open(directory: &Path) -> Result<Self, Error> {
        let (server, control) = neighbours().map_err(|e| Error::start("TPM ports", e))?;
        let port = server
            .local_addr()
            .map_err(|e| Error::start("TPM ports", e))?
            .port();
        let gateway = Self {
            port,
            ending: Arc::default(),
            record: Arc::default(),
        };
        for (listener, name) in [(server, SERVER), (control, CONTROL)] {
            let socket = directory.join(name);
            let (ending, record) = (gateway.ending.clone(), gateway.record.clone());
            std::thread::spawn(move || accept(&listener, &socket, &ending, &record));
        }
        Ok(gateway)
    }

    fn tap(&self) -> MutexGuard<'_, Tap> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        for port in [self.port, self.port + 1] {
            // Wakes the thread that accepts; it sees the flag and ends.
            drop(TcpStream::connect(("127.0.0.1", port)));
        }
    }
}

/// Listens on two neighbouring ports, the first picked by the kernel.
fn neighbours() -> std::io::Result<(TcpListener, TcpListener)> {
    let mut last = None;
    for _ in 0..100 {
        let first = TcpListener::bind(("127.0.0.1", 0))?;
        let Some(next) = first.local_addr()?.port().checked_add(1) else {
            continue;
        };
        match TcpListener::bind(("127.0.0.1", next)) {
            Ok(second) => return Ok((first, second)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("no free ports")))
}

fn accept(listener: &TcpListener, socket: &PathBuf, ending: &AtomicBool, record: &Record) {
    for stream in listener.incoming() {
        if ending.load(Ordering::SeqCst) {
            return;
        }
        // Without a TPM behind it the connection just closes, as a dead TPM's would.
        let (Ok(outer), Ok(inner)) = (stream, UnixStream::connect(socket)) else {
            continue;
        };
        let _ = outer.set_nodelay(true);
        let (Ok(outer2), Ok(inner2)) = (outer.try_clone(), inner.try_clone()) else {
            continue;
        };
        let (one, two) = (record.clone(), record.clone());
        std::thread::spawn(move || {
            pump(&outer, &inner, &one);
            let _ = inner.shutdown(Shutdown::Both);
            let _ = outer.shutdown(Shutdown::Both);
        });
        std::thread::spawn(move || {
            pump(&inner2, &outer2, &two);
            let _ = inner2.shutdown(Shutdown::Both);
            let _ = outer2.shutdown(Shutdown::Both);
        });
    }
}

fn pump(mut from: impl Read, mut to: impl Write, record: &Record) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut tap = record.lock().unwrap_or_else(PoisonError::into_inner);
        for (bytes, by) in &tap.swaps {
            let mut windows = buffer[..count].windows(bytes.len());
            if let Some(at) = windows.position(|window| window == bytes) {
                buffer[at..at + by.len()].copy_from_slice(by);
            }
        }
        if let Some(kept) = tap.kept.as_mut().filter(|kept| kept.len() < LONGEST_RECORD) {
            kept.extend_from_slice(&buffer[..count]);
        }
        drop(tap);
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

//! Runs inside a test's guest and starts the commands that come over the virtio port, many at once.
//! It survives whatever it starts and has no way in but that port.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use quantumos_harness::guest::wire::{Frame, Kind, LONGEST, NO_COMMAND, PORT};

type Port = Arc<Mutex<File>>;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quantumos-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let path = port()?;
    let mut reader = OpenOptions::new().read(true).write(true).open(path)?;
    let writer = Arc::new(Mutex::new(reader.try_clone()?));
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let mut commands = Commands::default();
    let mut left = false;
    let mut next = Frame::read_sync(&mut reader).map(Some);
    loop {
        match next {
            Ok(Some(frame)) if frame.kind == Kind::Sync => {
                if std::mem::take(&mut left) {
                    // Whoever sent those before has gone: their input has ended.
                    commands = Commands::default();
                }
                let mut payload = frame.payload;
                payload.extend_from_slice(boot.trim().as_bytes());
                send(&writer, &Frame::new(NO_COMMAND, Kind::Here, payload))?;
            }
            Ok(Some(frame)) => commands.take(frame, &writer),
            Ok(None) => {
                left = true;
                std::thread::sleep(PAUSE);
            }
            Err(_) => {
                // What came was no frame, or half of one.
                left = true;
                std::thread::sleep(PAUSE);
                next = Frame::read_sync(&mut reader).map(Some);
                continue;
            }
        }
        next = next_frame(&mut reader);
    }
}

/// How long to wait where a read returned at once because nobody is at the port's other end.
const PAUSE: Duration = Duration::from_millis(50);

/// The next frame; `None` when nobody is at the other end. That is no end of the frames: the kernel learns of
/// another connection on one queue and of its bytes on another, so that the port may look abandoned after the
/// first frame of a new connection was read.
fn next_frame(port: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut first = [0];
    if port.read(&mut first)? == 0 {
        return Ok(None);
    }
    Frame::read(&mut first.chain(Patient(port))).map(Some)
}

/// Reads on for a second where the port looks abandoned.
struct Patient<'a, R>(&'a mut R);

impl<R: Read> Read for Patient<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..20 {
            let count = self.0.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(0)
    }
}

/// The device behind the port of our name.
fn port() -> io::Result<PathBuf> {
    for entry in std::fs::read_dir("/sys/class/virtio-ports")? {
        let entry = entry?;
        let name = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim() == PORT {
            return Ok(PathBuf::from("/dev").join(entry.file_name()));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("no port {PORT}"),
    ))
}

fn send(port: &Port, frame: &Frame) -> io::Result<()> {
    frame.write(&mut *port.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What runs, by id.
#[derive(Default)]
struct Commands(HashMap<u32, (Sender<Vec<u8>>, Pid)>);

impl Commands {
    fn take(&mut self, frame: Frame, port: &Port) {
        match frame.kind {
            Kind::Start => match start(&frame.payload) {
                Ok(child) => {
                    let (input, lines) = channel();
                    // Linux process ids fit.
                    let pid = Pid::from_raw(child.id().cast_signed());
                    self.0.insert(frame.id, (input, pid));
                    attend(child, frame.id, lines, port);
                }
                Err(error) => {
                    let refusal = Frame::new(frame.id, Kind::Refused, error.to_string());
                    // The port's end shows at the next read.
                    let _ = send(port, &refusal);
                }
            },
            Kind::Input => {
                if let Some((input, _)) = self.0.get(&frame.id) {
                    // It has ended: its input goes nowhere.
                    let _ = input.send(frame.payload);
                }
            }
            Kind::Kill => {
                if let Some((_, pid)) = self.0.get(&frame.id) {
                    // It has ended already, perhaps.
                    let _ = killpg(*pid, Signal::SIGKILL);
                }
            }
            _ => {}
        }
    }
}

fn start(packed: &[u8]) -> io::Result<Child> {
    let text = std::str::from_utf8(packed).map_err(io::Error::other)?;
    let mut arguments = text.split_terminator('\0');
    let program = arguments
        .next()
        .ok_or_else(|| io::Error::other("no program named"))?;
    Command::new(program)
        .args(arguments)
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Moves the command's input and outputs and tells its end, after all it has printed.
fn attend(mut child: Child, id: u32, input: Receiver<Vec<u8>>, port: &Port) {
    if let Some(mut stdin) = child.stdin.take() {
        std::thread::spawn(move || {
            for bytes in input {
                if bytes.is_empty() || stdin.write_all(&bytes).is_err() {
                    return;
                }
            }
        });
    }
    let outputs = [
        child
            .stdout
            .take()
            .map(|from| pump(from, id, Kind::Output, port.clone())),
        child
            .stderr
            .take()
            .map(|from| pump(from, id, Kind::Error, port.clone())),
    ];
    let port = port.clone();
    std::thread::spawn(move || {
        for output in outputs.into_iter().flatten() {
            // A panic there has been reported by the thread itself.
            let _ = output.join();
        }
        let code = child.wait().map_or(-1, |status| {
            status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
                .unwrap_or(-1)
        });
        let _ = send(&port, &Frame::new(id, Kind::Exit, code.to_le_bytes()));
    });
}

fn pump(
    mut from: impl Read + Send + 'static,
    id: u32,
    kind: Kind,
    port: Port,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; LONGEST / 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let part = buffer.get(..count).unwrap_or_default();
            if send(&port, &Frame::new(id, kind, part)).is_err() {
                return;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test says so by failing

    use super::*;

    /// A port that gives these parts, one a read; an empty one is a read that finds nobody there.
    struct Parts(Vec<Vec<u8>>);

    impl Read for Parts {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(part) = self.0.first_mut() else {
                return Ok(0);
            };
            let count = part.len().min(buffer.len());
            buffer[..count].copy_from_slice(&part[..count]);
            part.drain(..count);
            if part.is_empty() {
                self.0.remove(0);
            }
            Ok(count)
        }
    }

    #[test]
    fn a_port_that_looks_abandoned_for_a_moment_loses_no_frame() {
        let frame = Frame::new(7, Kind::Start, *b"true\0");
        let mut bytes = Vec::new();
        frame.write(&mut bytes).unwrap();
        let gap = Vec::new;
        for cut in 1..bytes.len() {
            let (front, back) = bytes.split_at(cut);
            let mut port = Parts(vec![gap(), front.to_vec(), gap(), back.to_vec()]);
            assert_eq!(next_frame(&mut port).unwrap(), None);
            assert_eq!(next_frame(&mut port).unwrap(), Some(frame.clone()), "{cut}");
        }
    }

    #[test]
    fn half_a_frame_and_then_nobody_is_an_error() {
        let mut bytes = Vec::new();
        let frame = Frame::new(7, Kind::Start, *b"true\0");
        frame.write(&mut bytes).unwrap();
        let mut port = Parts(vec![bytes[..6].to_vec()]);
        assert!(next_frame(&mut port).is_err());
    }
}

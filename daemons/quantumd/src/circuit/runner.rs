//! The process that runs a circuit: systemd starts it for each connection to quantum-circuit.socket, or
//! quantumd where no systemd is. Reads what to do, says what it takes, waits for leave, runs. It ends
//! with its connection.

use super::wire::{Failure, Lines, Order, Report, TASK_MAX, Work, send};
use nix::sys::resource::{Resource, setrlimit};
use quantumos_circuit::run::{self, Request};
use quantumos_circuit::task::Answer;
use quantumos_circuit::workload::{QUBITS_MAX, WORKLOADS, Workload, sizes};
use quantumos_circuit::{Error, Watch};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a process takes besides what the engine counts: its code, threads, texts.
const OVERHEAD: u64 = 96 << 20;
/// How often progress is told.
const PAUSE: Duration = Duration::from_millis(100);
/// Shots of a circuit that is timed, and how often: the median counts.
const BENCHMARK_SHOTS: u64 = 100;
const ROUNDS: [usize; 2] = [3, 5];

/// Serves the connection that is this process's standard input.
#[must_use]
pub fn main() -> ExitCode {
    match io::stdin().as_fd().try_clone_to_owned() {
        Ok(socket) => match serve(UnixStream::from(socket)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("quantum-circuit: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("quantum-circuit: standard input: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(stream: UnixStream) -> io::Result<()> {
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let groups = std::fs::read_to_string("/proc/self/cgroup")?;
    let available = available(&memory)
        .ok_or_else(|| io::Error::other("/proc/meminfo does not say what is available"))?;
    let here = Report::Here {
        unit: unit(&groups),
        available,
    };
    send(&stream, &here)?;
    let mut lines = Lines::new(&stream, TASK_MAX);
    let file = lines.file()?;
    let Some(Order::Plan { work, most, kept }) = lines.message()? else {
        return Ok(());
    };
    let available = available.min(most);
    let watch = Arc::new(Watch::keeping(&kept));
    drop(kept);
    let voice = Arc::new(Mutex::new(()));
    let done = prepare(work, available).and_then(|(plan, job)| {
        let go = |error: io::Error| (Failure::Internal, error.to_string());
        send(&stream, &plan).map_err(go)?;
        let Some(Order::Go {
            bytes,
            confine,
            keep_seconds,
        }) = lines.message().map_err(go)?
        else {
            return Err((Failure::Cancelled, "nobody waits".to_owned()));
        };
        if confine {
            setrlimit(Resource::RLIMIT_DATA, bytes, bytes).map_err(|e| go(e.into()))?;
        }
        let keep = (keep_seconds > 0).then(|| Duration::from_secs(keep_seconds));
        attend(&stream, &watch, &voice, keep).map_err(go)?;
        job.run(&watch, file)
    });
    // Nothing of the other thread's may come between the parts of this.
    let _speaks = voice.lock().unwrap_or_else(PoisonError::into_inner);
    match done {
        Ok(media_type) => send(&stream, &Report::Done(media_type.to_owned())),
        Err((kind, message)) => send(&stream, &Report::Failed { kind, message }),
    }
}

/// Tells progress and what is done from a thread of its own, and ends the process when nobody listens any
/// more.
fn attend(
    stream: &UnixStream,
    watch: &Arc<Watch>,
    voice: &Arc<Mutex<()>>,
    keep: Option<Duration>,
) -> io::Result<()> {
    let (mut stream, watch, voice) = (stream.try_clone()?, watch.clone(), voice.clone());
    stream.set_read_timeout(Some(PAUSE))?;
    std::thread::spawn(move || {
        let (mut told, mut stored) = (0.0, Instant::now());
        loop {
            let waits = |error: &io::Error| {
                use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
                matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
            };
            // quantumd says nothing more: only the end of the connection can be read.
            let mut here = stream.read(&mut [0]).is_err_and(|error| waits(&error));
            let speaks = voice.lock().unwrap_or_else(PoisonError::into_inner);
            if keep.is_some_and(|pause| stored.elapsed() >= pause) {
                stored = Instant::now();
                for line in watch.fresh() {
                    here &= send(&stream, &Report::Keep(line)).is_ok();
                }
            }
            let progress = watch.progress();
            if progress > told {
                told = progress;
                here &= send(&stream, &Report::Progress(progress)).is_ok();
            }
            drop(speaks);
            if !here {
                std::process::exit(0);
            }
        }
    });
    Ok(())
}

type Refusal = (Failure, String);

fn refusal(error: &Error) -> Refusal {
    (error.into(), error.to_string())
}

enum Job {
    Task(quantumos_circuit::task::Ready),
    Benchmark(u32, bool, u64),
}

fn prepare(work: Work, available: u64) -> Result<(Report, Job), Refusal> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let room = available.saturating_sub(OVERHEAD);
    match work {
        Work::Task(task) => {
            let text = 16 * task.circuit.len() as u64;
            let room = room.saturating_sub(text);
            let ready = task.ready(threads, room).map_err(|e| refusal(&e))?;
            let plan = Report::Plan {
                bytes: ready.bytes.saturating_add(OVERHEAD + text),
                method: ready.method.clone(),
            };
            Ok((plan, Job::Task(ready)))
        }
        Work::Benchmark { max_qubits, full } => {
            if !(2..=QUBITS_MAX).contains(&max_qubits) {
                let message = format!("max_qubits is from 2 to {QUBITS_MAX}, not {max_qubits}");
                return Err((Failure::Argument, message));
            }
            // As much as the largest circuit that is timed takes, of half of what there is.
            let room = room / 2;
            let mut bytes = 0;
            for Workload { method, make, .. } in WORKLOADS {
                for qubits in sizes(max_qubits, full, method) {
                    let circuit = make(qubits).map_err(|e| refusal(&e))?;
                    match run::explain(&circuit, &request(method, threads, room)) {
                        Ok(plan) => bytes = bytes.max(u64::try_from(plan.bytes).unwrap_or(room)),
                        Err(_) => break,
                    }
                }
            }
            let plan = Report::Plan {
                bytes: bytes.saturating_add(2 * OVERHEAD),
                method: format!("each method up to {max_qubits} qubits, as far as memory reaches"),
            };
            Ok((plan, Job::Benchmark(max_qubits, full, room)))
        }
    }
}

fn request(method: run::Choice, threads: usize, available: u64) -> Request {
    Request {
        method,
        shots: BENCHMARK_SHOTS,
        threads,
        available,
        ..Request::default()
    }
}

impl Job {
    fn run(self, watch: &Watch, file: OwnedFd) -> Result<&'static str, Refusal> {
        let mut file = io::BufWriter::with_capacity(1 << 16, File::from(file));
        let answer = match self {
            Self::Task(ready) => ready.run(watch).map_err(|e| refusal(&e))?,
            Self::Benchmark(most, full, room) => {
                Answer::Document(benchmark(most, full, room, watch).map_err(|e| refusal(&e))?)
            }
        };
        let failed = |error: io::Error| (Failure::Internal, format!("the result: {error}"));
        let media_type = match answer {
            Answer::Document(document) => {
                serde_json::to_writer(&mut file, &document).map_err(|e| failed(e.into()))?;
                "application/json"
            }
            Answer::Amplitudes(amplitudes) => {
                for amplitude in amplitudes {
                    let mut pair = [0; 16];
                    pair[..8].copy_from_slice(&amplitude.re.to_le_bytes());
                    pair[8..].copy_from_slice(&amplitude.im.to_le_bytes());
                    file.write_all(&pair).map_err(failed)?;
                }
                "application/octet-stream"
            }
        };
        file.flush().map_err(failed)?;
        Ok(media_type)
    }
}

/// Times every method; a watch of its own for each run, so that progress is that of the whole.
fn benchmark(most: u32, full: bool, room: u64, watch: &Watch) -> Result<Value, Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results = Vec::new();
    let all: usize = WORKLOADS
        .iter()
        .map(|w| sizes(most, full, w.method).len())
        .sum();
    watch.expect(all as u64);
    for Workload { name, method, make } in WORKLOADS {
        let sizes = sizes(most, full, method);
        for &qubits in &sizes {
            let circuit = make(qubits)?;
            let request = request(method, threads, room);
            if run::explain(&circuit, &request).is_ok() {
                let mut times = Vec::new();
                for _ in 0..ROUNDS[usize::from(full)] {
                    watch.check()?;
                    let start = Instant::now();
                    run::run(&circuit, &request, &Watch::default())?;
                    times.push(start.elapsed().as_secs_f64() * 1e3);
                }
                times.sort_by(f64::total_cmp);
                results.push(json!({
                    "circuit": name,
                    "method": method.name(),
                    "qubits": qubits,
                    "milliseconds": times[times.len() / 2],
                }));
            }
            watch.advance(1);
        }
    }
    Ok(json!({"results": results}))
}

/// What the kernel says can be had without swapping, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The unit of this process, if it is one of those that quantum-circuit.socket starts.
fn unit(cgroup: &str) -> Option<String> {
    let path = cgroup
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .or_else(|| {
            cgroup
                .lines()
                .find_map(|l| l.split_once(":name=systemd:").map(|p| p.1))
        })?;
    let name = path.rsplit('/').next()?;
    (name.starts_with("quantum-circuit@") && name.ends_with(".service")).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_unit_are_read() {
        let text = "MemTotal: 9 kB\nMemAvailable:   12 kB\n";
        assert_eq!(available(text), Some(12 * 1024));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
        let own = "quantum-circuit@3-77-998.service";
        let two = format!("0::/system.slice/system-quantum\\x2dcircuit.slice/{own}\n");
        let one = format!("5:cpu:/\n1:name=systemd:/system.slice/{own}\n");
        assert_eq!(unit(&two).as_deref(), Some(own));
        assert_eq!(unit(&one).as_deref(), Some(own));
        assert_eq!(unit("0::/user.slice/session-1.scope\n"), None);
    }
}

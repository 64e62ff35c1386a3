//! What the eBPF probes deliver and cost on this kernel: the rate that is drained without loss, the time from an
//! exec to its event, the time in each probe. Needs CAP_BPF and CAP_PERFMON.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use quantumos_ebpf::{
    Access, Class, Event, Pattern, ProgramStatistics, Rings, RunTime, SecurityProbes, Settings,
    Watch,
};
use std::os::fd::AsFd;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long each rate is held.
const STORM: Duration = Duration::from_secs(2);
/// Programs run for the latency.
const EXECS: usize = 1_000;

/// Measures, and gives each figure to `report` as name, value and unit.
///
/// # Errors
///
/// When the probes cannot be loaded, or an event that must come does not.
pub fn measure(report: &mut dyn FnMut(&str, f64, &str)) -> Outcome<()> {
    drained(report)?;
    latency(report)?;
    cost(report)
}

/// The highest rate at which nothing is lost: as many threads as there are processors connect datagram
/// sockets as fast as they can, then fewer, until the reader keeps up.
fn drained(report: &mut dyn FnMut(&str, f64, &str)) -> Outcome<()> {
    let settings = Settings {
        classes: [Class::Connect].into(),
        ignore_self: false,
        ring_bytes: [(Class::Connect, 16 << 20)].into(),
        ..Settings::default()
    };
    let most = std::thread::available_parallelism()?.get();
    for threads in (1..=most).rev() {
        let mut probes = SecurityProbes::load(&settings)?;
        let mut rings = probes.take_rings().ok_or("the rings are gone")?;
        let stop = Arc::new(AtomicBool::new(false));
        let producers: Vec<_> = (0..threads)
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || connect_until(&stop))
            })
            .collect();
        let start = Instant::now();
        let mut received = 0;
        while start.elapsed() < STORM {
            received += drain(&mut rings, Duration::from_millis(10))?;
        }
        stop.store(true, Ordering::Relaxed);
        let elapsed = start.elapsed();
        for producer in producers {
            producer.join().map_err(|_| "a producer failed")??;
        }
        let lost = probes.lost()?.get(&Class::Connect).copied().unwrap_or(0);
        eprintln!("{threads} producers: {received} received, {lost} lost");
        if lost == 0 {
            report(
                "events.drained-without-loss",
                received as f64 / elapsed.as_secs_f64(),
                "events/s",
            );
            return Ok(());
        }
    }
    report("events.drained-without-loss", 0.0, "events/s");
    Ok(())
}

fn connect_until(stop: &AtomicBool) -> std::io::Result<()> {
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = peer.local_addr()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    while !stop.load(Ordering::Relaxed) {
        socket.connect(address)?;
    }
    Ok(())
}

/// Waits for events and takes what is there; how many there were.
fn drain(rings: &mut Rings, at_most: Duration) -> Outcome<usize> {
    wait(rings, at_most)?;
    Ok(rings.drain(8192, &mut |_| {}).events)
}

fn wait(rings: &Rings, at_most: Duration) -> Outcome<()> {
    let timeout = PollTimeout::try_from(at_most)?;
    let mut fds = [PollFd::new(rings.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, timeout)?;
    Ok(())
}

/// From the exec in the kernel to the decoded event in a reader that waits for it.
fn latency(report: &mut dyn FnMut(&str, f64, &str)) -> Outcome<()> {
    let settings = Settings {
        classes: [Class::Exec].into(),
        ..Settings::default()
    };
    let mut probes = SecurityProbes::load(&settings)?;
    let mut rings = probes.take_rings().ok_or("the rings are gone")?;
    let own = std::process::id();
    let runner = std::thread::spawn(|| {
        for _ in 0..EXECS {
            run("/bin/true")?;
        }
        std::io::Result::Ok(())
    });
    let mut nanoseconds = Vec::with_capacity(EXECS);
    let deadline = Instant::now() + Duration::from_secs(120);
    while nanoseconds.len() < EXECS {
        if Instant::now() > deadline {
            return Err(format!("{} of {EXECS} execs were seen", nanoseconds.len()).into());
        }
        wait(&rings, Duration::from_secs(1))?;
        let mut arrived = Vec::new();
        rings.drain(1024, &mut |event| {
            if let Event::Exec(exec) = event
                && exec.context.parent.pid == own
            {
                arrived.push(exec.context.time);
            }
        });
        let now = boot_time()?;
        nanoseconds.extend(arrived.into_iter().map(|time| now.saturating_sub(time)));
    }
    runner.join().map_err(|_| "the runner failed")??;
    nanoseconds.sort_unstable();
    report(
        "events.exec-to-event-p50",
        microseconds(&nanoseconds, 500),
        "us",
    );
    report(
        "events.exec-to-event-p99",
        microseconds(&nanoseconds, 990),
        "us",
    );
    Ok(())
}

/// Nanoseconds of the boot clock, which events are stamped with.
fn boot_time() -> Outcome<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    Ok(u64::try_from(now.as_nanos())?)
}

fn microseconds(sorted: &[u64], per_mille: usize) -> f64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted
        .get(rank - 1)
        .map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1000.0)
}

fn run(program: &str) -> std::io::Result<()> {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.status().map(drop)
}

/// The mean time in each probe while programs run and files are opened, most of them not watched.
fn cost(report: &mut dyn FnMut(&str, f64, &str)) -> Outcome<()> {
    let _counting = match RunTime::measure() {
        Ok(counting) => counting,
        Err(error) => {
            eprintln!("no time in probes: {error}");
            return Ok(());
        }
    };
    let watched = Watch {
        pattern: Pattern::Path(b"/etc/passwd".to_vec()),
        access: Access::Any,
    };
    let settings = Settings {
        watches: vec![watched],
        ignore_self: false,
        ..Settings::default()
    };
    let mut probes = SecurityProbes::load(&settings)?;
    let mut rings = probes.take_rings().ok_or("the rings are gone")?;
    let before = by_program(&probes)?;
    for _ in 0..200 {
        run("/bin/true")?;
        for _ in 0..50 {
            drop(std::fs::File::open("/etc/passwd")?);
            drop(std::fs::File::open("/etc/group")?);
        }
        rings.drain(4096, &mut |_| {});
    }
    for (program, after) in by_program(&probes)? {
        let (runs, time) = before
            .get(program)
            .map_or((0, Duration::ZERO), |then| (then.runs, then.run_time));
        let runs = after.runs - runs;
        if runs > 0 {
            let time = (after.run_time - time).as_nanos() as f64;
            let name = format!("events.probe-{}", program.replace('_', "-"));
            report(&name, time / runs as f64, "ns/run");
        }
    }
    Ok(())
}

fn by_program(probes: &SecurityProbes) -> Outcome<BTreeMap<&'static str, ProgramStatistics>> {
    Ok(probes
        .statistics()?
        .into_iter()
        .map(|one| (one.program, one))
        .collect())
}

//! A storm of events at a given rate, with producers and reader on two processors: what of it is lost. And beyond what
//! two can cause, with the producers on the others and the reader on its two: the curve of what is dropped. The reader
//! does what the daemon's does: it decodes, keeps the processes, and asks the whole pack of rules.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use quantumos_ebpf::{Class, SecurityProbes, Settings};
use security_ai::detector::{Detector, Ruling};
use security_ai::proc::Proc;
use std::os::fd::AsFd;

use crate::{Failure, Print};

/// How long each rate is held, and how often each is tried: the median counts.
const STORM: Duration = Duration::from_millis(1500);
const TRIES: usize = 5;
/// Events a second.
const RATES: [u64; 5] = [200_000, 300_000, 400_000, 600_000, 800_000];
/// Events a second beyond.
const BEYOND: [u64; 5] = [400_000, 600_000, 800_000, 1_200_000, 1_600_000];
/// Threads that cause them on two processors.
const PRODUCERS: u64 = 2;

/// Measures, and prints how much of each rate is lost.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    let before = sched_getaffinity(Pid::from_raw(0))?;
    let (two, others) = parted(&before)?;
    // Threads that are started later inherit it.
    sched_setaffinity(Pid::from_raw(0), &two)?;
    let measured = rates(print, "security.storm", &RATES, &two, PRODUCERS).and_then(|()| {
        let count = (0..CpuSet::count()).filter(|cpu| others.is_set(*cpu).unwrap_or(false));
        match count.count() as u64 {
            0 => {
                eprintln!("skipped: no processors for a storm beyond what two can cause");
                Ok(())
            }
            count => rates(print, "security.storm.beyond", &BEYOND, &others, count),
        }
    });
    sched_setaffinity(Pid::from_raw(0), &before)?;
    measured
}

/// Two processors, and the others.
fn parted(all: &CpuSet) -> Result<(CpuSet, CpuSet), Failure> {
    let (mut two, mut others) = (CpuSet::new(), CpuSet::new());
    let there = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu).unwrap_or(false));
    for (number, cpu) in there.enumerate() {
        let set = if number < 2 { &mut two } else { &mut others };
        set.set(cpu)?;
    }
    Ok((two, others))
}

fn rates(
    print: Print<'_>,
    name: &str,
    rates: &[u64],
    on: &CpuSet,
    producers: u64,
) -> Result<(), Failure> {
    for &rate in rates {
        let (mut lost, mut reached) = (Vec::new(), Vec::new());
        for _ in 0..TRIES {
            let (caused, missed, elapsed) = storm(rate, on, producers)?;
            lost.push(missed as f64 * 100.0 / caused.max(1) as f64);
            reached.push(caused as f64 / elapsed.as_secs_f64());
        }
        let (lost, reached) = (super::median(lost), super::median(reached));
        let name = format!("{name}.{}k", rate / 1000);
        print(&format!("{name}.reached"), reached, "events/s", "", None);
        print(&format!("{name}.lost"), lost, "%", "", None);
        // A higher rate would say the same.
        if reached < rate as f64 * 0.8 {
            eprintln!("{name}: these processors cause no more than {reached:.0} events/s");
            return Ok(());
        }
    }
    Ok(())
}

/// Events caused and lost, and how long it took to cause them.
fn storm(rate: u64, on: &CpuSet, count: u64) -> Result<(u64, u64, Duration), Failure> {
    let settings = Settings {
        classes: [Class::Connect].into(),
        ignore_self: false,
        ring_bytes: [(Class::Connect, 8 << 20)].into(),
        ..Settings::default()
    };
    let mut probes = SecurityProbes::load(&settings)?;
    let mut rings = probes.take_rings().ok_or("the rings are gone")?;
    let root = tempfile::tempdir()?;
    let rules = root.path().join("usr/lib/quantumos/security-ai");
    std::fs::create_dir_all(&rules)?;
    std::os::unix::fs::symlink(super::pack().canonicalize()?, rules.join("rules.d"))?;
    let ruling = Ruling::new(
        security_ai::rules::load(root.path(), &quantumos_detect::Options::default()),
        &security_ai::Rules::default(),
    );
    let mut detector = Detector::new(Arc::new(ruling), Proc::new("/proc"), 8192)?;
    detector.scan();

    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..count)
        .map(|_| {
            let (stop, on) = (Arc::clone(&stop), *on);
            std::thread::spawn(move || {
                sched_setaffinity(Pid::from_raw(0), &on)?;
                produce(rate / count, &stop)
            })
        })
        .collect();
    let (start, mut alerts) = (Instant::now(), 0_u64);
    let mut take = |rings: &mut quantumos_ebpf::Rings| -> Result<usize, Failure> {
        let mut fds = [PollFd::new(rings.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(10_u8))?;
        Ok(rings
            .drain(1024, &mut |event| {
                detector.take(&event, &mut |_| alerts += 1)
            })
            .events)
    };
    while start.elapsed() < STORM {
        take(&mut rings)?;
    }
    stop.store(true, Ordering::Relaxed);
    let elapsed = start.elapsed();
    let mut caused = 0;
    for producer in producers {
        caused += producer.join().map_err(|_| "a producer failed")??;
    }
    while take(&mut rings)? > 0 {}
    let lost = probes.lost()?.get(&Class::Connect).copied().unwrap_or(0);
    eprintln!("security.storm: {rate} asked, {caused} caused, {lost} lost, {alerts} alerts");
    Ok((caused, lost, elapsed))
}

/// Connects a datagram socket so often a second, in bursts of a millisecond's worth; how often it did.
fn produce(rate: u64, stop: &AtomicBool) -> std::io::Result<u64> {
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = peer.local_addr()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let start = Instant::now();
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX) * rate / 1_000_000;
        if done >= due {
            std::thread::sleep(Duration::from_micros(500));
        }
        // At most a few milliseconds' worth at once, however late the thread was.
        let burst = due.saturating_sub(done).min(rate / 250);
        for _ in 0..burst {
            socket.connect(address)?;
        }
        done += burst;
    }
    Ok(done)
}

//! The sets `security`: how many events the rules take a second, what each probe costs, how soon an alert is there, what
//! the daemon takes of memory, what a storm of events loses, and what a compile pays for being watched, beside the audit
//! system and bpftrace; in the booted image, where there is one, what a denial adds. Needs CAP_BPF and CAP_PERFMON.

pub mod compile;
pub mod deny;
pub mod everything;
pub mod guest;
mod peers;
pub mod rules;
pub mod storm;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quantumos_ebpf::{ProgramStatistics, RunTime, SecurityProbes, Settings};

use crate::{Failure, Print};

/// Rounds of the workload that the cost of a run is taken from.
const ROUNDS: usize = 2_000;

/// From an execution in the kernel to the alert's signal at a client of the bus.
///
/// # Errors
/// When the daemon or the bus can't be started, or an alert does not come.
pub fn latency(print: Print<'_>) -> Result<(), Failure> {
    let mut print = |name: &str, value: f64, unit: &str| {
        print(
            &name.replacen("events.", "security.", 1),
            value,
            unit,
            "",
            None,
        );
    };
    crate::alerts::measure(&mut print).map_err(|error| error.to_string().into())
}

/// The rules of our pack, from the sources that this program was built from.
fn pack() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../daemons/security-ai/rules")
}

/// The mean time in each probe, from the kernel's own statistics, while everything that it looks for happens.
///
/// # Errors
/// When the probes can't be loaded.
pub fn probes(print: Print<'_>) -> Result<(), Failure> {
    let _counting = match RunTime::measure() {
        Ok(counting) => counting,
        Err(error) => {
            eprintln!("skipped: no time in probes: {error}");
            return Ok(());
        }
    };
    let settings = Settings {
        ignore_self: false,
        ..Settings::default()
    };
    let mut probes = SecurityProbes::load(&settings)?;
    let mut rings = probes.take_rings().ok_or("the rings are gone")?;
    let before = by_program(&probes)?;
    let folder = tempfile::tempdir()?;
    for round in 0..ROUNDS {
        everything(folder.path(), round)?;
        rings.drain(8192, &mut |_| {});
    }
    let (mut runs, mut time) = (0, Duration::ZERO);
    for (program, after) in by_program(&probes)? {
        let then = before.get(program);
        let ran = after.runs - then.map_or(0, |then| then.runs);
        if ran == 0 {
            continue;
        }
        let took = after.run_time - then.map_or(Duration::ZERO, |then| then.run_time);
        let name = format!("security.probe.{}", program.replace('_', "-"));
        print(
            &name,
            took.as_nanos() as f64 / ran as f64,
            "ns/run",
            "",
            None,
        );
        runs += ran;
        time += took;
    }
    let all = time.as_nanos() as f64 / runs.max(1) as f64;
    print("security.probe.all", all, "ns/run", "", None);
    Ok(())
}

fn by_program(
    probes: &SecurityProbes,
) -> Result<BTreeMap<&'static str, ProgramStatistics>, Failure> {
    let all = probes.statistics()?;
    Ok(all.into_iter().map(|one| (one.program, one)).collect())
}

/// Files, sockets and now and then a program.
fn everything(folder: &Path, round: usize) -> Result<(), Failure> {
    let (first, second) = (folder.join("first"), folder.join("second"));
    fs::File::create(&first)?.write_all(b"x")?;
    fs::set_permissions(&first, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    fs::rename(&first, &second)?;
    fs::hard_link(&second, &first)?;
    fs::remove_file(&first)?;
    fs::remove_file(&second)?;
    std::os::unix::fs::symlink("nowhere", &first)?;
    fs::remove_file(&first)?;
    fs::create_dir(&first)?;
    fs::remove_dir(&first)?;
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b"x", peer.local_addr()?)?;
    if round.is_multiple_of(20) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        listener.accept()?;
        drop(stream);
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn()?;
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

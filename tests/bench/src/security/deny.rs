//! What it costs to decide whether an execution is refused, with other files and groups denied. Only a booted image has
//! the hook itself; there the processor may be emulated, and what it takes says nothing about a real one. So the same
//! decision is measured here, behind another hook.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use quantumos_ebpf::{Denial, DenyCost, RunTime};

use crate::{Failure, Print};

/// Turns, and executions of each.
const TURNS: usize = 9;
const EXECUTIONS: u64 = 200;

/// Measures.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    let _counting = match RunTime::measure() {
        Ok(counting) => counting,
        Err(error) => {
            eprintln!("skipped: no time in programs: {error}");
            return Ok(());
        }
    };
    let folder = tempfile::tempdir()?;
    let mut denials = Vec::new();
    for number in 0..1000_u64 {
        let file = folder.path().join(number.to_string());
        std::fs::write(&file, "")?;
        let metadata = std::fs::metadata(&file)?;
        denials.push(Denial::File {
            inode: metadata.ino(),
            device_major: u32::try_from(nix::sys::stat::major(metadata.dev()))?,
            device_minor: u32::try_from(nix::sys::stat::minor(metadata.dev()))?,
            cgroup: None,
        });
        denials.push(Denial::Group(number << 40));
    }
    let probe = DenyCost::load(&denials)?;
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let before = probe.statistics()?;
        for _ in 0..EXECUTIONS {
            Command::new("/bin/true").status()?;
        }
        let after = probe.statistics()?;
        let runs = after.runs - before.runs;
        if runs < EXECUTIONS {
            return Err(format!("{runs} decisions for {EXECUTIONS} executions").into());
        }
        let took = after.run_time.saturating_sub(before.run_time);
        turns.push(took.as_nanos() as f64 / runs as f64);
    }
    let each = super::median(turns);
    print("security.deny.decision", each, "ns/run", "", None);
    Ok(())
}

//! The set `idle.guest`: what the daemons cost in the booted image while nothing happens: processor time
//! by their units' own accounting, memory as the proportional share (PSS) of their processes.

use quantumos_dbus::SERVICES;
use quantumos_harness::guest::{Accelerator, Guest, Options};

use crate::{Failure, Print, image};

/// How long the daemons are left alone before, and how long they are watched, in seconds.
const SETTLE: u32 = 30;
const WINDOW: u32 = 60;

/// Measures the set.
///
/// # Errors
/// When the image doesn't boot or a daemon isn't there.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    let image = image()?;
    eprintln!(
        "idle.guest: the guest runs on {:?}",
        Accelerator::working(&image)
    );
    let guest = Guest::boot(Options::of(image))?;
    guest.run(&["systemctl", "is-system-running", "--wait"])?;
    guest.shell(&format!("sleep {SETTLE}"))?;
    let before = processor_time(&guest)?;
    guest.shell(&format!("sleep {WINDOW}"))?;
    let after = processor_time(&guest)?;
    let (mut time, mut memory) = (0.0, 0.0);
    for (service, (before, after)) in SERVICES.iter().zip(before.iter().zip(after)) {
        let unit = service.unit;
        // Nanoseconds of a window in seconds, as per cent of one processor.
        let percent = (after - before) as f64 / f64::from(WINDOW) / 1e7;
        let mebibytes = proportional_share(&guest, unit)?;
        print(&format!("idle.guest.{unit}.cpu"), percent, "%", "", None);
        print(
            &format!("idle.guest.{unit}.pss"),
            mebibytes,
            "MiB",
            "",
            None,
        );
        time += percent;
        memory += mebibytes;
    }
    print("idle.guest.all.cpu", time, "%", "", None);
    print("idle.guest.all.pss", memory, "MiB", "", None);
    Ok(())
}

/// Each unit's processor time until now, in nanoseconds.
fn processor_time(guest: &Guest) -> Result<Vec<u64>, Failure> {
    let units: Vec<&str> = SERVICES.iter().map(|service| service.unit).collect();
    let text = guest.shell(&format!(
        "for unit in {}; do systemctl show --value -p CPUUsageNSec $unit; done",
        units.join(" ")
    ))?;
    let times: Result<Vec<u64>, _> = text.lines().map(str::parse).collect();
    times.map_err(|_| format!("not all units are accounted for: {text}").into())
}

fn proportional_share(guest: &Guest, unit: &str) -> Result<f64, Failure> {
    let text = guest.shell(&format!(
        "awk '$1 == \"Pss:\" {{ sum += $2 }} END {{ print sum }}' \
         $(sed 's|.*|/proc/&/smaps_rollup|' /sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs)"
    ))?;
    let kibibytes: f64 = text.parse()?;
    Ok(kibibytes / 1024.0)
}

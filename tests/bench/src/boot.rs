//! The set `boot`: what the daemons add to the time that systemd takes to boot the image, with them
//! and with their units masked, in turns, so that what else the machine does hits both.

use quantumos_dbus::SERVICES;
use quantumos_harness::guest::{Accelerator, Guest, Options};

use crate::{Failure, Print, image};

/// Boots of each kind; the median counts.
const ROUNDS: usize = 5;

/// Measures the set.
///
/// # Errors
/// When the image doesn't boot.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    let image = image()?;
    eprintln!("boot: the guest runs on {:?}", Accelerator::working(&image));
    let masked: Vec<String> = SERVICES
        .iter()
        .map(|service| format!("systemd.mask={}.service", service.unit))
        .collect();
    let masked = masked.join(" ");
    // The first boot makes keys, users' state and caches; it is not counted.
    let mut guest = Guest::boot(Options::of(image))?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        for (append, times) in [("", &mut with), (masked.as_str(), &mut without)] {
            guest.power_cycle(append)?;
            times.push(userspace(&guest)?);
        }
        eprintln!("boot: round {round} of {ROUNDS}");
    }
    let (with, without) = (median(with), median(without));
    print("boot.userspace.with", with, "s", "", None);
    print("boot.userspace.without", without, "s", "", None);
    print("boot.added", with - without, "s", "", None);
    Ok(())
}

/// From the start of systemd to the end of its last job, in seconds.
fn userspace(guest: &Guest) -> Result<f64, Failure> {
    let text = guest.eventually(
        "set -e; t() { systemctl show --value -p $1; }; finish=$(t FinishTimestampMonotonic); \
         test \"$finish\" -gt 0; echo $((finish - $(t UserspaceTimestampMonotonic)))",
    )?;
    let microseconds: f64 = text.parse()?;
    Ok(microseconds / 1e6)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

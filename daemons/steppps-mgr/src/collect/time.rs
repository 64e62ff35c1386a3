//! Reads pressure, load, uptime and the clock source.

use quantumos_dimensions::time::{Clock, Pressure, Resource, Times, booted_at, load};

use super::text;
use crate::Roots;

/// Reads what proc and sysfs know of time, at `now` microseconds since the epoch.
pub(crate) fn read(roots: &Roots, now: u64) -> Times {
    let mut times = Times::default();
    for resource in Resource::ALL {
        let path = roots.proc.join("pressure").join(resource.file());
        if let Some(pressure) = text(&path) {
            times.sources.push(path.to_string_lossy().into_owned());
            match Pressure::parse(&pressure) {
                Ok(pressure) => times.pressure.push((resource, pressure)),
                Err(error) => times.errors.push(error),
            }
        }
    }
    let mut file = |name: &str| {
        let path = roots.proc.join(name);
        let text = text(&path)?;
        times.sources.push(path.to_string_lossy().into_owned());
        Some(text)
    };
    times.load = file("loadavg").and_then(|text| load(&text));
    times.booted_at = file("uptime").and_then(|text| booted_at(&text, now));
    let clocksource = roots.sys.join("devices/system/clocksource/clocksource0");
    let current = text(&clocksource.join("current_clocksource"));
    if current.is_some() {
        times
            .sources
            .push(clocksource.to_string_lossy().into_owned());
    }
    let available = text(&clocksource.join("available_clocksource"));
    times.clock = Clock::parse(current.as_deref(), available.as_deref());
    times
}

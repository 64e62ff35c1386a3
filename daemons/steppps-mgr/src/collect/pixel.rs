//! Reads displays, backlights, batteries and power policy.

use quantumos_dimensions::{
    pixel::{Backlight, Battery, Connector, Policy, Surface, connector_name},
    text::clip,
};

use super::{attribute, names, text};
use crate::Roots;

/// Reads what sysfs knows of what people see.
pub(crate) fn read(roots: &Roots) -> Surface {
    let class = |name: &str| roots.sys.join("class").join(name);
    let (drm, backlight, power) = (class("drm"), class("backlight"), class("power_supply"));
    let connectors: Vec<Connector> = names(&drm)
        .iter()
        .filter(|name| connector_name(name))
        .map(|name| {
            let at = drm.join(name);
            let read = |file| attribute(&at, file);
            Connector::parse(
                name,
                &read("status"),
                &read("enabled"),
                &read("dpms"),
                &read("modes"),
            )
        })
        .collect();
    let backlights: Vec<Backlight> = names(&backlight)
        .iter()
        .filter_map(|name| {
            let at = backlight.join(name);
            Backlight::parse(
                name,
                &attribute(&at, "brightness"),
                &attribute(&at, "max_brightness"),
            )
        })
        .collect();
    let batteries: Vec<Battery> = names(&power)
        .iter()
        .filter_map(|name| {
            let at = power.join(name);
            let own = attribute(&at, "type").trim() == "Battery"
                && attribute(&at, "scope").trim() != "Device";
            own.then(|| {
                Battery::parse(name, &attribute(&at, "capacity"), &attribute(&at, "status"))
            })?
        })
        .collect();
    let word = |path: &str| {
        text(&roots.sys.join(path))
            .map(|word| clip(&word))
            .filter(|word| !word.is_empty())
    };
    let policy = Policy {
        profile: word("firmware/acpi/platform_profile"),
        governor: word("devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    };
    let sources = [
        (&drm, !connectors.is_empty()),
        (&backlight, !backlights.is_empty()),
        (&power, !batteries.is_empty()),
    ];
    Surface {
        sources: sources
            .into_iter()
            .filter(|(_, used)| *used)
            .map(|(path, _)| path.to_string_lossy().into_owned())
            .collect(),
        connectors,
        backlights,
        batteries,
        policy,
        login: None,
    }
}

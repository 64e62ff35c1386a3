//! The seven views of the host.

use quantumos_dbus::{DIMENSIONS, bus_name, path};
use quantumos_vm::{Bus, ensure};

use crate::GUEST;

#[test]
fn a_snapshot_has_all_seven() {
    GUEST.scenario(|guest| {
        let interface = "org.quantumos.Steppps1";
        let bus = Bus::of(guest).user("nobody");
        let answer = bus.call(bus_name::STEPPPS, path::STEPPPS, interface, "Snapshot", &[])?;
        let snapshot = answer[0].as_object().ok_or("no dictionary")?;
        for name in DIMENSIONS {
            let of = |property| {
                let at = format!("{}/{name}", path::STEPPPS);
                bus.get(bus_name::STEPPPS, &at, "org.quantumos.Dimension1", property)
            };
            ensure(snapshot.contains_key(name), || {
                format!("no {name} in {answer}")
            })?;
            let (available, reason) = (of("Available")?, of("Reason")?);
            // What has no source here says why.
            ensure(available == true || reason != "", || {
                format!("{name} is not available and says no reason")
            })?;
        }
        Ok(())
    });
}

#[test]
fn space_and_time_agree_with_the_guest() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        let state = |name: &str| {
            let at = format!("{}/{name}", path::STEPPPS);
            bus.get(bus_name::STEPPPS, &at, "org.quantumos.Dimension1", "State")
        };
        let (space, time) = (state("space")?.to_string(), state("time")?.to_string());
        let processors = guest.shell("nproc")?;
        ensure(space.contains(&format!("\"data\":{processors}")), || {
            format!("{processors} processors are not in {space}")
        })?;
        ensure(time.len() > 2, || "time is empty".into())
    });
}

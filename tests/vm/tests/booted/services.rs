//! Units, names and rights of the daemons.

use std::time::Duration;

use quantumos_dbus::SERVICES;
use quantumos_vm::{Bus, ensure, kill_and_await, nothing_failed};

use crate::GUEST;

#[test]
fn nothing_has_failed() {
    GUEST.scenario(|guest| {
        nothing_failed(guest)?;
        let state = guest.shell("systemctl is-system-running")?;
        ensure(state == "running", || format!("the system is {state}"))
    });
}

#[test]
fn every_daemon_is_active_and_owns_its_name() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        for service in SERVICES {
            let show = format!("systemctl show --value --property=MainPID {}", service.unit);
            let active = guest.shell(&format!("systemctl is-active {}", service.unit))?;
            ensure(active == "active", || {
                format!("{} is {active}", service.unit)
            })?;
            let main: u64 = guest.shell(&show)?.parse()?;
            let owner = bus.owner(service.bus_name)?;
            ensure(owner == main, || {
                format!("{} is owned by {owner}, not {main}", service.bus_name)
            })?;
            let version = bus.get(
                service.bus_name,
                service.path,
                "org.quantumos.Service1",
                "Version",
            )?;
            ensure(version == env!("CARGO_PKG_VERSION"), || {
                format!("{} is version {version}", service.unit)
            })?;
        }
        Ok(())
    });
}

#[test]
fn the_contract_is_installed() {
    GUEST.scenario(|guest| {
        let top = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dbus");
        for (folder, place) in [
            ("interfaces", "/usr/share/dbus-1/interfaces"),
            ("system.d", "/usr/share/dbus-1/system.d"),
            ("system-services", "/usr/share/dbus-1/system-services"),
            ("polkit-1/actions", "/usr/share/polkit-1/actions"),
        ] {
            for entry in std::fs::read_dir(format!("{top}/{folder}"))? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let installed = guest.get(&format!("{place}/{name}"))?;
                ensure(installed == std::fs::read(&path)?, || {
                    format!("{place}/{name} is not the one in the repository")
                })?;
            }
        }
        let actions = guest.shell("pkaction | grep ^org.quantumos | wc -l")?;
        ensure(actions.parse::<u32>()? >= 6, || {
            format!("polkit knows {actions} of our actions")
        })
    });
}

#[test]
fn sandboxes_are_tight() {
    GUEST.scenario(|guest| {
        for (unit, bound) in [
            ("quantumd", 2.0),
            ("steppps-mgr", 2.0),
            ("security-ai", 4.0),
            ("resource-ai", 4.0),
            ("ai-learnd", 2.0),
        ] {
            let line = guest.shell(&format!(
                "systemd-analyze security --no-pager {unit}.service | tail -n 1"
            ))?;
            let score = line
                .split_whitespace()
                .find_map(|word| word.parse::<f64>().ok())
                .ok_or_else(|| format!("no score in: {line}"))?;
            ensure(score <= bound, || {
                format!("{unit} is exposed by {score}, over {bound}")
            })?;
        }
        Ok(())
    });
}

#[test]
fn each_daemon_runs_as_its_own_user_and_none_as_root() {
    GUEST.scenario(|guest| {
        let mut seen = std::collections::BTreeSet::new();
        for service in SERVICES {
            let user = guest.shell(&format!(
                "ps -o user:32= -p $(systemctl show --value -p MainPID {})",
                service.unit
            ))?;
            ensure(user.trim() != "root" && seen.insert(user.clone()), || {
                format!("{} runs as {user}", service.unit)
            })?;
        }
        Ok(())
    });
}

#[test]
fn a_killed_daemon_comes_back() {
    GUEST.scenario(|guest| {
        for service in &SERVICES {
            kill_and_await(guest, service)?;
        }
        nothing_failed(guest)
    });
}

#[test]
fn a_stopped_daemon_is_started_by_a_call() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        for service in SERVICES {
            guest.shell(&format!("systemctl stop {}", service.unit))?;
            bus.call(
                service.bus_name,
                service.path,
                "org.freedesktop.DBus.Peer",
                "Ping",
                &[],
            )?;
            let active = guest.shell(&format!("systemctl is-active {}", service.unit))?;
            ensure(active == "active", || {
                format!("{} is {active}", service.unit)
            })?;
        }
        Ok(())
    });
}

#[test]
fn nobody_else_takes_a_name() {
    GUEST.scenario(|guest| {
        for service in SERVICES {
            let refusal = Bus::of(guest).user("nobody").refusal(
                "org.freedesktop.DBus",
                "/org/freedesktop/DBus",
                "org.freedesktop.DBus",
                "RequestName",
                &["su", service.bus_name, "2"],
            )?;
            ensure(
                refusal.contains("denied") || refusal.contains("not allowed"),
                || refusal,
            )?;
        }
        Ok(())
    });
}

#[test]
fn a_watcher_sees_a_daemon_go_and_come() {
    GUEST.scenario(|guest| {
        let watch = guest.start(&[
            "busctl",
            "--json=short",
            "--match=type='signal',member='NameOwnerChanged',arg0='org.quantumos.Steppps1'",
            "monitor",
        ])?;
        // busctl says nothing when it listens, so the restart repeats until it has been heard.
        let heard = std::cell::Cell::new(0);
        let script = "systemctl restart steppps-mgr";
        guest.shell(script)?;
        for _ in 0..20 {
            let seen = watch.read_until(Duration::from_secs(5), |text| {
                heard.set(text.matches("NameOwnerChanged").count());
                heard.get() >= 2
            });
            if seen.is_ok() {
                return Ok(watch.kill()?);
            }
            guest.shell(script)?;
        }
        Err("the watcher saw no change of owner".into())
    });
}

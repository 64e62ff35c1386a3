//! Real events in the guest become alerts.

use std::time::Duration;

use quantumos_dbus::{SERVICES, bus_name, path};
use quantumos_harness::guest::PATIENCE;
use quantumos_vm::{Bus, ensure, kill_and_await};

use crate::GUEST;

const SECURITY: &str = "org.quantumos.Security1";

#[test]
fn rules_are_loaded_and_probes_attached() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        let property = |name| bus.get(bus_name::SECURITY, path::SECURITY, SECURITY, name);
        let loaded = property("RulesLoaded")?.as_u64().unwrap_or_default();
        ensure(loaded >= 15, || format!("{loaded} rules are loaded"))?;
        let failed = property("RulesFailed")?;
        ensure(failed == 0, || format!("{failed} rules failed"))?;
        let coverage = property("Coverage")?.to_string();
        for class in ["exec", "exit", "fork", "connect"] {
            ensure(coverage.contains(class), || {
                format!("no {class} in {coverage}")
            })?;
        }
        Ok(())
    });
}

/// A program run from shared memory, which a rule of ours names, with a name that none else has.
fn provoke(name: &str) -> String {
    format!("cp /usr/bin/true /dev/shm/{name} && /dev/shm/{name}; rm -f /dev/shm/{name}")
}

#[test]
fn an_exec_that_matches_becomes_object_signal_and_journal_entry() {
    GUEST.scenario(|guest| {
        let watch = guest.start(&[
            "busctl",
            "--json=short",
            "--match=type='signal',interface='org.quantumos.Security1',member='AlertRaised'",
            "monitor",
        ])?;
        let mut heard = false;
        for round in 0..20 {
            // busctl says nothing when it listens, so the deed repeats until it has been heard.
            guest.shell(&provoke(&format!("implant{round}")))?;
            heard = watch
                .read_until(Duration::from_secs(10), |text| text.contains("AlertRaised"))
                .is_ok();
            if heard {
                break;
            }
        }
        watch.kill()?;
        ensure(heard, || "no AlertRaised signal".into())?;

        let objects = Bus::of(guest).call(
            bus_name::SECURITY,
            path::ALERTS,
            "org.freedesktop.DBus.ObjectManager",
            "GetManagedObjects",
            &[],
        )?;
        let text = objects.to_string();
        for part in [
            "/dev/shm/implant",
            "Ancestors",
            "quantumos-agent",
            "\"root\"",
        ] {
            ensure(text.contains(part), || {
                format!("no {part} in the alerts: {text}")
            })?;
        }
        guest.eventually(
            "journalctl -b --no-pager -u security-ai --output=json | grep -q /dev/shm/implant",
        )?;
        Ok(())
    });
}

#[test]
fn alerts_outlive_a_kill() {
    GUEST.scenario(|guest| {
        guest.shell(&provoke("survivor"))?;
        guest.eventually("quantumctl --json security alerts | grep -q /dev/shm/survivor")?;
        kill_and_await(guest, &SERVICES[2])?;
        guest.eventually("quantumctl --json security alerts | grep -q /dev/shm/survivor")?;
        // The one that was killed could not tell of it any more; the next one does.
        guest.eventually(
            "quantumctl security alerts | grep -q 'Detection Ended Without Being Stopped'",
        )?;
        // And it sees what happens after.
        guest.shell(&provoke("later"))?;
        guest.eventually("quantumctl --json security alerts | grep -q /dev/shm/later")?;
        Ok(())
    });
}

#[test]
fn alerts_are_for_administrators_only() {
    GUEST.scenario(|guest| {
        let nobody = Bus::of(guest).user("nobody");
        let object_manager = "org.freedesktop.DBus.ObjectManager";
        nobody.refusal(
            bus_name::SECURITY,
            path::ALERTS,
            object_manager,
            "GetManagedObjects",
            &[],
        )?;
        nobody.refusal(
            bus_name::SECURITY,
            path::SECURITY,
            SECURITY,
            "ReloadRules",
            &[],
        )?;
        nobody.get(
            bus_name::SECURITY,
            path::SECURITY,
            "org.quantumos.Service1",
            "State",
        )?;
        Ok(())
    });
}

#[test]
fn a_malformed_rule_is_named_and_the_others_stay() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        let reload = || {
            bus.call(
                bus_name::SECURITY,
                path::SECURITY,
                SECURITY,
                "ReloadRules",
                &[],
            )
        };
        let before = reload()?;
        let file = "/etc/quantumos/security-ai/rules.d/broken.yml";
        guest.put(file, "0644", b"title: broken\ndetection: [what, is, this\n")?;
        let during = reload()?;
        ensure(during[0] == before[0] && during[2] == 1, || {
            format!("{before} became {during}")
        })?;
        let rules = bus.call(
            bus_name::SECURITY,
            path::SECURITY,
            SECURITY,
            "ListRules",
            &[],
        )?;
        ensure(rules.to_string().contains("broken.yml"), || {
            "the list does not name the file".into()
        })?;
        guest.shell(&format!("rm {file}"))?;
        let after = reload()?;
        ensure(after == before, || format!("{before} became {after}"))
    });
}

#[test]
fn a_burst_of_processes_is_seen_or_counted() {
    GUEST.scenario(|guest| {
        guest.shell("for i in $(seq 300); do /bin/true; done")?;
        let process = guest.start(&["quantumctl", "--json", "security", "statistics"])?;
        process.close()?;
        let statistics = process.wait(PATIENCE)?;
        ensure(
            statistics.code == 0 && statistics.text().contains("exec"),
            || format!("{}{}", statistics.text(), statistics.errors()),
        )
    });
}

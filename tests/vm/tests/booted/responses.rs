//! What security-ai does to live processes and units in the guest, and what it undoes again.

use quantumos_dbus::SERVICES;
use quantumos_harness::Guest;
use quantumos_vm::{Outcome, ensure, kill_and_await};
use serde_json::Value;

use crate::GUEST;

/// A unit that says again and again whether it gets out on the network and whether it can execute a file. It waits
/// without executing anything.
const VICTIM: &str = "
    cp /usr/bin/true /var/tmp/tool
    cat > /var/tmp/victim <<'END'
#!/bin/bash
while :; do
    if echo x > /dev/udp/127.0.0.1/9; then net=open; else net=shut; fi
    if /var/tmp/tool; then run=runs; else run=denied; fi
    echo $net > /run/victim.net; echo $run > /run/victim.run
    read -t 0.2 <> <(:)
done 2>/dev/null
END
    chmod +x /var/tmp/victim
    systemd-run --quiet --collect --unit=victim /var/tmp/victim
";

const CLEAN: &str = "systemctl stop victim 2>/dev/null; systemctl reset-failed victim 2>/dev/null
    rm -f /var/tmp/victim /var/tmp/tool /var/tmp/implant /run/victim.*; true";

/// Responds, and gives the response.
fn respond(guest: &Guest, words: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let text = guest.shell(&format!("quantumctl --json security respond {words}"))?;
    Ok(serde_json::from_str(&text)?)
}

fn undo(guest: &Guest, response: &Value) -> Outcome {
    let id = response["id"].as_str().unwrap_or_default();
    guest.shell(&format!("quantumctl security undo {id}"))?;
    let state = guest.shell(&format!(
        "quantumctl --json security responses {id} | grep -o '\"state\": *\"[a-z]*\"'"
    ))?;
    ensure(state.contains("undone"), || format!("{id} is {state}"))
}

fn ended(guest: &Guest, response: &Value) -> Outcome {
    let id = response["id"].as_str().unwrap_or_default();
    guest.eventually(&format!(
        "quantumctl --json security responses {id} | grep -q '\"state\": *\"ended\"'"
    ))?;
    Ok(())
}

fn applied(response: &Value, effect: &str) -> Outcome {
    let text = response["effect"].as_str().unwrap_or_default();
    ensure(
        response["state"] == "applied" && text.contains(effect),
        || format!("not applied: {response}"),
    )
}

#[test]
fn a_unit_is_throttled_frozen_and_isolated_and_let_go() {
    GUEST.scenario(|guest| {
        guest.shell(VICTIM)?;
        let outcome = contained(guest);
        guest.shell(CLEAN)?;
        outcome
    });
}

fn contained(guest: &Guest) -> Outcome {
    guest.eventually("grep -q open /run/victim.net")?;
    let plan =
        guest.shell("quantumctl security respond isolate --unit victim.service --dry-run")?;
    ensure(plan.contains("no packet in or out"), || plan.clone())?;
    let slow = respond(guest, "throttle --unit victim.service --reason 'a test'")?;
    applied(&slow, "10 % of one core")?;
    guest.shell("systemctl show --value -p CPUQuotaPerSecUSec victim | grep -qx 100ms")?;
    undo(guest, &slow)?;
    guest.shell("systemctl show --value -p CPUQuotaPerSecUSec victim | grep -qx infinity")?;

    let cut = respond(guest, "isolate --unit victim.service")?;
    applied(&cut, "no packet in or out")?;
    guest.eventually("grep -q shut /run/victim.net")?;
    undo(guest, &cut)?;
    guest.eventually("grep -q open /run/victim.net")?;

    let frozen = respond(guest, "freeze --unit victim.service")?;
    applied(&frozen, "runs no further")?;
    let events = "/sys/fs/cgroup/system.slice/victim.service/cgroup.events";
    guest.eventually(&format!("grep -qx 'frozen 1' {events}"))?;
    undo(guest, &frozen)?;
    guest.eventually(&format!("grep -qx 'frozen 0' {events}"))?;

    // What holds it while it dies ends with it; it dies frozen, and systemd would start it again all the same.
    let (slow, cold) = (
        respond(guest, "throttle --unit victim.service")?,
        respond(guest, "freeze --unit victim.service")?,
    );
    let killed = respond(guest, "kill --unit victim.service")?;
    ensure(killed["state"] == "done", || format!("{killed}"))?;
    guest.eventually("! systemctl is-active --quiet victim")?;
    ended(guest, &slow)?;
    ended(guest, &cold)?;
    guest.eventually(
        "journalctl -b --no-pager --output=json MESSAGE_ID=7b0f5a64c9e14d27a1d83f52e6c4b910 | grep -q 'QUANTUMOS_STATE.*undone'",
    )?;
    // And all of it is in the ledger, under the name of who did it, where it can be proved.
    let id = frozen["id"].as_str().unwrap_or_default();
    guest.eventually(&format!(
        "quantumctl security responses {id} | grep -q 'planned as entry .* undone as entry'"
    ))?;
    guest.shell(&format!(
        "set -e
         entry=$(quantumctl security responses {id} | sed -n 's/.*undone as entry \\([0-9]*\\).*/\\1/p')
         quantumctl ledger show --first $entry --count 1 | grep 'agent=security-ai' | grep -q 'event=undone'
         quantumctl ledger prove $entry >/run/proof
         quantumctl ledger keys >/run/ledger.keys
         quantumctl ledger verify /run/proof --key /run/ledger.keys
         rm /run/proof /run/ledger.keys
         ! runuser -u nobody -- busctl call org.quantumos.Quantum1 /org/quantumos/quantum/ledger \\
             org.quantumos.Ledger1 Append 'ssta{{ss}}' forged 1 1 0 2>/dev/null"
    ))?;
    Ok(())
}

#[test]
fn executions_are_denied_and_allowed_again() {
    GUEST.scenario(|guest| {
        guest.shell(VICTIM)?;
        let outcome = denied(guest);
        guest.shell(CLEAN)?;
        outcome
    });
}

fn denied(guest: &Guest) -> Outcome {
    guest.eventually("grep -q runs /run/victim.run")?;
    let inside = respond(guest, "deny --unit victim.service")?;
    applied(&inside, "executes nothing any more")?;
    guest.eventually("grep -q denied /run/victim.run")?;
    // Elsewhere it still runs.
    guest.shell("/var/tmp/tool")?;
    undo(guest, &inside)?;
    guest.eventually("grep -q runs /run/victim.run")?;

    // The file of a process that runs, everywhere; and again after the daemon was killed.
    guest.shell(
        "cp /usr/bin/sleep /var/tmp/implant
         systemd-run --quiet --collect --unit=implant /var/tmp/implant 1000",
    )?;
    let outcome = (|| {
        let everywhere = respond(
            guest,
            "deny --pid $(systemctl show --value -p MainPID implant) --scope host",
        )?;
        applied(&everywhere, "/var/tmp/implant is not executed on this host")?;
        guest.shell("! /var/tmp/implant 0 2>/dev/null")?;
        kill_and_await(guest, &SERVICES[2])?;
        guest.eventually("! /var/tmp/implant 0 2>/dev/null")?;
        undo(guest, &everywhere)?;
        guest.shell("/var/tmp/implant 0")?;
        Ok(())
    })();
    guest.shell("systemctl stop implant")?;
    outcome
}

#[test]
fn what_is_frozen_outlives_the_daemon_and_thaws_in_time() {
    GUEST.scenario(|guest| {
        guest.shell("systemd-run --quiet --collect --unit=sleeper sleep 1000")?;
        let outcome = frozen(guest);
        guest.shell("systemctl stop sleeper 2>/dev/null; true")?;
        outcome
    });
}

fn frozen(guest: &Guest) -> Outcome {
    let pid = guest.shell("systemctl show --value -p MainPID sleeper")?;
    let state = |letter: &str| format!("grep -q 'State:.*{letter}' /proc/{}/status", pid.trim());
    let kept = respond(guest, &format!("freeze --pid {} --for never", pid.trim()))?;
    guest.eventually(&state("T"))?;
    kill_and_await(guest, &SERVICES[2])?;
    guest.shell(&state("T"))?;
    undo(guest, &kept)?;
    guest.eventually(&state("S"))?;

    // What goes while the daemon is away, as a unit does here, is found to be gone.
    guest.shell("systemd-run --quiet --collect --unit=passer sleep 1000")?;
    let passing = respond(guest, "isolate --unit passer.service --for never")?;
    let timed = respond(guest, &format!("freeze --pid {} --for 3s", pid.trim()))?;
    guest.shell("systemctl kill --signal=KILL security-ai; systemctl stop passer")?;
    ended(guest, &passing)?;
    let id = timed["id"].as_str().unwrap_or_default();
    guest.eventually(&format!(
        "quantumctl --json security responses {id} | grep -q expired"
    ))?;
    guest.eventually(&state("S"))?;

    let killed = respond(guest, &format!("kill --pid {}", pid.trim()))?;
    ensure(killed["state"] == "done", || format!("{killed}"))?;
    guest.eventually("! systemctl is-active --quiet sleeper")?;
    Ok(())
}

#[test]
fn what_is_protected_is_refused_to_root() {
    GUEST.scenario(|guest| {
        let own = guest.shell("grep -o '[^/]*.service' /proc/self/cgroup | tail -1")?;
        let own = own.trim();
        for target in [
            "--unit dbus.service".to_owned(),
            "--unit systemd-journald.service".to_owned(),
            "--unit init.scope".to_owned(),
            "--unit security-ai.service".to_owned(),
            "--pid 1".to_owned(),
            "--pid 2".to_owned(),
            format!("--unit {own}"),
        ] {
            let command = format!("quantumctl security respond kill {target}");
            let output = guest.run(&["/bin/sh", "-c", &command])?;
            ensure(output.code == 4, || {
                format!("{target}: {} {}", output.code, output.errors())
            })?;
        }
        // What polkit lets security-ai do with units is no way to run something.
        guest.shell(
            "! runuser -u security-ai -- busctl --allow-interactive-authorization=no call \
                org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager \
                StartUnit ss systemd-tmpfiles-clean.service replace 2>/dev/null",
        )?;
        guest.eventually(
            "journalctl -b --no-pager MESSAGE_ID=e2941c7d0b6a4f35b8f7d60c19a3524e | grep -q 'kill refused'",
        )?;
        Ok(())
    });
}

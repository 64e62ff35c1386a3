//! Circuits in units of their own: bounded by their plan, killed alone, cancelled, and results as ever.

use quantumos_dbus::{bus_name, path};
use quantumos_harness::Guest;
use quantumos_vm::{Bus, ensure};

use crate::GUEST;

/// Goes on for hours.
const LONG: &str = "OPENQASM 3.0;\ninclude \"stdgates.inc\";\nqubit[20] q;\nbit c;\n\
    for int i in [0:2000] { for int j in [0:18] { rx(0.1) q[j]; cx q[j], q[j + 1]; } c = measure q[0]; }\n";
const BELL: &str = "OPENQASM 3.0; include \"stdgates.inc\"; qubit[2] q; bit[2] c;\n\
    h q[0]; cx q[0], q[1]; c = measure q;\n";
const UNITS: &str = "systemctl list-units --plain --no-legend 'quantum-circuit@*' | cut -d' ' -f1";

type Text = Result<String, Box<dyn std::error::Error>>;

/// The unit of the one circuit that runs, once its memory is bounded by the plan.
fn bounded(guest: &Guest) -> Text {
    let script = format!(
        "for i in $(seq 600); do
            unit=$({UNITS})
            if [ -n \"$unit\" ]; then
                most=$(systemctl show --value --property=MemoryMax $unit)
                # 2^20 amplitudes are 16 MiB; before the plan it is 2 GiB.
                if [ \"$most\" -gt 16777216 ] 2>/dev/null && [ \"$most\" -lt 1073741824 ]; then
                    echo $unit; exit 0
                fi
            fi
            sleep 0.2
        done
        echo none: $unit $most; journalctl -b --no-pager -u quantumd -n 20; exit 1"
    );
    Ok(guest.shell(&script)?)
}

fn submitted(guest: &Guest) -> Text {
    let submit = "quantumctl --json circuit run /tmp/long.qasm --service --detach";
    let answer: serde_json::Value = serde_json::from_str(&guest.shell(submit)?)?;
    Ok(answer["job"].as_str().unwrap_or_default().to_owned())
}

fn state(guest: &Guest, job: &str) -> Text {
    let ended = Bus::of(guest).call(bus_name::QUANTUM, job, "org.quantumos.Job1", "Wait", &[])?;
    Ok(ended[0].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_circuit_has_a_unit_that_its_plan_bounds_and_that_dies_alone() {
    GUEST.scenario(|guest| {
        let isolation = Bus::of(guest).get(
            bus_name::QUANTUM,
            path::QUANTUM,
            "org.quantumos.Circuits1",
            "Isolation",
        )?;
        ensure(isolation == "unit", || format!("isolation is {isolation}"))?;
        guest.put("/tmp/long.qasm", "0644", LONG.as_bytes())?;
        guest.put("/tmp/bell.qasm", "0644", BELL.as_bytes())?;
        let pid = Bus::of(guest).owner(bus_name::QUANTUM)?;

        // With less than it uses, the kernel kills it, and it alone.
        let job = submitted(guest)?;
        let unit = bounded(guest)?;
        guest.shell(&format!("systemctl set-property --runtime {unit} MemoryMax=1M"))?;
        let ended = state(guest, &job)?;
        ensure(ended == "failed", || format!("the job is {ended}"))?;
        let same = Bus::of(guest).owner(bus_name::QUANTUM)?;
        ensure(same == pid, || "quantumd was restarted".into())?;

        // Cancelled, its unit goes.
        let job = submitted(guest)?;
        bounded(guest)?;
        Bus::of(guest).call(bus_name::QUANTUM, &job, "org.quantumos.Job1", "Cancel", &[])?;
        let ended = state(guest, &job)?;
        ensure(ended == "cancelled", || format!("the job is {ended}"))?;
        guest.shell(&format!(
            "for i in $(seq 300); do [ -z \"$({UNITS})\" ] && exit 0; sleep 0.2; done; exit 1"
        ))?;

        let run = "quantumctl --json circuit run /tmp/bell.qasm --service --shots 200 --seed 1";
        let result: serde_json::Value = serde_json::from_str(&guest.shell(run)?)?;
        let count = |key: &str| result["counts"][key].as_u64().unwrap_or_default();
        ensure(count("00") + count("11") == 200, || result.to_string())?;
        let user = "runuser -u nobody -- quantumctl --no-ask-password circuit run /tmp/bell.qasm --service";
        let refused = guest.shell(&format!("{user} 2>&1 || true"))?;
        ensure(refused.contains("circuits.run"), || format!("nobody got: {refused}"))
    });
}

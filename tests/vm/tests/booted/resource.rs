//! Real load in the guest becomes pressure, forecasts and decisions.

use quantumos_dbus::{bus_name, path};
use quantumos_harness::Guest;
use quantumos_vm::{Bus, Outcome, ensure};

use crate::GUEST;

const RESOURCE: &str = "org.quantumos.Resource1";

fn set_mode(guest: &Guest, mode: &str) -> Outcome {
    let output = Bus::of(guest).busctl(&[
        "set-property",
        bus_name::RESOURCE,
        path::RESOURCE,
        RESOURCE,
        "Mode",
        "s",
        mode,
    ])?;
    ensure(output.code == 0, || output.errors())
}

#[test]
fn pressure_latency_and_model_are_there() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        let call = |method| bus.call(bus_name::RESOURCE, path::RESOURCE, RESOURCE, method, &[]);
        let pressure = call("Pressure")?.to_string();
        for resource in ["cpu.some", "memory.some", "io.some"] {
            ensure(pressure.contains(resource), || {
                format!("no {resource} in {pressure}")
            })?;
        }
        let latency = call("Latency")?;
        ensure(
            latency[0].as_array().is_some_and(|rows| !rows.is_empty()),
            || format!("no run-queue latency: {latency}"),
        )?;
        let model = bus.get(bus_name::RESOURCE, path::RESOURCE, RESOURCE, "Model")?;
        ensure(model["state"]["data"] == "in-use", || {
            format!("the model is {model}")
        })
    });
}

#[test]
fn nobody_may_set_the_mode() {
    GUEST.scenario(|guest| {
        let output = Bus::of(guest).user("nobody").busctl(&[
            "set-property",
            bus_name::RESOURCE,
            path::RESOURCE,
            RESOURCE,
            "Mode",
            "s",
            "act",
        ])?;
        ensure(output.code != 0, || "nobody set the mode".into())?;
        let mode = Bus::of(guest).get(bus_name::RESOURCE, path::RESOURCE, RESOURCE, "Mode")?;
        ensure(mode == "observe", || format!("mode is {mode}"))
    });
}

/// A noisy unit in the background class and one that works in short bursts, as an interactive one.
const LOAD: &str = "
    systemd-run --quiet --collect --unit=noisy --slice=background.slice -p CPUWeight= \
        stress-ng --cpu 8 --timeout 600s --quiet
    systemd-run --quiet --collect --unit=bursty /bin/sh -c \
        'while :; do i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; sleep 0.05; done'
";

#[test]
fn in_act_a_decision_sets_a_weight_and_undo_reverts_it() {
    GUEST.scenario(|guest| {
        guest.shell(LOAD)?;
        set_mode(guest, "act")?;
        let outcome = decided_and_undone(guest);
        set_mode(guest, "observe")?;
        guest.shell("systemctl stop noisy bursty")?;
        outcome
    });
}

fn decided_and_undone(guest: &Guest) -> Outcome {
    let applied = guest.eventually(
        "quantumctl --json resource decisions | tr '\\n' ' ' | grep -q '\"state\": *\"applied\"' && \
         busctl --json=short call org.quantumos.Resource1 /org/quantumos/resource/decisions \
            org.freedesktop.DBus.ObjectManager GetManagedObjects",
    )?;
    let objects: serde_json::Value = serde_json::from_str(&applied)?;
    let objects = objects["data"][0].as_object().ok_or("no objects")?;
    let field = |object: &serde_json::Value, name: &str| {
        object["org.quantumos.Decision1"][name]["data"].clone()
    };
    let (at, decision) = objects
        .iter()
        .find(|(_, object)| field(object, "State") == "applied")
        .ok_or("no applied decision")?;
    let unit = field(decision, "Unit")
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let property = field(decision, "Property")
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let number = |name| {
        field(decision, name)
            .as_u64()
            .unwrap_or_default()
            .to_string()
    };
    let (from, to) = (number("From"), number("To"));
    ensure(field(decision, "Reason") != "", || {
        "it gives no reason".into()
    })?;
    let shown =
        |guest: &Guest| guest.shell(&format!("systemctl show --value -p {property} '{unit}'"));
    let now = shown(guest)?;
    ensure(now == to, || {
        format!("{property} of {unit} is {now}, decided {to}")
    })?;
    Bus::of(guest).call(
        bus_name::RESOURCE,
        at,
        "org.quantumos.Decision1",
        "Undo",
        &[],
    )?;
    let state = Bus::of(guest).get(bus_name::RESOURCE, at, "org.quantumos.Decision1", "State")?;
    ensure(state == "undone", || format!("it is {state} after Undo"))?;
    let now = shown(guest)?;
    let unset = now == "[not set]" || now == u64::MAX.to_string();
    ensure(now == from || unset, || {
        format!("{property} of {unit} is {now} after Undo, was {from}")
    })
}

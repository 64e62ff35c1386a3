//! Signing keys behind the guest's TPM.

use quantumos_dbus::{SERVICES, bus_name, path};
use quantumos_harness::Guest;
use quantumos_vm::{Bus, Outcome, ensure, kill_and_await};

use crate::GUEST;

const KEYS: &str = "org.quantumos.Keys1";

fn create(bus: Bus<'_>, label: &str) -> Result<String, Box<dyn std::error::Error>> {
    let answer = bus.call(
        bus_name::QUANTUM,
        path::KEYS,
        KEYS,
        "Create",
        &["ssa{sv}", "ML-DSA-87", label, "0"],
    )?;
    Ok(answer[0].as_str().ok_or("no path")?.to_owned())
}

#[test]
fn the_tpm_protects_the_keys() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        for (at, interface) in [
            (path::QUANTUM, "org.quantumos.Quantum1"),
            (path::KEYS, KEYS),
        ] {
            let protection = bus.get(bus_name::QUANTUM, at, interface, "Protection")?;
            ensure(protection == "tpm", || {
                format!("{interface} says {protection}")
            })?;
        }
        Ok(())
    });
}

#[test]
fn a_key_signs_and_only_what_it_signed_verifies() {
    GUEST.scenario(|guest| {
        let script = r#"
            set -e
            cd /root
            echo "a message" >message; echo "another" >other
            quantumctl keys create signs >/dev/null
            quantumctl keys sign --format raw signs message >signature
            quantumctl keys verify signs --signature signature message
            if quantumctl keys verify signs --signature signature other; then exit 3; fi
            test $(stat -c %s signature) = 4627
            rm message other signature
        "#;
        guest.shell(script).map(drop)?;
        Ok(())
    });
}

#[test]
fn a_kill_loses_no_key_and_a_revoked_one_stays_revoked() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        let (kept, revoked) = (create(bus, "kept")?, create(bus, "revoked")?);
        bus.call(
            bus_name::QUANTUM,
            &revoked,
            "org.quantumos.Key1",
            "Revoke",
            &["s", "a test"],
        )?;
        let public = bus.call(
            bus_name::QUANTUM,
            &kept,
            "org.quantumos.Key1",
            "PublicKey",
            &[],
        )?;
        kill_and_await(guest, &SERVICES[0])?;
        let again = bus.call(
            bus_name::QUANTUM,
            &kept,
            "org.quantumos.Key1",
            "PublicKey",
            &[],
        )?;
        ensure(again == public, || "the key changed over a kill".into())?;
        let state = bus.get(bus_name::QUANTUM, &revoked, "org.quantumos.Key1", "State")?;
        ensure(state == "revoked", || format!("the revoked key is {state}"))?;
        let sign = ["aya{sv}", "1", "7", "0"];
        bus.call(
            bus_name::QUANTUM,
            &kept,
            "org.quantumos.Key1",
            "Sign",
            &sign,
        )?;
        let refusal = bus.refusal(
            bus_name::QUANTUM,
            &revoked,
            "org.quantumos.Key1",
            "Sign",
            &sign,
        )?;
        ensure(refusal.contains("revoked"), || refusal)
    });
}

#[test]
fn who_has_no_right_is_refused() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        let key = create(bus, "of root")?;
        let nobody = bus.user("nobody");
        let sign = ["aya{sv}", "1", "7", "0"];
        let refusal =
            nobody.refusal(bus_name::QUANTUM, &key, "org.quantumos.Key1", "Sign", &sign)?;
        ensure(!refusal.is_empty(), || "no reason given".into())?;
        let revoke = ["s", "spite"];
        nobody.refusal(
            bus_name::QUANTUM,
            &key,
            "org.quantumos.Key1",
            "Revoke",
            &revoke,
        )?;
        let state = bus.get(bus_name::QUANTUM, &key, "org.quantumos.Key1", "State")?;
        ensure(state == "active", || format!("nobody made it {state}"))?;
        files_are_closed(guest)
    });
}

fn files_are_closed(guest: &Guest) -> Outcome {
    let open = guest
        .shell("runuser -u nobody -- cat /var/lib/quantumos/quantumd/* 2>&1 | head -c 200; true")?;
    ensure(open.contains("denied") || open.contains("No such"), || {
        format!("nobody reads the state of quantumd: {open}")
    })
}

#[test]
fn bad_input_is_refused_by_name_and_kills_nothing() {
    GUEST.scenario(|guest| {
        let bus = Bus::of(guest);
        let before = bus.owner(bus_name::QUANTUM)?;
        for (arguments, named) in [
            (["ssa{sv}", "ROT13", "x", "0"].as_slice(), "ROT13"),
            (
                &["ssa{sv}", "ML-DSA-87", "x", "1", "colour", "s", "red"],
                "colour",
            ),
        ] {
            let refusal = bus.refusal(bus_name::QUANTUM, path::KEYS, KEYS, "Create", arguments)?;
            ensure(refusal.contains(named), || {
                format!("the refusal does not name {named}: {refusal}")
            })?;
        }
        let wrong = ["s", "just one string"];
        bus.refusal(bus_name::QUANTUM, path::KEYS, KEYS, "Create", &wrong)?;
        let after = bus.owner(bus_name::QUANTUM)?;
        ensure(after == before, || "quantumd went down over it".into())
    });
}

/// Another host: a quantumd of its own in the guest, with its own bus, state and root key.
const OTHER: &str = r#"
    set -e
    mkdir -p /root/other/etc/quantumos /root/other/state /root/other/run
    cd /root/other
    printf '[tpm]\ntcti = "device:/nonexistent"\n[protection]\nallow-software = true\n' >etc/quantumos/quantumd.toml
    cat >bus.conf <<BUS
<busconfig>
  <type>system</type><listen>unix:path=/root/other/bus</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
BUS
    systemd-run -q --collect --unit=other-bus dbus-daemon --nofork --config-file=/root/other/bus.conf
    systemd-run -q --collect --unit=other-host -p Restart=on-failure /usr/libexec/quantumos/quantumd --config-root /root/other \
        --bus unix:path=/root/other/bus --state-directory /root/other/state --runtime-directory /root/other/run
"#;

#[test]
fn keys_are_backed_up_for_another_host_and_restored_there() {
    GUEST.scenario(|guest| {
        guest.shell(OTHER)?;
        let there = "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/root/other/bus quantumctl";
        guest.eventually(&format!("{there} keys list"))?;
        let script = format!(
            r#"
            set -e
            cd /root/other
            there() {{ {there} "$@"; }}
            there keys create inbox --algorithm X25519+ML-KEM-1024 >/dev/null
            there keys public inbox -o inbox.pub
            quantumctl keys create vm.backups >/dev/null
            quantumctl keys public vm.backups -o backups.pub
            quantumctl keys create vm.travels >/dev/null
            quantumctl keys public vm.travels -o travels.pub
            quantumctl keys backup vm.travels --to inbox.pub --signer vm.backups -o keys.qkb
            quantumctl keys inspect keys.qkb >/dev/null
            there keys restore keys.qkb --key inbox --signer backups.pub >/dev/null
            there keys public vm.travels -o arrived.pub
            cmp travels.pub arrived.pub
            # What was signed there verifies here, and the file is of no more use.
            echo "a message" >message
            there keys sign vm.travels message >signature
            quantumctl keys verify vm.travels --signature signature message
            if there keys restore keys.qkb --key inbox --signer backups.pub; then exit 3; fi
            there ledger status --check | grep -q 'this ledger verifies'
            systemctl stop other-host other-bus
            cd /; rm -r /root/other
        "#
        );
        guest.shell(&script).map(drop)?;
        Ok(())
    });
}

//! What the image stands: a reboot, a cut of its mains, a TPM that goes, a disk that fills up, an
//! empty /etc and /var. The guest is not the same after each, so this is a boot of its own.

use quantumos_dbus::{SERVICES, bus_name, path};
use quantumos_harness::{Guest, guest::Options};
use quantumos_vm::{Bus, Outcome, Shared, ensure, image, nothing_failed, settle};

static GUEST: Shared = Shared::new();

fn all_active(guest: &Guest) -> Outcome {
    for service in SERVICES {
        guest.eventually(&format!("systemctl is-active --quiet {}", service.unit))?;
    }
    Ok(())
}

#[test]
fn keys_and_alerts_survive_a_reboot_and_a_power_cut() {
    GUEST.scenario(|guest| {
        guest.shell(
            "set -e; cd /root; echo kept >message
             quantumctl keys create durable >/dev/null
             quantumctl keys sign durable message >signature
             cp /usr/bin/true /dev/shm/before; /dev/shm/before; rm /dev/shm/before",
        )?;
        guest.eventually("quantumctl --json security alerts | grep -q /dev/shm/before")?;
        guest.shell("sync")?;
        let check = "set -e; cd /root
            quantumctl keys verify durable --signature signature message
            quantumctl keys sign durable message >again
            quantumctl keys verify durable --signature again message
            quantumctl --json security alerts | grep -q /dev/shm/before";
        guest.reboot()?;
        settle(guest)?;
        all_active(guest)?;
        guest.shell(check)?;
        guest.power_cycle("")?;
        settle(guest)?;
        all_active(guest)?;
        guest.shell(check)?;
        let protection = Bus::of(guest).get(
            bus_name::QUANTUM,
            path::KEYS,
            "org.quantumos.Keys1",
            "Protection",
        )?;
        ensure(protection == "tpm", || {
            format!("protection is {protection}")
        })?;
        nothing_failed(guest)
    });
}

#[test]
fn a_full_disk_is_an_error_that_says_so_and_costs_nothing() {
    GUEST.scenario(|guest| {
        let before = Bus::of(guest).owner(bus_name::QUANTUM)?;
        guest.shell(
            "quantumctl keys create roomy >/dev/null
             fallocate -l $(df --output=avail -B1 / | tail -n 1) /filler 2>/dev/null
             cat /dev/zero >/filler2 2>/dev/null; sync; true",
        )?;
        let refusal = guest.shell("quantumctl keys create cramped 2>&1 && exit 9; true");
        guest.shell("rm -f /filler /filler2")?;
        let refusal = refusal?.to_lowercase();
        ensure(
            refusal.contains("full") || refusal.contains("space"),
            || format!("the refusal does not say that the disk is full: {refusal}"),
        )?;
        let after = Bus::of(guest).owner(bus_name::QUANTUM)?;
        ensure(after == before, || "quantumd went down over it".into())?;
        guest.shell(
            "quantumctl keys create roomy-again >/dev/null && quantumctl keys list | grep -q roomy",
        )?;
        Ok(())
    });
}

#[test]
fn it_starts_with_nothing_of_ours_in_etc_and_var() {
    GUEST.scenario(|guest| {
        guest.shell(
            "systemctl stop quantumos.target
             rm -rf /etc/quantumos /var/lib/quantumos /run/quantumos
             systemctl start quantumos.target quantumd steppps-mgr security-ai resource-ai ai-learnd",
        )?;
        all_active(guest)?;
        guest.shell("quantumctl keys create first >/dev/null")?;
        Ok(())
    });
}

/// Its own boots, as a guest is no good without its TPM; and one that never had any.
#[test]
fn a_tpm_that_goes_or_never_was_is_named() {
    let Some(image) = image() else {
        println!("skipped: no image, `make image PROFILE=dev` builds it");
        return;
    };
    let mut guest = Guest::boot(Options::of(&image)).unwrap();
    let outcome = tpm_goes(&mut guest);
    assert!(outcome.is_ok(), "{outcome:?}\n{}", guest.journal());
    drop(guest);

    let guest = Guest::boot(Options {
        tpm: false,
        ..Options::of(&image)
    })
    .unwrap();
    let outcome = no_tpm(&guest);
    assert!(outcome.is_ok(), "{outcome:?}\n{}", guest.journal());
}

fn tpm_goes(guest: &mut Guest) -> Outcome {
    settle(guest)?;
    guest.shell("quantumctl keys create early >/dev/null")?;
    let before = Bus::of(guest).owner(bus_name::QUANTUM)?;
    guest.remove_tpm();
    // A key that is loaded may go on or not; a restart has to unseal the root key and can't.
    let sign = guest.run(&["/bin/sh", "-c", "echo x | quantumctl keys sign early"])?;
    let after = Bus::of(guest).owner(bus_name::QUANTUM)?;
    ensure(after == before, || "quantumd went down with the TPM".into())?;
    ensure(
        sign.code == 0 || sign.errors().to_lowercase().contains("tpm"),
        || format!("the error does not name the TPM: {}", sign.errors()),
    )
}

fn no_tpm(guest: &Guest) -> Outcome {
    settle(guest)?;
    all_active(guest)?;
    let bus = Bus::of(guest);
    let problems = bus.get(
        bus_name::QUANTUM,
        path::QUANTUM,
        "org.quantumos.Service1",
        "Problems",
    )?;
    ensure(problems.to_string().to_lowercase().contains("tpm"), || {
        format!("no problem names the TPM: {problems}")
    })?;
    let create = ["ssa{sv}", "ML-DSA-87", "x", "0"];
    let refusal = bus.refusal(
        bus_name::QUANTUM,
        path::KEYS,
        "org.quantumos.Keys1",
        "Create",
        &create,
    )?;
    ensure(refusal.to_lowercase().contains("tpm"), || {
        format!("the refusal does not name the TPM: {refusal}")
    })
}

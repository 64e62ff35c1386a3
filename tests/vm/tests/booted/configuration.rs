//! Reload, refusal, and the configuration that stays in force.

use quantumos_dbus::SERVICES;
use quantumos_harness::Guest;
use quantumos_vm::{Bus, Outcome, ensure};

use crate::GUEST;

fn refusal(guest: &Guest, unit: usize) -> Result<String, Box<dyn std::error::Error>> {
    let service = SERVICES[unit];
    let value = Bus::of(guest).get(
        service.bus_name,
        service.path,
        "org.quantumos.Service1",
        "ConfigurationError",
    )?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_bad_file_is_refused_with_file_and_line() {
    GUEST.scenario(|guest| {
        for (index, service) in SERVICES.iter().enumerate() {
            let unit = service.unit;
            let file = format!("/etc/quantumos/{unit}.toml");
            let pid = Bus::of(guest).owner(service.bus_name)?;
            guest.put(&file, "0644", b"# one\n# two\nnonsense = 1\n")?;
            // A refused reload is no failed one: the daemon goes on, so systemctl succeeds.
            guest.shell(&format!("systemctl reload {unit}"))?;
            let said = refusal(guest, index)?;
            let place = format!("{unit}.toml:3");
            ensure(said.contains(&place) && said.contains("nonsense"), || {
                format!("{unit} said {said:?}, which does not name {place}")
            })?;
            let status = guest.shell(&format!(
                "systemctl status --no-pager --full --lines=50 {unit}; journalctl -b --no-pager -u {unit}"
            ))?;
            ensure(status.contains(&place), || {
                format!("neither status nor journal names {place}:\n{status}")
            })?;
            guest.shell(&format!("rm {file} && systemctl reload {unit}"))?;
            let said = refusal(guest, index)?;
            ensure(said.is_empty(), || format!("{unit} still says {said}"))?;
            let same = Bus::of(guest).owner(service.bus_name)?;
            ensure(same == pid, || format!("{unit} was restarted by its reload"))?;
        }
        Ok(())
    });
}

#[test]
fn a_reload_applies_and_a_bad_one_changes_nothing() {
    GUEST.scenario(|guest| {
        let file = "/etc/quantumos/resource-ai.toml";
        guest.put(file, "0644", b"mode = \"advise\"\n")?;
        guest.shell("systemctl reload resource-ai")?;
        mode_is(guest, "advise")?;
        guest.put(file, "0644", b"mode = \"rule the world\"\n")?;
        guest.shell("systemctl reload resource-ai")?;
        mode_is(guest, "advise")?;
        // Not even a restart turns a typing error into a host without its daemon.
        guest.shell("systemctl restart resource-ai")?;
        mode_is(guest, "advise")?;
        guest.shell(&format!("rm {file} && systemctl reload resource-ai"))?;
        mode_is(guest, "observe")
    });
}

fn mode_is(guest: &Guest, wanted: &str) -> Outcome {
    let mode = Bus::of(guest).get(
        "org.quantumos.Resource1",
        "/org/quantumos/resource",
        "org.quantumos.Resource1",
        "Mode",
    )?;
    ensure(mode == wanted, || format!("mode is {mode}, not {wanted}"))
}

//! The set `idle.host`: the daemons on this machine's kernel, as `make dev` starts them: the processor time that they take
//! until the last of them has its name on the bus, then processor time and memory while nobody asks them anything.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use quantumos_dbus::SERVICES;
use quantumos_harness::{bus::die_with_parent, eventually};

use crate::process::{processor_time, proportional_share};
use crate::{Failure, Print};

/// How long the daemons are left alone before, and how long they are watched.
const SETTLE: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_secs(60);

/// The script that starts the daemons, the leader of a process group with all of them.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        // Both may fail only when it has ended already.
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// Measures the set.
///
/// # Errors
/// When a daemon isn't built beside this program, or doesn't start.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure_all(print))
}

async fn measure_all(print: Print<'_>) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let folder = program.parent().ok_or("this program is in no folder")?;
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/dev"));
    command
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    die_with_parent(&mut command);
    let mut dev = Dev(command.spawn()?);
    let output = dev.0.stdout.take().ok_or("no pipe")?;
    let address = BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            Some(
                line.split_once("BUS_ADDRESS='")?
                    .1
                    .trim_end_matches('\'')
                    .to_owned(),
            )
        })
        .ok_or("images/dev does not say where its bus is")?;

    let client = zbus::connection::Builder::address(address.as_str())
        .build()
        .await?;
    let bus = zbus::fdo::DBusProxy::new(&client).await?;
    let mut processes = Vec::new();
    for service in &SERVICES {
        let process = eventually(service.unit, async || {
            let name = service.bus_name.try_into().ok()?;
            bus.get_connection_unix_process_id(name).await.ok()
        })
        .await;
        processes.push(process);
    }
    let times = || -> Result<Vec<Duration>, Failure> {
        processes
            .iter()
            .map(|process| processor_time(*process))
            .collect()
    };
    let started = times()?;
    tokio::time::sleep(SETTLE).await;
    let before = times()?;
    tokio::time::sleep(WINDOW).await;
    let after = times()?;

    let (mut start, mut idle, mut memory) = (0.0, 0.0, 0.0);
    for (index, service) in SERVICES.iter().enumerate() {
        let took = started[index].as_secs_f64();
        let percent = (after[index] - before[index]).as_secs_f64() / WINDOW.as_secs_f64() * 100.0;
        let mebibytes = proportional_share(processes[index])?;
        print(
            &format!("idle.host.{}.start", service.unit),
            took,
            "s",
            "",
            None,
        );
        print(
            &format!("idle.host.{}.cpu", service.unit),
            percent,
            "%",
            "",
            None,
        );
        print(
            &format!("idle.host.{}.pss", service.unit),
            mebibytes,
            "MiB",
            "",
            None,
        );
        start += took;
        idle += percent;
        memory += mebibytes;
    }
    print("idle.host.all.start", start, "s", "", None);
    print("idle.host.all.cpu", idle, "%", "", None);
    print("idle.host.all.pss", memory, "MiB", "", None);
    Ok(())
}

//! The time from an exec in the kernel to the alert's signal at a client of the bus: the real daemon with the real
//! probes, on a bus of its own. Needs CAP_BPF, CAP_PERFMON and dbus-daemon.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use quantumos_dbus::Security1Proxy;
use quantumos_harness::PrivateBus;
use security_ai::{Alerts, SecurityAi, Settings};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Programs run, one after another, each for an alert of its own.
const EXECS: usize = 500;
/// How long one alert may take before the measure fails.
const PATIENCE: Duration = Duration::from_secs(30);

const RULE: &str = "\
title: A program of the measure runs
id: 4d0c5f9e-3f0b-4f0e-9d57-0f1d2c9c6b10
status: test
logsource:
    category: process_creation
    product: linux
detection:
    selection:
        CommandLine|contains: quantumos-alert-latency
    condition: selection
level: high
";

/// Measures, and gives each figure to `report` as name, value and unit.
///
/// # Errors
///
/// When the daemon or the bus cannot be started, or an alert does not come.
pub fn measure(report: &mut dyn FnMut(&str, f64, &str)) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut latencies = runtime.block_on(run())?;
    latencies.sort_unstable();
    for (name, per_mille) in [("p50", 500), ("p99", 990)] {
        let rank = (latencies.len() * per_mille).div_ceil(1000).max(1);
        let microseconds = latencies.get(rank - 1).copied().unwrap_or(0);
        let name = format!("events.exec-to-alert-signal-{name}");
        report(&name, microseconds as f64, "us");
    }
    Ok(())
}

/// The latencies in microseconds.
async fn run() -> Outcome<Vec<u64>> {
    let root = tempfile::tempdir()?;
    let rules = root.path().join("etc/quantumos/security-ai/rules.d");
    std::fs::create_dir_all(&rules)?;
    std::fs::write(rules.join("latency.yml"), RULE)?;
    let bus = PrivateBus::start()?;
    let settings = Settings {
        alerts: Alerts {
            keep: 10_000,
            distinct_per_minute: 10_000,
            ..Alerts::default()
        },
        ..Settings::default()
    };
    let daemon = bus
        .serve::<SecurityAi>(root.path(), settings)
        .await
        .map_err(|error| error.to_string())?;
    let client = bus.connect().await?;
    let proxy = Security1Proxy::new(&client).await?;
    if proxy.rules_loaded().await? != 1 {
        return Err("the rule of the measure does not load".into());
    }
    let mut signals = proxy.receive_alert_raised().await?;
    let mut latencies = Vec::with_capacity(EXECS);
    for number in 0..EXECS {
        let argument = format!("quantumos-alert-latency-{number}");
        let program = tokio::task::spawn_blocking({
            let argument = argument.clone();
            move || {
                Command::new("/bin/true")
                    .arg(argument)
                    .stdin(Stdio::null())
                    .status()
            }
        });
        let latency = tokio::time::timeout(PATIENCE, async {
            while let Some(signal) = signals.next().await {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
                let signal = signal.args()?;
                let line: Option<&str> = signal
                    .details
                    .get("CommandLine")
                    .and_then(|value| value.try_into().ok());
                if line.is_some_and(|line| line.ends_with(&argument)) {
                    let time = signal
                        .details
                        .get("Time")
                        .ok_or("an alert without its time")?;
                    let time: u64 = time.try_into()?;
                    return Ok(u64::try_from(now)?.saturating_sub(time));
                }
            }
            Outcome::Err("the bus went away".into())
        });
        latencies.push(
            latency
                .await
                .map_err(|_| format!("no alert for {argument}"))??,
        );
        program.await??;
    }
    daemon.stop().await;
    Ok(latencies)
}

//! The set `bus`: what a signature costs over the bus, against the bare operation in this process, and by part.
//! quantumd runs as on a host, a process of its own beside this program, on a private bus, with a
//! software TPM behind it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use quantumos_dbus::{Key1Proxy, Keys1Proxy, bus_name};
use quantumos_harness::{PrivateBus, Swtpm, bus::die_with_parent, eventually};
use quantumos_pqc::{Secret, SigningKey};
use zbus::Connection;

use crate::process::{Served, proportional_share};
use crate::{Failure, Print};

const MESSAGE: [u8; 64] = [7; 64];
const ROUNDS: usize = 2000;
const WARM_UP: usize = 200;
const CALLERS: usize = 8;

/// Measures and prints the set.
///
/// # Errors
/// When quantumd isn't beside this program, or anything doesn't work.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure_all(print))
}

async fn measure_all(print: Print<'_>) -> Result<(), Failure> {
    let (bus, tpm) = (PrivateBus::start()?, Swtpm::start()?);
    let root = tempfile::tempdir()?;
    let daemon = start(&bus, &tpm, root.path())?;
    let client = bus.connect().await?;
    let dbus = zbus::fdo::DBusProxy::new(&client).await?;
    eventually("quantumd takes its name", async || {
        let name = bus_name::QUANTUM.try_into().ok()?;
        dbus.name_has_owner(name).await.ok()?.then_some(())
    })
    .await;
    let idle = proportional_share(daemon.0.id())?;

    let key = SigningKey::from_seed(&Secret::random()?)?;
    let bare = times(|| key.sign_unchecked(&MESSAGE, b"").map(drop))?;
    let checked = times(|| key.sign(&MESSAGE, b"").map(drop))?;
    let keys = Keys1Proxy::new(&client).await?;
    let path = keys.create("ML-DSA-87", "bench", HashMap::new()).await?;
    let key = key1(&client, path.as_str()).await?;
    let over_bus = calls(async || key.sign(&MESSAGE, HashMap::new()).await).await?;

    for (name, at) in [("p50", 0.5), ("p99", 0.99)] {
        let (ours, peer) = (quantile(&over_bus, at), quantile(&bare, at));
        let better = Some(peer / ours);
        print(
            &format!("bus.sign-{name}"),
            ours,
            "us",
            "sign without bus",
            better,
        );
    }
    // What the bus alone adds: the second implementation's check is part of every signature.
    let (ours, peer) = (quantile(&over_bus, 0.5), quantile(&checked, 0.5));
    let peer_name = "sign and check without bus";
    print(
        "bus.sign-checked-p50",
        ours,
        "us",
        peer_name,
        Some(peer / ours),
    );
    print("bus.raw-sign-p50", quantile(&bare, 0.5), "us", "", None);
    print(
        "bus.raw-sign-and-check-p50",
        quantile(&checked, 0.5),
        "us",
        "",
        None,
    );
    // The parts: to the bus and back, on to quantumd and back, and a call that does all but the lattice's mathematics.
    let to_bus = calls(async || dbus.get_id().await).await?;
    print("bus.broker-p50", quantile(&to_bus, 0.5), "us", "", None);
    let peer = zbus::fdo::PeerProxy::new(&client, bus_name::QUANTUM, path.as_str()).await?;
    let to_daemon = calls(async || peer.ping().await).await?;
    print("bus.ping-p50", quantile(&to_daemon, 0.5), "us", "", None);
    let mac = keys.create("HMAC-SHA-512", "bench", HashMap::new()).await?;
    let mac = key1(&client, mac.as_str()).await?;
    let short = calls(async || mac.sign(&MESSAGE, HashMap::new()).await).await?;
    print("bus.mac-p50", quantile(&short, 0.5), "us", "", None);
    let rest = quantile(&over_bus, 0.5) - quantile(&checked, 0.5);
    print("bus.sign-less-operation-p50", rest, "us", "", None);
    let rate = concurrent(&bus, path.as_str()).await?;
    let single = 1e6 / quantile(&checked, 0.5);
    print(
        "bus.sign-rate",
        rate,
        "1/s",
        "one thread without bus",
        Some(rate / single),
    );
    print("bus.quantumd-pss-idle", idle, "MiB", "", None);
    print(
        "bus.quantumd-pss-after",
        proportional_share(daemon.0.id())?,
        "MiB",
        "",
        None,
    );
    Ok(())
}

fn start(bus: &PrivateBus, tpm: &Swtpm, root: &Path) -> Result<Served, Failure> {
    let program = std::env::current_exe()?.with_file_name("quantumd");
    if !program.exists() {
        return Err(format!("{} is not there: build it first", program.display()).into());
    }
    let made = |name: &str| -> std::io::Result<PathBuf> {
        let path = root.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    };
    let settings = format!("[tpm]\ntcti = \"{}\"\n", tpm.tcti());
    std::fs::write(made("etc/quantumos")?.join("quantumd.toml"), settings)?;
    let mut command = Command::new(program);
    command
        .arg("--config-root")
        .arg(root)
        .args(["--bus", bus.address()])
        .arg("--state-directory")
        .arg(made("state")?)
        .arg("--runtime-directory")
        .arg(made("runtime")?)
        .env("QUANTUMOS_LOG", "warn")
        .stdin(Stdio::null());
    die_with_parent(&mut command);
    Ok(Served(command.spawn()?))
}

async fn key1(client: &Connection, path: &str) -> zbus::Result<Key1Proxy<'static>> {
    Key1Proxy::builder(client)
        .path(path.to_owned())
        .build()
        .await
}

/// Sorted microseconds of each round.
fn times(
    mut work: impl FnMut() -> Result<(), quantumos_pqc::Error>,
) -> Result<Vec<f64>, quantumos_pqc::Error> {
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..WARM_UP + ROUNDS {
        let start = Instant::now();
        work()?;
        if round >= WARM_UP {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Sorted microseconds of each call.
async fn calls<T, E>(mut call: impl AsyncFnMut() -> Result<T, E>) -> Result<Vec<f64>, E> {
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..WARM_UP + ROUNDS {
        let start = Instant::now();
        call().await?;
        if round >= WARM_UP {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn quantile(sorted: &[f64], at: f64) -> f64 {
    let index = (sorted.len() as f64 * at) as usize;
    sorted[index.min(sorted.len() - 1)]
}

/// Signatures per second with several callers, each on a connection of its own.
async fn concurrent(bus: &PrivateBus, path: &str) -> Result<f64, Failure> {
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(key1(&bus.connect().await?, path).await?);
    }
    let each = ROUNDS / CALLERS;
    let start = Instant::now();
    let running = callers.into_iter().map(|key| async move {
        for _ in 0..each {
            key.sign(&MESSAGE, HashMap::new()).await?;
        }
        Ok::<_, quantumos_dbus::Error>(())
    });
    futures_util::future::try_join_all(running).await?;
    Ok((each * CALLERS) as f64 / start.elapsed().as_secs_f64())
}

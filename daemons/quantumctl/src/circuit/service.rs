//! Circuits that quantumd runs: submitted over the bus, followed, and shown as those that run here.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use quantumos_dbus::{Circuits1Proxy, Job1Proxy};
use serde::Serialize;
use serde_json::Value as Json;
use zbus::{Fd, OwnedObjectPath, Variant};

use super::args::{RunArgs, random_seed};
use super::bench::BenchArgs;
use super::model::{Result as RunResult, Timing};
use super::{render, sweep};
use crate::bus::Bus;
use crate::error::Error;
use crate::job;
use crate::output::Output;

/// A job that was left behind.
#[derive(Debug, Serialize)]
struct Detached {
    job: String,
}

/// Has a circuit run by quantumd.
pub async fn run(bus: &Bus, output: &Output, args: &RunArgs) -> Result<(), Error> {
    if args.source.is_stim() && !args.detach {
        // Its result has another shape.
        let file = &args.source.file;
        return Err(Error::Usage(format!(
            "{file}: circuits in stim's format are sampled: quantumctl circuit sample"
        )));
    }
    let circuits = Circuits1Proxy::new(bus.connection()).await?;
    let file = memory(args)?;
    let job = circuits
        .submit_file(Fd::from(file.as_fd()), options(args)?)
        .await?;
    if args.detach {
        let job = job.to_string();
        return output.document(&Detached { job }, |d| format!("{}\n", d.job));
    }
    let (bytes, media_type, seconds) = follow(bus, job).await?;
    if !args.sweep.is_empty() {
        let swept = sweep::read(&bytes, seconds)?;
        return output.document(&swept, |s| sweep::table(s, &args.observable, output));
    }
    let result = if media_type == "application/json" {
        document(&bytes, seconds)?
    } else {
        amplitudes(&bytes, args, seconds)
    };
    output.document(&result, |r| {
        render::result(r, output.columns(), &output.style)
    })
}

/// Has the methods timed by quantumd.
pub async fn bench(bus: &Bus, output: &Output, args: &BenchArgs) -> Result<(), Error> {
    let circuits = Circuits1Proxy::new(bus.connection()).await?;
    let options = HashMap::from([("full", Variant::from(args.full))]);
    let job = circuits.benchmark(args.max_qubits, options).await?;
    let (bytes, ..) = follow(bus, job).await?;
    let answer = |error: serde_json::Error| Error::Answer(error.to_string());
    let mut document: Json = serde_json::from_slice(&bytes).map_err(answer)?;
    let timings: Vec<Timing> =
        serde_json::from_value(document["results"].take()).map_err(answer)?;
    timings
        .iter()
        .try_for_each(|timing| output.item(timing, Timing::line))
}

/// The circuit's text in a file that has no name.
fn memory(args: &RunArgs) -> Result<File, Error> {
    let text = super::text(&args.source.file, quantumos_circuit::qasm::TEXT_MAX)?;
    let failed = |source| Error::file(&args.source.file, source);
    let memory = nix::sys::memfd::memfd_create(c"circuit", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
        .map_err(|errno| failed(errno.into()))?;
    let mut memory = File::from(memory);
    memory.write_all(text.as_bytes()).map_err(failed)?;
    Ok(memory)
}

fn options(args: &RunArgs) -> Result<HashMap<&'static str, Variant<'static>>, Error> {
    let mut options = HashMap::from([
        ("format", Variant::from(args.source.name())),
        ("seed", args.seed.unwrap_or_else(random_seed).into()),
        ("method", args.method.choice().name().into()),
        ("bond", u32::try_from(args.bond).unwrap_or(u32::MAX).into()),
        ("observables", args.observable.clone().into()),
        ("amplitudes", args.amplitude.clone().into()),
        ("statevector", args.statevector.into()),
        ("per-shot", args.per_shot.into()),
        ("noise", args.noise.clone().into()),
        ("inputs", args.inputs()?.into()),
        ("gradient", args.gradient.into()),
        ("sweep", sweep::columns(&args.sweep)?.into()),
        ("detach", args.detach.into()),
    ]);
    if let Some(shots) = args.shots {
        options.insert("shots", shots.into());
    }
    let precision = match args.precision {
        super::args::PrecisionName::Single => "single",
        super::args::PrecisionName::Double => "double",
    };
    options.insert("precision", precision.into());
    if let Some([wrong_one, wrong_zero]) = args.readout()? {
        options.insert("readout", (wrong_one, wrong_zero).into());
    }
    Ok(options)
}

/// Waits for a job; its result, and how long it took.
async fn follow(bus: &Bus, path: OwnedObjectPath) -> Result<(Vec<u8>, String, f64), Error> {
    let job = Job1Proxy::builder(bus.connection())
        .path(path)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?;
    job::wait(&job).await?;
    let (bytes, media_type) = job::result(&job).await?;
    let (from, to) = (job.created_at().await?, job.ended_at().await?);
    Ok((bytes, media_type, to.saturating_sub(from) as f64 / 1e6))
}

pub(super) fn document(bytes: &[u8], seconds: f64) -> Result<RunResult, Error> {
    let answer = |error: serde_json::Error| Error::Answer(error.to_string());
    let mut result: RunResult = serde_json::from_slice(bytes).map_err(answer)?;
    if let Some((method, reason)) = result.method.split_once(": ") {
        result.reason = reason.to_owned();
        result.method = method.to_owned();
    }
    result.seconds = seconds;
    Ok(result)
}

fn amplitudes(bytes: &[u8], args: &RunArgs, seconds: f64) -> RunResult {
    let number = |part: &[u8]| part.try_into().map_or(f64::NAN, f64::from_le_bytes);
    let pairs = bytes.chunks_exact(16);
    RunResult {
        method: args.method.choice().name().to_owned(),
        reason: "all amplitudes".to_owned(),
        statevector: pairs.map(|p| [number(&p[..8]), number(&p[8..])]).collect(),
        bytes: bytes.len() as u64,
        seconds,
        ..RunResult::default()
    }
}

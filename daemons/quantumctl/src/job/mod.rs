//! `quantumctl job`: what quantumd works on for its callers, and what came of it. Jobs that were started
//! detached outlive who started them, so they are looked at, waited for and fetched from here.

mod follow;
mod model;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use quantumos_dbus::{Job1Proxy, Jobs1Proxy, bus_name::QUANTUM, path::JOBS};
use serde_json::json;
use zbus::{ObjectPath, proxy::CacheProperties};

pub use self::follow::{result, wait};
use self::model::Job;
use crate::{
    bus::{Bus, explain},
    error::Error,
    output::{self, Output},
    text::escape::escape,
};

/// What to do with jobs of quantumd: one's own, and to root everybody's.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List the jobs, the oldest first
    List,
    /// Show a job
    Show {
        /// Id, or the beginning of one that no other job has
        id: String,
    },
    /// Wait until a job has ended, and show how
    Watch {
        /// Id, or the beginning of one
        id: String,
    },
    /// Ask a job to end
    Cancel {
        /// Id, or the beginning of one
        id: String,
    },
    /// Print what came of a job that is done, or write it to a file
    Result(ResultArgs),
    /// End a job and forget it
    Remove {
        /// Id, or the beginning of one
        id: String,
    },
}

/// Whose result, and where to.
#[derive(Args, Debug)]
pub struct ResultArgs {
    /// Id, or the beginning of one
    id: String,
    /// File to write it to as it is; on standard output without it
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, command: &JobCommand) -> Result<(), Error> {
    match command {
        JobCommand::List => {
            let mut jobs = Vec::new();
            for path in paths(bus).await? {
                match read(bus, &path).await {
                    Ok(job) => jobs.push(job),
                    // It went while the others were asked.
                    Err(error) if error.is_unknown_object() => {}
                    Err(error) => return Err(error),
                }
            }
            output.document(&json!({ "jobs": jobs }), |_| model::table(&jobs, output))
        }
        JobCommand::Show { id } => {
            let job = read(bus, &find(bus, id).await?).await?;
            output.document(&job, |job| model::details(job, output))
        }
        JobCommand::Watch { id } => {
            let path = find(bus, id).await?;
            wait(&proxy(bus, &path).await?).await?;
            let job = read(bus, &path).await?;
            output.document(&job, |job| model::details(job, output))?;
            job.failure().map_or(Ok(()), Err)
        }
        JobCommand::Cancel { id } => {
            let path = find(bus, id).await?;
            let asked = proxy(bus, &path).await?.cancel().await;
            asked.map_err(|error| explain(QUANTUM, error))?;
            said(output, &path, "cancelling", "is asked to end")
        }
        JobCommand::Result(args) => {
            let path = find(bus, &args.id).await?;
            let (bytes, media_type) = result(&proxy(bus, &path).await?).await?;
            deliver(output, args, &bytes, &media_type)
        }
        JobCommand::Remove { id } => {
            let path = find(bus, id).await?;
            let removed = proxy(bus, &path).await?.remove().await;
            removed.map_err(|error| explain(QUANTUM, error))?;
            said(output, &path, "removed", "is removed")
        }
    }
}

fn said(output: &Output, path: &str, member: &str, words: &str) -> Result<(), Error> {
    let id = model::id(path);
    output.document(&json!({ "id": id, member: true }), |_| {
        format!("{id} {words}\n")
    })
}

/// JSON as it is; other media only where no terminal is harmed.
fn deliver(
    output: &Output,
    args: &ResultArgs,
    bytes: &[u8],
    media_type: &str,
) -> Result<(), Error> {
    if let Some(path) = &args.output {
        crate::crypto::write_file(path, true, bytes)?;
        let document = json!({ "file": path, "media_type": media_type, "bytes": bytes.len() });
        return output.document(&document, |_| String::new());
    }
    if media_type == "application/json" {
        let answer = |error: serde_json::Error| Error::Answer(error.to_string());
        let document: serde_json::Value = serde_json::from_slice(bytes).map_err(answer)?;
        return output.document(&document, |document| {
            let text = format!("{document:#}");
            text.lines().map(|line| escape(line) + "\n").collect()
        });
    }
    if output.json {
        let why = format!("the result is {media_type}; name a file with --output");
        return Err(Error::Usage(why));
    }
    output::write(bytes)
}

async fn paths(bus: &Bus) -> Result<Vec<String>, Error> {
    let jobs = Jobs1Proxy::builder(bus.connection())
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let paths = jobs.list().await.map_err(|error| explain(QUANTUM, error))?;
    Ok(paths.iter().map(ToString::to_string).collect())
}

/// The path of the job that an id, a beginning of one, or a path names.
async fn find(bus: &Bus, id: &str) -> Result<String, Error> {
    model::named(
        &paths(bus).await?,
        id.strip_prefix(JOBS)
            .map_or(id, |rest| rest.trim_start_matches('/')),
    )
}

async fn proxy(bus: &Bus, path: &str) -> Result<Job1Proxy<'static>, Error> {
    Ok(Job1Proxy::builder(bus.connection())
        .path(ObjectPath::try_from(path.to_owned())?)
        .cache_properties(CacheProperties::No)
        .build()
        .await?)
}

async fn read(bus: &Bus, path: &str) -> Result<Job, Error> {
    let wire: model::Wire = bus.record(QUANTUM, path, "org.quantumos.Job1").await?;
    Ok(Job::new(path, wire))
}

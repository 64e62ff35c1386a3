//! `container register`, `registered`, `history` and `forget`: the signed headers that quantumd keeps, so
//! that a container's history verifies where its ancestors' files are not at hand.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use quantumos_dbus::{Containers1Proxy, Job1Proxy, bus_name::QUANTUM};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zbus::{Fd, Variant, proxy::CacheProperties};

use crate::{
    bus::{Bus, explain},
    error::Error,
    job,
    output::Output,
    text::{
        escape::{escape, shorten},
        table::Table,
        time,
    },
};

/// A registered container. Time in microseconds of the real-time clock.
#[derive(Debug, Serialize)]
struct Registered {
    id: String,
    author: String,
    time: u64,
    parent: Option<String>,
    entropy_bits: u32,
    weak: bool,
    sealed_bytes: u64,
}

async fn proxy(bus: &Bus) -> Result<Containers1Proxy<'static>, Error> {
    Ok(Containers1Proxy::builder(bus.connection())
        .cache_properties(CacheProperties::No)
        .build()
        .await?)
}

fn failed(error: quantumos_dbus::Error) -> Error {
    explain(QUANTUM, error)
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::file(path, source))
}

/// Has quantumd verify a container, whose ancestors are those that are registered.
pub async fn verify(
    bus: &Bus,
    output: &Output,
    path: &Path,
    waveform: Option<&Path>,
) -> Result<(), Error> {
    let container = open(path)?;
    let mut options = HashMap::new();
    if let Some(waveform) = waveform {
        let waveform = OwnedFd::from(open(waveform)?);
        options.insert("waveform", Variant::Fd(waveform.into()));
    }
    let proxy = proxy(bus).await?;
    let started = proxy.verify(Fd::from(container.as_fd()), options);
    let job = Job1Proxy::builder(bus.connection())
        .path(started.await.map_err(failed)?)
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    job::wait(&job).await?;
    let (bytes, _) = job::result(&job).await?;
    let answer = |error: serde_json::Error| Error::Answer(error.to_string());
    let verified: Verified = serde_json::from_slice(&bytes).map_err(answer)?;
    if verified.coherent == Some(false) {
        return Err(quantumos_resonance::Error::WrongKey("waveform").into());
    }
    output.document(&verified, |verified| {
        let mut text = format!(
            "{} {}\n{}at {}\n",
            output.style.good("good container"),
            escape(&verified.id),
            super::show::by(&verified.author),
            time::local(verified.time, &output.zone)
        );
        for ancestor in verified.chain.iter().skip(1) {
            text += &format!("from {}\n", escape(ancestor));
        }
        text
    })
}

/// What quantumd found out about a container.
#[derive(Debug, Deserialize, Serialize)]
struct Verified {
    id: String,
    author: String,
    time: u64,
    parent: Option<String>,
    metadata: BTreeMap<String, String>,
    sealed_bytes: u64,
    entropy_bits: u16,
    weak: bool,
    chain: Vec<String>,
    #[serde(default)]
    coherent: Option<bool>,
}

/// Has quantumd keep the signed headers of containers.
pub async fn register(bus: &Bus, output: &Output, files: &[PathBuf]) -> Result<(), Error> {
    let proxy = proxy(bus).await?;
    let mut ids = Vec::new();
    for path in files {
        let file = open(path)?;
        let id = proxy.register(Fd::from(file.as_fd())).await;
        ids.push(id.map_err(failed)?);
    }
    output.document(&json!({ "registered": ids }), |_| {
        ids.iter().map(|id| format!("{id}\n")).collect()
    })
}

async fn all(bus: &Bus) -> Result<Vec<Registered>, Error> {
    let lines = proxy(bus).await?.list().await.map_err(failed)?;
    let each = lines.into_iter();
    Ok(each
        .map(
            |(id, author, time, parent, entropy_bits, weak, sealed_bytes)| Registered {
                id,
                author,
                time,
                parent: (!parent.is_empty()).then_some(parent),
                entropy_bits,
                weak,
                sealed_bytes,
            },
        )
        .collect())
}

/// Lists what is registered.
pub async fn list(bus: &Bus, output: &Output) -> Result<(), Error> {
    let mut all = all(bus).await?;
    all.sort_by_key(|container| container.time);
    output.document(&json!({ "containers": all }), |_| render(&all, output))
}

fn render(all: &[Registered], output: &Output) -> String {
    if all.is_empty() {
        return "no containers; register one with: quantumctl container register FILE\n".to_owned();
    }
    let mut table = Table::new(&["ID", "TIME", "PARENT", "BYTES", "AUTHOR"]).right(&[3]);
    let short = |id: &str| id.chars().take(12).collect::<String>();
    for one in all {
        let weak = if one.weak { " (weak)" } else { "" };
        table.row([
            short(&one.id),
            time::local(one.time, &output.zone),
            one.parent.as_deref().map_or("-".to_owned(), short),
            one.sealed_bytes.to_string(),
            shorten(&escape(&one.author), 12) + weak,
        ]);
    }
    table.plain()
}

/// The full id of the registered container that an id or the beginning of one names.
async fn named(bus: &Bus, name: &str) -> Result<String, Error> {
    let all = all(bus).await?;
    one(all.iter().map(|container| container.id.as_str()), name)
}

fn one<'a>(ids: impl Iterator<Item = &'a str>, name: &str) -> Result<String, Error> {
    let begun: Vec<&str> = ids
        .filter(|id| !name.is_empty() && id.starts_with(name))
        .collect();
    match begun.as_slice() {
        [id] => Ok((*id).to_owned()),
        [] => Err(Error::NotFound(format!(
            "no registered container has the id {name:?}; see: quantumctl container registered"
        ))),
        _ => Err(Error::Usage(format!(
            "the ids of several containers begin with {name:?}"
        ))),
    }
}

/// Verifies the history of a registered container and shows it.
pub async fn history(bus: &Bus, output: &Output, name: &str) -> Result<(), Error> {
    let id = named(bus, name).await?;
    let chain = proxy(bus).await?.chain(&id).await.map_err(failed)?;
    output.document(&json!({ "id": id, "chain": chain }), |_| {
        let mut text = format!("{} {id}\n", output.style.good("good history"));
        for ancestor in chain.iter().skip(1) {
            text += &format!("from {}\n", escape(ancestor));
        }
        text
    })
}

/// Has quantumd forget a container; the file stays.
pub async fn forget(bus: &Bus, output: &Output, name: &str) -> Result<(), Error> {
    let id = named(bus, name).await?;
    proxy(bus).await?.remove(&id).await.map_err(failed)?;
    output.document(&json!({ "id": id, "forgotten": true }), |_| {
        format!("{id} is forgotten; its file stays\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_a_terminal_and_names_are_unambiguous() {
        let container = |id: &str, weak: bool| Registered {
            id: id.repeat(32),
            author: "A\x1b very long name of somebody".into(),
            time: 1_763_690_000_000_000,
            parent: weak.then(|| "ab".repeat(32)),
            entropy_bits: 12,
            weak,
            sealed_bytes: 1 << 30,
        };
        let all = [container("ab", false), container("ac", true)];
        let text = render(&all, &Output::new(false));
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(!text.contains('\x1b'));
        let ids = || all.iter().map(|container| container.id.as_str());
        assert_eq!(one(ids(), "ab").unwrap_or_default(), all[0].id);
        for (name, code) in [("a", 2), ("b", 5), ("", 5)] {
            assert_eq!(
                one(ids(), name).err().map(|e| e.code()),
                Some(code),
                "{name}"
            );
        }
    }
}

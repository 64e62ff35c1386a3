//! `container verify` and `container list`.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, ValueHint};
use quantumos_resonance::container::{Broken, Id, Manager};
use serde::Serialize;

use super::{
    file::{self, Container, MlDsa87},
    register,
};
use crate::{
    bus::Bus,
    crypto::{numbers, read_file},
    error::Error,
    output::Output,
    text::{escape::escape, time},
};

/// What to verify.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Container file
    #[arg(value_hint = ValueHint::FilePath)]
    container: PathBuf,
    /// Files or directories with its ancestors; the container's own directory without it
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    ancestors: Vec<PathBuf>,
    /// File with a waveform to check against it too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    waveform: Option<PathBuf>,
    /// Have quantumd verify it, against the ancestors that are registered there
    #[arg(long, conflicts_with = "ancestors")]
    registered: bool,
}

impl VerifyArgs {
    /// Whether quantumd is to do it.
    pub fn online(&self) -> bool {
        self.registered
    }
}

/// Has quantumd verify a container.
pub async fn verify_registered(bus: &Bus, output: &Output, args: &VerifyArgs) -> Result<(), Error> {
    register::verify(bus, output, &args.container, args.waveform.as_deref()).await
}

/// A container as JSON has it.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    file: PathBuf,
    author: String,
    time: u64,
    parent: Option<String>,
    metadata: BTreeMap<String, String>,
    sealed_bytes: u64,
    entropy_bits: u16,
    weak: bool,
    signed: bool,
}

impl Shown {
    fn new(container: &Container) -> Self {
        let front = &container.front;
        let details = front.details();
        Self {
            id: front.id().to_string(),
            file: container.path.clone(),
            author: details.author.clone(),
            time: details.time,
            parent: details.parent.map(|id| id.to_string()),
            metadata: details.metadata.clone(),
            sealed_bytes: front.body_len(),
            entropy_bits: front.entropy(),
            weak: front.weak(),
            signed: front.verify(&MlDsa87).is_ok(),
        }
    }
}

/// A container and its verdicts.
#[derive(Debug, Serialize)]
struct Verified {
    #[serde(flatten)]
    container: Shown,
    data: bool,
    chain: Vec<String>,
    coherent: Option<bool>,
}

/// Shows a container that was made or opened.
pub fn made(output: &Output, container: &Container) -> Result<(), Error> {
    output.document(&Shown::new(container), |shown| format!("{}\n", shown.id))
}

pub fn verify(output: &Output, args: &VerifyArgs) -> Result<(), Error> {
    let container = Container::read(&args.container)?;
    container.front.verify(&MlDsa87)?;
    container.check_body()?;
    let around = match args.ancestors.as_slice() {
        [] => {
            let directory = args
                .container
                .parent()
                .filter(|p| !p.as_os_str().is_empty());
            vec![directory.map_or_else(|| PathBuf::from("."), PathBuf::from)]
        }
        paths => paths.to_vec(),
    };
    let mut manager = Manager::new();
    let id = manager.register(container.front.clone(), &MlDsa87)?;
    for ancestor in file::all(&around)? {
        // One whose signature is bad is as good as missing.
        let _ = manager.register(ancestor.front, &MlDsa87);
    }
    let chain = manager.verify_chain(id, &MlDsa87).map_err(Error::Chain)?;
    let coherent = match &args.waveform {
        Some(path) => {
            let (text, name) = read_file(Some(path), numbers::TEXT_MAX)?;
            let waveform = numbers::parse(&name, &text)?;
            Some(container.front.verify_coherence(&waveform)?)
        }
        None => None,
    };
    if coherent == Some(false) {
        return Err(quantumos_resonance::Error::WrongKey("waveform").into());
    }
    let verified = Verified {
        container: Shown::new(&container),
        data: true,
        chain: chain.iter().map(Id::to_string).collect(),
        coherent,
    };
    output.document(&verified, |verified| {
        let shown = &verified.container;
        let mut text = format!(
            "{} {}\n{}at {}\n",
            output.style.good("good container"),
            shown.id,
            by(&shown.author),
            time::local(shown.time, &output.zone)
        );
        for (name, value) in &shown.metadata {
            text += &format!("{}: {}\n", escape(name), escape(value));
        }
        for ancestor in verified.chain.iter().skip(1) {
            text += &format!("from {ancestor}\n");
        }
        if shown.weak {
            text += &format!(
                "weak: the waveform is worth about {} bits\n",
                shown.entropy_bits
            );
        }
        text
    })
}

pub fn list(output: &Output, paths: &[PathBuf]) -> Result<(), Error> {
    let found = file::all(paths)?;
    let shown: Vec<Shown> = found.iter().map(Shown::new).collect();
    output.document(&serde_json::json!({ "containers": shown }), |_| {
        let mut text = String::new();
        for shown in &shown {
            let signed = if shown.signed { "" } else { "  BAD SIGNATURE" };
            text += &format!(
                "{}  {}  {}  {}{signed}\n",
                &shown.id[..16],
                time::local(shown.time, &output.zone),
                escape(&shown.author),
                escape(&shown.file.to_string_lossy())
            );
        }
        text
    })
}

/// Which exit code a broken chain has: a missing ancestor is another thing than a forged one.
pub fn code(broken: &Broken) -> u8 {
    match broken {
        Broken::Missing(_) => 5,
        _ => 7,
    }
}

/// Who says to have made a container; nobody has to.
pub(super) fn by(author: &str) -> String {
    match author {
        "" => String::new(),
        author => format!("by {} ", escape(author)),
    }
}

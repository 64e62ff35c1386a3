//! `quantumctl ledger`: verify, read, prove and publish a ledger, from files alone on any host and without any
//! service; or ask the service of this host.

mod check;
mod files;
pub mod online;
mod render;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueHint};
use quantumos_ledger::{
    archive::{self, Archive},
    files::{Files, KEYS},
    note::VerifierKey,
};
use serde_json::json;

use self::files::Place;
use crate::{error::Error, output::Output};

/// What to do with a ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Verify a ledger, a seal, a proof or a checkpoint, from the files alone
    Verify(VerifyArgs),
    /// Show what the service says of its ledger
    Status {
        /// Have the service read all of the files again, and say what is wrong with them
        #[arg(long)]
        check: bool,
    },
    /// Show the entries of a ledger
    Show {
        #[command(flatten)]
        place: Directory,
        /// Number of the first entry to show
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// How many entries to show, at most
        #[arg(long)]
        count: Option<u64>,
    },
    /// Print the proof that an entry is in the ledger (C2SP tlog-proof)
    Prove {
        #[command(flatten)]
        place: Directory,
        /// Number of the entry
        index: u64,
    },
    /// Print the signed checkpoint
    Checkpoint {
        #[command(flatten)]
        place: Directory,
    },
    /// Print the proof that the ledger only added to an earlier size
    Consistency {
        #[command(flatten)]
        place: Directory,
        /// The earlier size
        old: u64,
    },
    /// Write the ledger as static files (C2SP tlog-tiles), for a web server or for somebody to verify
    Export {
        /// Directory of the ledger
        #[arg(long = "directory", value_name = "DIR", default_value = "/var/lib/quantumos/quantumd/ledger", value_hint = ValueHint::DirPath)]
        place: PathBuf,
        /// Directory to write to; made if it is not there
        #[arg(value_hint = ValueHint::DirPath)]
        to: PathBuf,
    },
    /// Have the service seal its ledger, and print KEY_FINALITY_SEAL.json
    Seal,
    /// Print the public keys of the ledger, a verifier key a line
    Keys {
        #[command(flatten)]
        place: Directory,
    },
}

/// Where the ledger is.
#[derive(Args, Debug)]
pub struct Directory {
    /// Directory of a ledger, such as an exported one, to read instead of asking the service
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: Option<PathBuf>,
}

/// What to verify, for whom.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Directory of a ledger, or a file: KEY_FINALITY_SEAL.json, a proof, or a checkpoint
    #[arg(value_hint = ValueHint::AnyPath)]
    path: PathBuf,
    /// Key that has to have signed: NAME+ID+BASE64, or a file with one a line; every one given counts
    #[arg(long, value_name = "KEY|FILE", value_hint = ValueHint::FilePath)]
    key: Vec<String>,
    /// File with the entry that an inclusion proof is for, instead of the one in the proof
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    entry: Option<PathBuf>,
}

/// Runs a command on files; `None` for one that is the service's to answer.
pub fn run_alone(output: &Output, command: &LedgerCommand) -> Option<Result<(), Error>> {
    match command {
        LedgerCommand::Verify(args) => Some(verify(output, args)),
        LedgerCommand::Export { place, to } => Some(export(output, place, to)),
        LedgerCommand::Show { place, .. }
        | LedgerCommand::Prove { place, .. }
        | LedgerCommand::Consistency { place, .. }
        | LedgerCommand::Checkpoint { place }
        | LedgerCommand::Keys { place } => {
            let directory = place.directory.as_deref()?;
            Some(Place::open(directory).and_then(|place| read_files(output, &place, command)))
        }
        LedgerCommand::Status { .. } | LedgerCommand::Seal => None,
    }
}

fn read_files(output: &Output, place: &Place, command: &LedgerCommand) -> Result<(), Error> {
    match command {
        LedgerCommand::Show { first, count, .. } => show(output, place, *first, *count),
        LedgerCommand::Prove { index, .. } => {
            let proof = Archive::open(place)?.inclusion(*index)?.to_string();
            print(output, "proof", &proof)
        }
        LedgerCommand::Checkpoint { .. } => {
            let note = Archive::open(place)?.note().to_string();
            print(output, "checkpoint", &note)
        }
        LedgerCommand::Consistency { old, .. } => {
            let proof = Archive::open(place)?.consistency(*old)?.to_string();
            print(output, "proof", &proof)
        }
        LedgerCommand::Keys { .. } => keys(output, place),
        LedgerCommand::Verify(_)
        | LedgerCommand::Export { .. }
        | LedgerCommand::Status { .. }
        | LedgerCommand::Seal => Ok(()),
    }
}

/// A text as it is, or as a field of a JSON document.
fn print(output: &Output, name: &str, text: &str) -> Result<(), Error> {
    output.document(&json!({ name: text }), |_| text.to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::file(path, source))
}

fn verify(output: &Output, args: &VerifyArgs) -> Result<(), Error> {
    let mut keys: Vec<VerifierKey> = Vec::new();
    for given in &args.key {
        match given.parse() {
            Ok(key) => keys.push(key),
            Err(_) if given.contains('+') && !Path::new(given).exists() => {
                let error = given.parse::<VerifierKey>().err();
                let why = error.map(|error| error.to_string()).unwrap_or_default();
                return Err(Error::Usage(format!("--key: {why}")));
            }
            Err(_) => keys.extend(quantumos_ledger::files::keys(&read(Path::new(given))?)?),
        }
    }
    let checked = if args.path.is_dir() {
        check::directory(&Place::open(&args.path)?, &keys)?
    } else {
        let entry = args.entry.as_deref().map(read).transpose()?;
        check::file(&read(&args.path)?, &keys, entry)?
    };
    output.document(&checked.json(), |_| render::checked(&checked, output.style))?;
    match checked.findings.is_empty() {
        true => Ok(()),
        false => Err(Error::Unverified(args.path.display().to_string())),
    }
}

fn show(output: &Output, place: &Place, first: u64, count: Option<u64>) -> Result<(), Error> {
    let end = count.map_or(u64::MAX, |count| first.saturating_add(count));
    let mut failed = Ok(());
    let size = match place.open("log").map(|log| log.is_some())? {
        true => end,
        // The last bundle of a published log is named after the whole size.
        false => Archive::open(place)?.checkpoint().size,
    };
    archive::records(place, size, |index, bytes| {
        if (first..end).contains(&index) && failed.is_ok() {
            let entry = render::Entry::new(index, bytes);
            failed = output.item(&entry, |entry| entry.text(&output.zone));
        }
        Ok(())
    })?;
    failed
}

fn export(output: &Output, from: &Path, to: &Path) -> Result<(), Error> {
    let place = Place::open(from)?;
    let archive = Archive::open(&place)?;
    let mut files = 0u64;
    let mut failed = Ok(());
    archive.publish(|name, bytes| {
        if failed.is_ok() {
            failed = files::write(to, name, bytes);
            files += 1;
        }
        Ok(())
    })?;
    failed?;
    let size = archive.checkpoint().size;
    let document = json!({ "directory": to, "entries": size, "files": files });
    output.document(&document, |_| {
        format!("{size} entries in {files} files at {}\n", to.display())
    })
}

fn keys(output: &Output, place: &Place) -> Result<(), Error> {
    let missing = || Error::NotFound(format!("{KEYS}: there is none"));
    let text = place.read(KEYS, 1 << 16)?.ok_or_else(missing)?;
    let keys = quantumos_ledger::files::keys(&text)?;
    let lines: Vec<String> = keys.iter().map(ToString::to_string).collect();
    listed(output, &lines)
}

fn listed(output: &Output, lines: &[String]) -> Result<(), Error> {
    output.document(&json!({ "keys": lines }), |_| lines.join("\n") + "\n")
}

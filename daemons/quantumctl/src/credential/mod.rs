//! `quantumctl credential`: secrets for systemd units. Values go to the service by descriptor.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, IsTerminal},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueHint};
use quantumos_dbus::{bus_name::QUANTUM, credentials::Credential as Wire, path::CREDENTIALS};
use serde::Serialize;
use serde_json::json;
use zbus::Variant;

use crate::{
    bus::Bus,
    error::Error,
    output::Output,
    text::{escape::escape, table::Table, time::local},
};

const INTERFACE: &str = "org.quantumos.Credentials1";

/// What to do with credentials. A unit names one in LoadCredential=NAME:/run/quantumos/credentials.sock.
#[derive(Debug, Subcommand)]
pub enum CredentialCommand {
    /// Set a credential, or its next version, to what a file or standard input holds
    Set(SetArgs),
    /// List the credentials, without their values
    List,
    /// Let a unit read a credential
    Grant {
        /// Name of the credential
        name: String,
        /// Full name of the unit, such as web.service
        unit: String,
    },
    /// Take that back
    Revoke {
        /// Name of the credential
        name: String,
        /// Full name of the unit
        unit: String,
    },
    /// Replace a generated value by a fresh one
    Rotate {
        /// Name of the credential
        name: String,
    },
    /// Remove a credential and destroy its value
    Remove {
        /// Name of the credential
        name: String,
    },
}

/// Where a value comes from.
#[derive(Args, Debug)]
pub struct SetArgs {
    /// Name of the credential
    name: String,
    /// File with the value; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Generate the value: base64 of so many random bytes
    #[arg(long, value_name = "BYTES", conflicts_with = "file")]
    random: Option<u32>,
    /// Replace a generated value every so many seconds
    #[arg(long, value_name = "SECONDS", requires = "random", default_value_t = 0)]
    every: u32,
}

/// A credential as it is shown.
#[derive(Debug, Serialize)]
struct Credential {
    name: String,
    version: u32,
    changed_at: u64,
    random: u32,
    every: u32,
    units: Vec<String>,
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, command: &CredentialCommand) -> Result<(), Error> {
    let proxy = bus.proxy(QUANTUM, CREDENTIALS, INTERFACE).await?;
    match command {
        CredentialCommand::Set(args) => {
            let version: u32 = match args.random {
                Some(bytes) => {
                    let options = HashMap::from([("every", Variant::from(args.every))]);
                    let body = (&args.name, bytes, options);
                    bus.authorised(&proxy, "Generate", &body).await?
                }
                None => {
                    let value = value(args.file.as_deref())?;
                    let body = (&args.name, zbus::Fd::from(&value));
                    bus.authorised(&proxy, "Set", &body).await?
                }
            };
            said(output, &args.name, version)
        }
        CredentialCommand::List => {
            let all: Vec<Wire> = bus.authorised(&proxy, "List", &()).await?;
            let all: Vec<Credential> = all
                .into_iter()
                .map(
                    |(name, version, changed_at, random, every, units)| Credential {
                        name,
                        version,
                        changed_at,
                        random,
                        every,
                        units,
                    },
                )
                .collect();
            output.document(&json!({ "credentials": all }), |_| render(&all, output))
        }
        CredentialCommand::Grant { name, unit } => {
            bus.authorised::<_, ()>(&proxy, "Grant", &(name, unit))
                .await?;
            output.document(
                &json!({ "name": name, "unit": unit, "granted": true }),
                |_| format!("{} may read {}\n", escape(unit), escape(name)),
            )
        }
        CredentialCommand::Revoke { name, unit } => {
            bus.authorised::<_, ()>(&proxy, "Ungrant", &(name, unit))
                .await?;
            output.document(
                &json!({ "name": name, "unit": unit, "granted": false }),
                |_| format!("{} may not read {} any more\n", escape(unit), escape(name)),
            )
        }
        CredentialCommand::Rotate { name } => {
            let version = bus.authorised(&proxy, "Rotate", &(name,)).await?;
            said(output, name, version)
        }
        CredentialCommand::Remove { name } => {
            bus.authorised::<_, ()>(&proxy, "Remove", &(name,)).await?;
            output.document(&json!({ "name": name, "removed": true }), |_| {
                format!("{} is removed\n", escape(name))
            })
        }
    }
}

fn said(output: &Output, name: &str, version: u32) -> Result<(), Error> {
    output.document(&json!({ "name": name, "version": version }), |_| {
        format!("{} has version {version}\n", escape(name))
    })
}

fn value(path: Option<&Path>) -> Result<OwnedFd, Error> {
    if let Some(path) = path.filter(|path| *path != Path::new("-")) {
        return File::open(path)
            .map(Into::into)
            .map_err(|source| Error::file(path, source));
    }
    let input = io::stdin();
    if input.is_terminal() {
        let why = "standard input is a terminal, which would show the value; name a file";
        return Err(Error::Usage(why.into()));
    }
    input
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| Error::file(Path::new("standard input"), source))
}

fn render(all: &[Credential], output: &Output) -> String {
    if all.is_empty() {
        return "no credentials; set one with: quantumctl credential set NAME FILE\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "VERSION", "CHANGED", "VALUE", "UNITS"]).right(&[1]);
    for one in all {
        let value = match (one.random, one.every) {
            (0, _) => "given".to_owned(),
            (bytes, 0) => format!("{bytes} random bytes"),
            (bytes, every) => format!("{bytes} random bytes every {every} s"),
        };
        table.row([
            escape(&one.name),
            one.version.to_string(),
            local(one.changed_at, &output.zone),
            value,
            escape(&one.units.join(" ")),
        ]);
    }
    table.render(|_, _, aligned| aligned.to_owned())
}

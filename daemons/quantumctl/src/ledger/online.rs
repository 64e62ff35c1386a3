//! `quantumctl ledger` where quantumd runs: what it says of its ledger, its entries and proofs, and the seal.

use std::{
    fs::File,
    io::{Read, Seek},
    os::fd::OwnedFd,
};

use quantumos_dbus::{bus_name::QUANTUM, path::LEDGER};
use quantumos_ledger::bundle;
use serde::{Deserialize, Serialize};
use zbus::Proxy;

use super::{LedgerCommand, listed, print, render};
use crate::{
    bus::Bus,
    error::Error,
    output::Output,
    text::{escape::escape, table::pairs},
};

const LEDGER1: &str = "org.quantumos.Ledger1";
/// As many entries of any length as fit into one answer.
const AT_ONCE: u64 = 1000;

/// The properties of Ledger1.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Head {
    origin: String,
    size: u64,
    signed_size: u64,
    verifier_keys: Vec<String>,
}

/// What the service says of its ledger.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    origin: String,
    entries: u64,
    signed_entries: u64,
    keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<Finding>>,
}

#[derive(Debug, Serialize)]
struct Finding {
    kind: String,
    message: String,
}

/// Runs a command that the service answers.
pub async fn run(bus: &Bus, output: &Output, command: &LedgerCommand) -> Result<(), Error> {
    let proxy = bus.proxy(QUANTUM, LEDGER, LEDGER1).await?;
    match command {
        LedgerCommand::Status { check } => status(bus, output, &proxy, *check).await,
        LedgerCommand::Show { first, count, .. } => show(bus, output, &proxy, *first, *count).await,
        LedgerCommand::Prove { index, .. } => {
            let proof: String = bus.authorised(&proxy, "InclusionProof", index).await?;
            print(output, "proof", &proof)
        }
        LedgerCommand::Consistency { old, .. } => {
            let proof: String = bus.authorised(&proxy, "ConsistencyProof", old).await?;
            print(output, "proof", &proof)
        }
        LedgerCommand::Checkpoint { .. } => {
            let note: String = bus.authorised(&proxy, "Checkpoint", &()).await?;
            print(output, "checkpoint", &note)
        }
        LedgerCommand::Keys { .. } => listed(output, &head(bus).await?.verifier_keys),
        LedgerCommand::Seal => {
            let seal: String = bus.authorised(&proxy, "Seal", &()).await?;
            // It is JSON already, for whoever asks and however.
            crate::output::write(seal.as_bytes())
        }
        LedgerCommand::Verify(_) | LedgerCommand::Export { .. } => Ok(()),
    }
}

async fn head(bus: &Bus) -> Result<Head, Error> {
    bus.record(QUANTUM, LEDGER, LEDGER1).await
}

async fn status(bus: &Bus, output: &Output, proxy: &Proxy<'_>, check: bool) -> Result<(), Error> {
    let head = head(bus).await?;
    let findings = match check {
        false => None,
        true => {
            let found: Vec<(String, String)> = bus.authorised(proxy, "Verify", &()).await?;
            let finding = |(kind, message)| Finding { kind, message };
            Some(found.into_iter().map(finding).collect::<Vec<_>>())
        }
    };
    let status = Status {
        origin: head.origin,
        entries: head.size,
        signed_entries: head.signed_size,
        keys: head.verifier_keys,
        findings,
    };
    output.document(&status, |status| text(status, output))?;
    match &status.findings {
        Some(findings) if !findings.is_empty() => Err(Error::Unverified(status.origin)),
        _ => Ok(()),
    }
}

fn text(status: &Status, output: &Output) -> String {
    let origin = match status.origin.is_empty() {
        true => "none yet: the root key was never open".into(),
        false => escape(&status.origin),
    };
    let mut rows = vec![
        ("Origin", origin),
        ("Entries", status.entries.to_string()),
        ("Signed", status.signed_entries.to_string()),
    ];
    // The key itself is long: name and number tell it apart.
    for key in &status.keys {
        let short: Vec<&str> = key.splitn(3, '+').take(2).collect();
        rows.push(("Key", escape(&short.join("+"))));
    }
    let mut text = pairs(&rows);
    for finding in status.findings.iter().flatten() {
        let kind = output.style.bad(&escape(&finding.kind));
        text.push_str(&format!("{kind}: {}\n", escape(&finding.message)));
    }
    if status.findings.as_ref().is_some_and(Vec::is_empty) {
        text.push_str(&output.style.good("this ledger verifies"));
        text.push('\n');
    }
    text
}

async fn show(
    bus: &Bus,
    output: &Output,
    proxy: &Proxy<'_>,
    first: u64,
    count: Option<u64>,
) -> Result<(), Error> {
    let size = head(bus).await?.size;
    let end = count.map_or(size, |count| first.saturating_add(count).min(size));
    let mut at = first;
    while at < end {
        let wanted = AT_ONCE.min(end - at);
        let given: zbus::OwnedFd = bus.authorised(proxy, "Entries", &(at, wanted)).await?;
        let bytes = read(given.into())?;
        let (mut rest, before) = (&bytes[..], at);
        while let Some(entry) = bundle::take(&mut rest)? {
            let entry = render::Entry::new(at, entry);
            output.item(&entry, |entry| entry.text(&output.zone))?;
            at += 1;
        }
        if at - before != wanted {
            let given = at - before;
            let why = format!("Entries: {given} were given where {wanted} were asked for");
            return Err(Error::Answer(why));
        }
    }
    Ok(())
}

fn read(descriptor: OwnedFd) -> Result<Vec<u8>, Error> {
    let mut file = File::from(descriptor);
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(|error| Error::Answer(format!("Entries: {error}")))?;
    Ok(bytes)
}

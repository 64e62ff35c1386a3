//! `org.quantumos.Ledger1`: the key ledger. Everybody may have what is signed of it; reading entries and sealing
//! need authorisation.

use super::failure::Answer;
use super::{APPEND, MANAGE, Shared};
use crate::Error;
use crate::ledger::{AgentEvent, KeyLog};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Uid, User};
use quantumos_dbus::Error as BusError;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::sync::Arc;
use zbus::OwnedFd;
use zbus::message::Header;

/// The most bytes of one range of entries.
const RANGE: usize = 64 << 20;

pub(super) struct Ledger1(pub(super) Arc<Shared>);

impl Ledger1 {
    /// Reads the ledger on a thread of its own; strangers wait for strangers only.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&KeyLog) -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        let log = self.0.ledger.clone();
        Ok(self.0.verifiers.run(move || work(&log)).await?)
    }
}

/// A memfd with these bytes that nobody can change.
fn sealed(bytes: &[u8]) -> std::io::Result<std::os::fd::OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"ledger-entries", flags)?);
    file.write_all(bytes)?;
    file.rewind()?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::all()))?;
    Ok(file.into())
}

/// The name that a caller's entries are under: never what it says of itself.
fn account(uid: u32) -> Result<String, Error> {
    let found = User::from_uid(Uid::from_raw(uid));
    let unknown = |why: String| Error::argument("caller", why);
    match found.map_err(|error| unknown(format!("user {uid} can't be looked up: {error}")))? {
        Some(user) => Ok(user.name),
        None => Err(unknown(format!("user {uid} has no name"))),
    }
}

#[zbus::interface(name = "org.quantumos.Ledger1", introspection_docs = false)]
impl Ledger1 {
    #[zbus(out_args("note"))]
    async fn checkpoint(&self) -> Result<String, BusError> {
        self.read(|log| Ok(log.checkpoint()?.to_string())).await
    }

    #[zbus(out_args("entries"))]
    async fn entries(
        &self,
        #[zbus(header)] header: Header<'_>,
        first: u64,
        count: u64,
    ) -> Result<OwnedFd, BusError> {
        self.0.context.authority.check(&header, MANAGE).await?;
        let bytes = self
            .read(move |log| log.entries(first, count, RANGE))
            .await?;
        let descriptor = sealed(&bytes).map_err(|error| BusError::Io(error.to_string()))?;
        Ok(descriptor.into())
    }

    #[zbus(out_args("proof"))]
    async fn inclusion_proof(
        &self,
        #[zbus(header)] header: Header<'_>,
        index: u64,
    ) -> Result<String, BusError> {
        self.0.context.authority.check(&header, MANAGE).await?;
        self.read(move |log| Ok(log.inclusion(index)?.to_string()))
            .await
    }

    #[zbus(out_args("proof"))]
    async fn consistency_proof(&self, old: u64) -> Result<String, BusError> {
        self.read(move |log| Ok(log.consistency(old)?.to_string()))
            .await
    }

    #[zbus(out_args("seal"))]
    async fn seal(&self, #[zbus(header)] header: Header<'_>) -> Result<String, BusError> {
        self.0.context.authority.check(&header, MANAGE).await?;
        self.0.ensure_open().await?;
        let log = self.0.ledger.clone();
        let seal = self.0.workers.run(move || log.seal()).await?;
        String::from_utf8(seal).map_err(|error| BusError::Internal(error.to_string()))
    }

    #[zbus(out_args("index"))]
    async fn append(
        &self,
        #[zbus(header)] header: Header<'_>,
        event: String,
        id: String,
        time: u64,
        facts: HashMap<String, String>,
    ) -> Result<u64, BusError> {
        let caller = self.0.context.authority.check(&header, APPEND).await?;
        self.0.ensure_open().await?;
        let log = self.0.ledger.clone();
        let appended = self.0.workers.run(move || {
            let told = AgentEvent {
                agent: account(caller.uid)?,
                event,
                id,
                time,
                facts,
            };
            told.check()?;
            log.agent(told)
        });
        Ok(appended.await?)
    }

    #[zbus(out_args("findings"))]
    async fn verify(&self) -> Result<Vec<(String, String)>, BusError> {
        let report = self.read(KeyLog::verify).await?;
        let findings = report.findings.into_iter();
        let line = |finding: quantumos_ledger::verify::Finding| {
            (finding.kind.name().into(), finding.damage.to_string())
        };
        Ok(findings.map(line).collect())
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn origin(&self) -> String {
        self.0.ledger.head().0
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn size(&self) -> u64 {
        self.0.ledger.head().1
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn signed_size(&self) -> u64 {
        self.0.ledger.head().2
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn verifier_keys(&self) -> Vec<String> {
        self.0.ledger.keys()
    }
}

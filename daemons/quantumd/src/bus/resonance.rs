//! `org.quantumos.Resonance1`: the resonance suite over descriptors, under keys of the keyring or
//! passphrases. Streams of any size are jobs.

use super::access::outcome;
use super::options::Under;
use super::stream::{self, Done, Lock};
use super::{Shared, descriptor, options};
use crate::Error;
use crate::grant::Operation;
use crate::job::{Outcome, Worker};
use quantumos_dbus::{Dictionary, Error as BusError};
use serde_json::json;
use std::os::fd::OwnedFd as Descriptor;
use std::sync::Arc;
use zbus::message::Header;
use zbus::{OwnedFd, OwnedObjectPath};

pub(super) struct Resonance1(pub(super) Arc<Shared>);

/// Either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Seal,
    Open,
}

impl Way {
    fn kind(self) -> &'static str {
        match self {
            Self::Seal => "encrypt",
            Self::Open => "decrypt",
        }
    }

    fn operation(self) -> Operation {
        match self {
            Self::Seal => Operation::Encrypt,
            Self::Open => Operation::Decrypt,
        }
    }
}

/// A result as JSON.
pub(super) fn answer(value: &serde_json::Value) -> Result<Outcome, Error> {
    let memory = descriptor::sealed(c"quantumd-result", value.to_string().as_bytes())?;
    Ok(Outcome::new(memory, "application/json"))
}

/// Tells a job how far a transfer is, and the transfer when the job should end.
pub(super) fn watch(job: &Worker, read: u64, len: Option<u64>) -> Result<(), Error> {
    if job.is_cancelled() {
        return Err(Error::Cancelled);
    }
    if let Some(len) = len.filter(|len| *len > 0) {
        // The end is told by the job itself.
        job.progress((read as f64 / len as f64).min(0.999));
    }
    Ok(())
}

impl Resonance1 {
    async fn convert(
        &self,
        header: Header<'_>,
        way: Way,
        (input, output): (OwnedFd, OwnedFd),
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        let shared = self.0.clone();
        let caller = shared.context.authority.caller(&header).await?;
        let options = options::stream(&options)?;
        let used = match &options.under {
            Under::Key(id) => {
                let record = shared.keyring.record(*id)?;
                let operation = way.operation();
                let who = shared.authorise_use(&header, &record, operation).await?;
                shared.ensure_open().await?;
                // Refuses other kinds of keys and revoked ones before anything is touched.
                shared.keyring.stream_secret(*id, None)?;
                Some((record, who))
            }
            Under::Passphrase(_) => None,
        };
        let jobs = shared.jobs.clone();
        let detach = options.detach;
        let ends: (Descriptor, Descriptor) = (input.into(), output.into());
        let work = move |job: Worker| async move {
            let keyring = shared.keyring.clone();
            let done = shared
                .hands
                .run_job(job, move |job| {
                    let watch = |read, len| watch(job, read, len);
                    let context = &options.context;
                    let run = |lock: &Lock<'_>| match way {
                        Way::Seal => stream::seal(lock, ends.0, ends.1, context, &watch),
                        Way::Open => stream::open(lock, ends.0, ends.1, context, &watch),
                    };
                    match options.under {
                        Under::Key(id) => run(&Lock::Key(&keyring, id)),
                        Under::Passphrase(descriptor) => {
                            run(&Lock::Passphrase(&descriptor::read_secret(descriptor)?))
                        }
                    }
                })
                .await;
            if let Some((record, who)) = used {
                let (operation, version) = (way.operation(), record.version());
                shared.used(&record, operation, version, who, outcome(&done));
            }
            let Done { written, suite } = done?;
            Ok(answer(
                &json!({"written": written, "cipher": suite.name()}),
            )?)
        };
        jobs.start(caller, way.kind(), detach, work).await
    }
}

#[zbus::interface(name = "org.quantumos.Resonance1", introspection_docs = false)]
impl Resonance1 {
    #[zbus(out_args("job"))]
    async fn encrypt(
        &self,
        #[zbus(header)] header: Header<'_>,
        input: OwnedFd,
        output: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        let ends = (input, output);
        self.convert(header, Way::Seal, ends, options).await
    }

    #[zbus(out_args("job"))]
    async fn decrypt(
        &self,
        #[zbus(header)] header: Header<'_>,
        input: OwnedFd,
        output: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        let ends = (input, output);
        self.convert(header, Way::Open, ends, options).await
    }
}

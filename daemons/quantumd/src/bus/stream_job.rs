//! Streams sealed, opened and carried as light by jobs: what `Resonance1` and `Wavelength1` share.

use super::access::outcome;
use super::options::{self, Under};
use super::stream::{self, Done, Lock};
use super::{Shared, descriptor};
use crate::Error;
use crate::grant::Operation;
use crate::job::{Outcome, Worker};
use quantumos_dbus::{Dictionary, Error as BusError};
use quantumos_wavelength::Method;
use serde_json::json;
use std::os::fd::OwnedFd as Descriptor;
use std::sync::Arc;
use zbus::message::Header;
use zbus::{OwnedFd, OwnedObjectPath};

/// What a job does with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Seals it.
    Seal,
    /// Opens it.
    Open,
    /// Seals and modulates it.
    Encode(Method),
    /// Demodulates and opens it.
    Decode,
}

impl Way {
    fn kind(self) -> &'static str {
        match self {
            Self::Seal => "encrypt",
            Self::Open => "decrypt",
            Self::Encode(_) => "encode",
            Self::Decode => "decode",
        }
    }

    fn operation(self) -> Operation {
        match self {
            Self::Seal | Self::Encode(_) => Operation::Encrypt,
            Self::Open | Self::Decode => Operation::Decrypt,
        }
    }

    fn run(
        self,
        lock: &Lock<'_>,
        (input, output): (Descriptor, Descriptor),
        context: &[u8],
        job: &Worker,
    ) -> Result<Done, Error> {
        let watch = |read, len| watch(job, read, len);
        let light = match self {
            Self::Encode(method) => Some(method),
            _ => None,
        };
        match self {
            Self::Seal | Self::Encode(_) => {
                stream::seal(lock, input, output, context, light, &watch)
            }
            Self::Open => stream::open(lock, input, output, context, false, &watch),
            Self::Decode => stream::open(lock, input, output, context, true, &watch),
        }
    }
}

/// A result as JSON.
pub(super) fn answer(value: &impl serde::Serialize) -> Result<Outcome, Error> {
    // Nothing that is shown here has keys other than text, so this can't fail.
    let text = serde_json::to_vec(value).map_err(|_| Error::Worker)?;
    let memory = descriptor::sealed(c"quantumd-result", &text)?;
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

/// Starts the job for a caller who may use the key that the options name.
pub(super) async fn start(
    shared: &Arc<Shared>,
    header: Header<'_>,
    way: Way,
    (input, output): (OwnedFd, OwnedFd),
    options: Dictionary,
) -> Result<OwnedObjectPath, BusError> {
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
    let detach = options.detach;
    let ends: (Descriptor, Descriptor) = (input.into(), output.into());
    let own = shared.clone();
    let work = move |job: Worker| async move {
        let keyring = own.keyring.clone();
        let done = own
            .hands
            .run_job(job, move |job| match options.under {
                Under::Key(id) => way.run(&Lock::Key(&keyring, id), ends, &options.context, job),
                Under::Passphrase(descriptor) => {
                    let phrase = descriptor::read_secret(descriptor)?;
                    way.run(&Lock::Passphrase(&phrase), ends, &options.context, job)
                }
            })
            .await;
        if let Some((record, who)) = used {
            let (operation, version) = (way.operation(), record.version());
            own.used(&record, operation, version, who, outcome(&done));
        }
        let Done { written, suite } = done?;
        Ok(answer(
            &json!({"written": written, "cipher": suite.name()}),
        )?)
    };
    shared.jobs.start(caller, way.kind(), detach, work).await
}

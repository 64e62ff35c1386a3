//! Pressure triggers of the kernel: one file for each resource, armed by writing to it,
//! that becomes ready (with priority) when tasks were stalled for long enough.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use quantumos_resource::trigger::Trigger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::settings;
use crate::sources::Sources;

/// A trigger fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// `cpu`, `memory` or `io`.
    pub resource: String,
    /// The trigger.
    pub trigger: Trigger,
}

/// The armed triggers; they end with this.
#[derive(Debug)]
pub struct Triggers {
    watchers: JoinSet<()>,
    armed: Vec<String>,
    refused: Vec<String>,
}

impl Triggers {
    /// Arms a trigger for each resource in the settings. One that the kernel refuses is
    /// left out and told by `refused`.
    pub fn arm(
        sources: &Sources,
        settings: &settings::Triggers,
        stalls: &mpsc::Sender<Stall>,
    ) -> Self {
        let mut out = Self {
            watchers: JoinSet::new(),
            armed: Vec::new(),
            refused: Vec::new(),
        };
        let trigger = match settings.trigger() {
            Ok(trigger) => trigger,
            Err(error) => {
                out.refused.push(error.to_string());
                return out;
            }
        };
        for resource in &settings.resources {
            let path = sources.pressure(resource);
            match open(&path, trigger) {
                Ok(ready) => {
                    out.armed.push(format!("{resource}: {trigger}"));
                    let stall = Stall {
                        resource: resource.clone(),
                        trigger,
                    };
                    out.watchers.spawn(watch(ready, stall, stalls.clone()));
                }
                Err(error) => out
                    .refused
                    .push(format!("{}: `{trigger}`: {error}", path.display())),
            }
        }
        out
    }

    /// What is armed, as `cpu: some 200000 2000000`.
    pub fn armed(&self) -> &[String] {
        &self.armed
    }

    /// What was refused, and why.
    pub fn refused(&self) -> &[String] {
        &self.refused
    }
}

#[allow(unsafe_code)]
fn open(path: &std::path::Path, trigger: Trigger) -> io::Result<AsyncFd<OwnedFd>> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    // The kernel wants the whole text, its end included, in one write.
    file.write_all(format!("{trigger}\0").as_bytes())?;
    // SAFETY: an `OwnedFd` gives the same open descriptor until it is dropped.
    let ready = unsafe { AsyncFd::register_with_interest(OwnedFd::from(file), Interest::PRIORITY) };
    Ok(ready?)
}

async fn watch(ready: AsyncFd<OwnedFd>, stall: Stall, stalls: mpsc::Sender<Stall>) {
    loop {
        match ready.ready(Interest::PRIORITY).await {
            Ok(mut guard) => {
                // An error beside the event means that the file is gone for good.
                if guard.ready().is_error() {
                    tracing::warn!(resource = stall.resource, "the pressure file went away");
                    return;
                }
                guard.clear_ready();
                if stalls.send(stall.clone()).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(resource = stall.resource, %error, "cannot wait for pressure");
                return;
            }
        }
    }
}

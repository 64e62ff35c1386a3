//! `org.quantumos.Job1` and `org.quantumos.Jobs1`: a job, and those of the caller.

use super::failure::Answer;
use super::jobs::{Jobs, job_path};
use crate::job::{Job, State};
use crate::record::KeyId;
use quantumos_dbus::Error as BusError;
use std::sync::Arc;
use zbus::message::Header;
use zbus::{DBusError, OwnedFd, OwnedObjectPath, fdo};

pub(super) struct Job1 {
    pub(super) jobs: Arc<Jobs>,
    pub(super) id: KeyId,
    pub(super) job: Arc<Job>,
}

impl Job1 {
    /// Lets the owner in, and root.
    async fn admit(&self, header: &Header<'_>) -> Answer<()> {
        let caller = self.jobs.authority().caller(header).await?;
        if caller.uid == self.job.owner || caller.uid == 0 {
            return Ok(());
        }
        Err(BusError::NotAuthorized("the job is another user's".into()))
    }

    /// As [`Job1::admit`] for properties; without a header it is this daemon that reads.
    async fn look<T>(
        &self,
        header: Option<Header<'_>>,
        read: impl FnOnce(&Job) -> T,
    ) -> fdo::Result<T> {
        if let Some(header) = header {
            let admitted = self.admit(&header).await;
            admitted.map_err(|error| fdo::Error::AccessDenied(error.to_string()))?;
        }
        Ok(read(&self.job))
    }
}

#[zbus::interface(name = "org.quantumos.Job1", introspection_docs = false)]
impl Job1 {
    async fn cancel(&self, #[zbus(header)] header: Header<'_>) -> Result<(), BusError> {
        self.admit(&header).await?;
        self.job.cancel();
        Ok(())
    }

    #[zbus(out_args("state"))]
    async fn wait(&self, #[zbus(header)] header: Header<'_>) -> Result<String, BusError> {
        self.admit(&header).await?;
        let mut status = self.job.follow();
        let ended = status.wait_for(|status| status.state.ended()).await;
        let state = ended.map(|status| status.state.name().to_owned());
        state.map_err(|_| BusError::NotFound("the job was removed".into()))
    }

    #[zbus(out_args("result", "media_type"))]
    async fn result(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(OwnedFd, String), BusError> {
        self.admit(&header).await?;
        match self.job.status().state {
            State::Done(outcome) => {
                // A file description of its own, so that each reader starts at the start.
                let memory = super::descriptor::reopen(outcome.memory())?;
                Ok((memory.into(), outcome.media_type().into()))
            }
            State::Failed(error) => Err(error),
            State::Cancelled => Err(BusError::Cancelled("the job was cancelled".into())),
            State::Waiting | State::Running => {
                Err(BusError::Busy("the job has not ended yet".into()))
            }
        }
    }

    async fn remove(&self, #[zbus(header)] header: Header<'_>) -> Result<(), BusError> {
        self.admit(&header).await?;
        self.jobs.forget(self.id);
        Ok(())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn kind(&self, #[zbus(header)] header: Option<Header<'_>>) -> fdo::Result<String> {
        self.look(header, |job| job.kind.into()).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn owner(&self, #[zbus(header)] header: Option<Header<'_>>) -> fdo::Result<u32> {
        self.look(header, |job| job.owner).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn created_at(&self, #[zbus(header)] header: Option<Header<'_>>) -> fdo::Result<u64> {
        self.look(header, |job| job.created_at).await
    }

    #[zbus(property)]
    async fn state(&self, #[zbus(header)] header: Option<Header<'_>>) -> fdo::Result<String> {
        self.look(header, |job| job.status().state.name().into())
            .await
    }

    #[zbus(property)]
    async fn progress(&self, #[zbus(header)] header: Option<Header<'_>>) -> fdo::Result<f64> {
        self.look(header, |job| job.status().progress).await
    }

    #[zbus(property)]
    async fn ended_at(&self, #[zbus(header)] header: Option<Header<'_>>) -> fdo::Result<u64> {
        self.look(header, |job| job.status().ended_at).await
    }

    #[zbus(property)]
    async fn error(
        &self,
        #[zbus(header)] header: Option<Header<'_>>,
    ) -> fdo::Result<(String, String)> {
        self.look(header, |job| match job.status().state {
            State::Failed(error) => {
                let message = error.description().unwrap_or_default().to_owned();
                (error.name().to_string(), message)
            }
            _ => Default::default(),
        })
        .await
    }
}

pub(super) struct Jobs1(pub(super) Arc<Jobs>);

#[zbus::interface(name = "org.quantumos.Jobs1", introspection_docs = false)]
impl Jobs1 {
    #[zbus(out_args("jobs"))]
    async fn list(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<OwnedObjectPath>, BusError> {
        let caller = self.0.authority().caller(&header).await?;
        let ids = self.0.of(caller.uid).into_iter();
        ids.map(job_path).collect()
    }
}

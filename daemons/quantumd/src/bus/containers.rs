//! `org.quantumos.Containers1`: containers in files of the callers', sealed and opened by jobs; and the
//! register of their histories.

use super::Shared;
use super::access::outcome;
use super::container_job::{self, Create, Described};
use super::failure::Answer;
use super::options::{self, known};
use crate::Error;
use crate::grant::Operation;
use crate::job::Worker;
use quantumos_dbus::{Dictionary, Error as BusError};
use quantumos_pqc::Algorithm;
use quantumos_resonance::container::{Front, Id};
use std::os::fd::OwnedFd as Descriptor;
use std::sync::Arc;
use zbus::message::Header;
use zbus::{OwnedFd, OwnedObjectPath};

pub(super) struct Containers1(pub(super) Arc<Shared>);

/// Id, author, time, parent (empty for none), estimated bits of the waveform, whether it is weak, bytes of the
/// sealed data.
type Line = (String, String, u64, String, u32, bool, u64);

fn id(text: &str) -> Answer<Id> {
    Ok(text.parse::<Id>().map_err(Error::Stream)?)
}

impl Containers1 {
    async fn user(&self, header: &Header<'_>) -> Answer<u32> {
        Ok(self.0.context.authority.caller(header).await?.uid)
    }

    /// Starts a job that reads a container.
    async fn read(
        &self,
        header: Header<'_>,
        kind: &'static str,
        detach: bool,
        work: impl FnOnce(&Shared, u32, &Worker) -> Result<Described, Error> + Send + 'static,
    ) -> Answer<OwnedObjectPath> {
        let shared = self.0.clone();
        let caller = shared.context.authority.caller(&header).await?;
        let user = caller.uid;
        let jobs = shared.jobs.clone();
        let run = move |job: Worker| async move {
            let own = shared.clone();
            let done = shared
                .hands
                .run_job(job, move |job| work(&own, user, job))
                .await?;
            Ok(super::stream_job::answer(&done)?)
        };
        jobs.start(caller, kind, detach, run).await
    }
}

#[zbus::interface(name = "org.quantumos.Containers1", introspection_docs = false)]
impl Containers1 {
    #[zbus(out_args("job"))]
    async fn create(
        &self,
        #[zbus(header)] header: Header<'_>,
        data: OwnedFd,
        waveform: OwnedFd,
        output: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        let names = ["key", "author", "metadata", "parent", "insist", "detach"];
        known(&options, &names)?;
        let shared = self.0.clone();
        let caller = shared.context.authority.caller(&header).await?;
        let key = options::key_in(&options)?
            .ok_or_else(|| Error::argument("options", "need a key to sign with"))?;
        let record = shared.keyring.record(key)?;
        let operation = Operation::Sign;
        let who = shared.authorise_use(&header, &record, operation).await?;
        if record.algorithm != Algorithm::MlDsa87 {
            let why = format!("{} can't, only ML-DSA-87", record.algorithm.name());
            return Err(Error::argument("option key", why).into());
        }
        shared.ensure_open().await?;
        let parent = options::text_in(&options, "parent")?.map(id).transpose()?;
        let create = Create {
            user: caller.uid,
            record: record.clone(),
            author: options::text_in(&options, "author")?
                .unwrap_or_default()
                .to_owned(),
            metadata: options::texts_in(&options, "metadata")?,
            parent,
            insist: options::flag_in(&options, "insist")?,
        };
        let detach = options::flag_in(&options, "detach")?;
        let ends: (Descriptor, Descriptor, Descriptor) =
            (data.into(), waveform.into(), output.into());
        let jobs = shared.jobs.clone();
        let run = move |job: Worker| async move {
            let own = shared.clone();
            let done = shared
                .hands
                .run_job(job, move |job| {
                    container_job::create(&own.keyring, &own.containers, create, ends, job)
                })
                .await;
            shared.used(&record, operation, record.version(), who, outcome(&done));
            Ok(super::stream_job::answer(&done?)?)
        };
        jobs.start(caller, "create-container", detach, run).await
    }

    #[zbus(out_args("job"))]
    async fn open(
        &self,
        #[zbus(header)] header: Header<'_>,
        container: OwnedFd,
        waveform: OwnedFd,
        output: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        known(&options, &["detach"])?;
        let detach = options::flag_in(&options, "detach")?;
        let ends = (container.into(), waveform.into(), output.into());
        self.read(
            header,
            "open-container",
            detach,
            move |shared, user, job| container_job::open(&shared.containers, user, ends, job),
        )
        .await
    }

    #[zbus(out_args("job"))]
    async fn verify(
        &self,
        #[zbus(header)] header: Header<'_>,
        container: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        known(&options, &["waveform", "detach"])?;
        let detach = options::flag_in(&options, "detach")?;
        let waveform = options::descriptor_in(&options, "waveform")?;
        let container: Descriptor = container.into();
        self.read(
            header,
            "verify-container",
            detach,
            move |shared, user, job| {
                container_job::verify(&shared.containers, user, container, waveform, job)
            },
        )
        .await
    }

    #[zbus(out_args("id"))]
    async fn register(
        &self,
        #[zbus(header)] header: Header<'_>,
        container: OwnedFd,
    ) -> Result<String, BusError> {
        let (user, own) = (self.user(&header).await?, self.0.clone());
        let work = move || {
            let front = container_job::front(container.into())?;
            Ok(own.containers.register(user, &front)?.to_string())
        };
        Ok(self.0.verifiers.run(work).await?)
    }

    async fn remove(&self, #[zbus(header)] header: Header<'_>, id: &str) -> Result<(), BusError> {
        let (user, own, id) = (self.user(&header).await?, self.0.clone(), self::id(id)?);
        let work = move || own.containers.remove(user, id);
        Ok(self.0.verifiers.run(work).await?)
    }

    #[zbus(out_args("ids"))]
    async fn chain(
        &self,
        #[zbus(header)] header: Header<'_>,
        id: &str,
    ) -> Result<Vec<String>, BusError> {
        let (user, own, id) = (self.user(&header).await?, self.0.clone(), self::id(id)?);
        let work = move || {
            let front = own.containers.get(user, id)?;
            let chain = own.containers.chain(user, front)?;
            Ok(chain.iter().map(ToString::to_string).collect())
        };
        Ok(self.0.verifiers.run(work).await?)
    }

    #[zbus(out_args("containers"))]
    async fn list(&self, #[zbus(header)] header: Header<'_>) -> Result<Vec<Line>, BusError> {
        let (user, own) = (self.user(&header).await?, self.0.clone());
        let work = move || {
            let list = own.containers.list(user)?;
            Ok(list.iter().map(|(id, front)| line(*id, front)).collect())
        };
        Ok(self.0.verifiers.run(work).await?)
    }
}

fn line(id: Id, front: &Front) -> Line {
    let details = front.details();
    let parent = details.parent.map_or_else(String::new, |id| id.to_string());
    (
        id.to_string(),
        details.author.clone(),
        details.time,
        parent,
        u32::from(front.entropy()),
        front.weak(),
        front.body_len(),
    )
}

//! What the jobs of `Containers1` do with descriptors: seal a container, open it, verify it. Blocks.

use super::resonance::values;
use super::stream::COST_LIMIT;
use super::stream_job::watch;
use super::transfer::{Input, both, refuse};
use crate::Error;
use crate::container::{Containers, MlDsa87};
use crate::job::Worker;
use crate::keyring::Keyring;
use crate::record::{Record, now};
use quantumos_pqc::SIGNATURE_LEN;
use quantumos_resonance::Error as Stream;
use quantumos_resonance::container::{CONTEXT, Details, FRONT_MAX, Front, Id, Seal};
use quantumos_resonance::stream::{CHUNK, Cost};
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Who makes a container, and what it says of itself.
pub(super) struct Create {
    pub(super) user: u32,
    pub(super) record: Arc<Record>,
    pub(super) author: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) parent: Option<Id>,
    pub(super) insist: bool,
}

/// A container as the result of a job has it.
#[derive(Debug, Serialize)]
pub(super) struct Described {
    id: String,
    author: String,
    time: u64,
    parent: Option<String>,
    metadata: BTreeMap<String, String>,
    sealed_bytes: u64,
    entropy_bits: u16,
    weak: bool,
    /// From it to its first ancestor, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Vec<String>>,
    /// Whether the waveform that was given is the right one.
    #[serde(skip_serializing_if = "Option::is_none")]
    coherent: Option<bool>,
}

impl Described {
    fn new(front: &Front) -> Self {
        let details = front.details();
        Self {
            id: front.id().to_string(),
            author: details.author.clone(),
            time: details.time,
            parent: details.parent.map(|id| id.to_string()),
            metadata: details.metadata.clone(),
            sealed_bytes: front.body_len(),
            entropy_bits: front.entropy(),
            weak: front.weak(),
            chain: None,
            coherent: None,
        }
    }
}

/// Seals data under a waveform, has the header signed, and registers the container.
pub(super) fn create(
    keyring: &Keyring,
    containers: &Containers,
    create: Create,
    (data, waveform, output): (OwnedFd, OwnedFd, OwnedFd),
    job: &Worker,
) -> Result<Described, Error> {
    let waveform = Zeroizing::new(values(waveform, "waveform")?);
    let parent = create.parent.map(|id| containers.get(create.user, id));
    let parent = parent.transpose()?;
    let details = Details {
        parent: create.parent,
        // A clock that was set back must not date a child before its parent.
        time: parent.map_or(now(), |parent| now().max(parent.details().time)),
        author: create.author,
        metadata: create.metadata,
    };
    let public = create.record.version_of(None)?;
    let mut sealed = Vec::with_capacity(2 * CHUNK);
    let (insist, key) = (create.insist, public.public.as_bytes());
    let mut seal = Seal::new(
        &waveform,
        insist,
        Cost::default(),
        details,
        key,
        &mut sealed,
    )?;
    let room = seal.front_len(SIGNATURE_LEN);
    let watch = |read, len| watch(job, read, len);
    let (mut input, mut output) = both(data, output, &watch)?;
    let write = || {
        output.leave(room as u64)?;
        let mut piece = Zeroizing::new(vec![0; CHUNK]);
        loop {
            output.write(&sealed)?;
            sealed.clear();
            let count = input.read(&mut piece)?;
            if count == 0 {
                break;
            }
            seal.push(&piece[..count], &mut sealed)?;
        }
        let unsigned = seal.finish(&mut sealed)?;
        output.write(&sealed)?;
        let signature = keyring.sign(create.record.id, &unsigned.message(), CONTEXT)?;
        let front = unsigned.with_signature(signature, &MlDsa87)?;
        let bytes = front.to_bytes();
        if bytes.len() != room {
            return Err(Error::Worker);
        }
        output.put_start(&bytes)?;
        containers.register(create.user, &front)?;
        Ok(front)
    };
    let done = write();
    let (front, done) = match done {
        Ok(front) => (Some(front), Ok(())),
        Err(error) => (None, Err(error)),
    };
    output.end(done)?;
    front.map_or(Err(Error::Worker), |front| Ok(Described::new(&front)))
}

/// The front at the beginning of an input, and what was read behind it.
fn read_front(input: &mut Input<'_>) -> Result<(Front, Vec<u8>), Error> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        let known = Front::len(&bytes)?;
        if known.is_some_and(|len| bytes.len() >= len) || bytes.len() > FRONT_MAX {
            break;
        }
        match input.read(&mut piece)? {
            0 => break,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
    let len = Front::len(&bytes)?.unwrap_or(bytes.len()).min(bytes.len());
    let body = bytes.split_off(len);
    let front = Front::from_bytes(&bytes)?;
    front.verify(&MlDsa87)?;
    front.cost().check(COST_LIMIT)?;
    Ok((front, body))
}

/// The signed front of a container in a file.
pub(super) fn front(container: OwnedFd) -> Result<Front, Error> {
    let watch = super::transfer::unwatched;
    let mut input = Input::of(container, &watch)?;
    if input.len().is_none() {
        return Err(refuse("container", "neither a regular file nor a memfd"));
    }
    Ok(read_front(&mut input)?.0)
}

/// Lets a waveform be tried if that was not done too often, and says in the journal when it was wrong.
fn tried<T>(
    containers: &Containers,
    user: u32,
    id: Id,
    attempt: impl FnOnce() -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let failures = containers.attempt(user, id, now())?;
    let found = attempt()?;
    match found {
        Some(_) => containers.opened(user, id),
        None => tracing::warn!(
            target: "quantumd::containers",
            container = %id, user, failures,
            "wrong waveform for a container"
        ),
    }
    Ok(found)
}

/// Opens a container with its waveform.
pub(super) fn open(
    containers: &Containers,
    user: u32,
    (container, waveform, output): (OwnedFd, OwnedFd, OwnedFd),
    job: &Worker,
) -> Result<Described, Error> {
    let waveform = Zeroizing::new(values(waveform, "waveform")?);
    let watch = |read, len| watch(job, read, len);
    let (mut input, mut output) = both(container, output, &watch)?;
    let mut front = None;
    let mut run = || {
        let (read, body) = read_front(&mut input)?;
        let read = front.insert(read);
        let unlocked = tried(containers, user, read.id(), || {
            match read.unlock(&waveform) {
                Ok(unlocked) => Ok(Some(unlocked)),
                Err(Stream::WrongKey(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        let mut unlocked = unlocked.ok_or(Stream::WrongKey("waveform"))?;
        let mut data = Zeroizing::new(Vec::with_capacity(2 * CHUNK));
        unlocked.push(&body, &mut data)?;
        output.write(&data)?;
        let mut piece = vec![0; CHUNK];
        loop {
            data.clear();
            let count = input.read(&mut piece)?;
            if count == 0 {
                unlocked.finish(&mut data)?;
                return output.write(&data);
            }
            unlocked.push(&piece[..count], &mut data)?;
            output.write(&data)?;
        }
    };
    let done = run();
    output.end(done)?;
    front.map_or(Err(Error::Worker), |front| Ok(Described::new(&front)))
}

/// Verifies signature, data and history of a container, and a waveform if there is one.
pub(super) fn verify(
    containers: &Containers,
    user: u32,
    container: OwnedFd,
    waveform: Option<OwnedFd>,
    job: &Worker,
) -> Result<Described, Error> {
    let waveform = waveform.map(|w| values(w, "option waveform")).transpose()?;
    let watch = |read, len| watch(job, read, len);
    let mut input = Input::of(container, &watch)?;
    let (front, body) = read_front(&mut input)?;
    let mut check = front.body_check();
    check.push(&body);
    let mut piece = vec![0; CHUNK];
    loop {
        match input.read(&mut piece)? {
            0 => break,
            count => check.push(&piece[..count]),
        }
    }
    check.finish()?;
    let mut described = Described::new(&front);
    if let Some(waveform) = waveform {
        let coherent = tried(containers, user, front.id(), || {
            Ok(front.verify_coherence(&waveform)?.then_some(()))
        })?;
        described.coherent = Some(coherent.is_some());
    }
    let chain = containers.chain(user, front)?;
    described.chain = Some(chain.iter().map(Id::to_string).collect());
    Ok(described)
}

//! `org.quantumos.Resonance1`: the resonance suite over descriptors, under keys of the keyring,
//! passphrases and other secrets. Streams of any size and transforms are jobs.

use super::access::outcome;
use super::failure::Answer;
use super::options::Keyed;
use super::stream_job::{self, Way, answer};
use super::{Shared, descriptor, options};
use crate::Error;
use crate::audit::Who;
use crate::grant::Operation;
use crate::job::Worker;
use crate::keyring::Keyring;
use crate::record::{KeyId, Record};
use quantumos_dbus::{Dictionary, Error as BusError};
use quantumos_resonance::hmac::WaveHmac;
use quantumos_resonance::numbers;
use quantumos_resonance::rft::{Document, Rft};
use quantumos_resonance::wave::{self, Summary};
use serde_json::json;
use std::os::fd::OwnedFd as Descriptor;
use std::sync::Arc;
use zbus::message::Header;
use zbus::{OwnedFd, OwnedObjectPath};
use zeroize::Zeroizing;

pub(super) struct Resonance1(pub(super) Arc<Shared>);

/// The longest waveform whose summary is told along with its hash.
const SUMMARY_MAX: usize = 1024;

/// The fewest bytes of a secret that a caller hands over.
const SECRET_MIN: usize = 16;

/// The numbers that a file or memfd holds.
pub(super) fn values(descriptor: Descriptor, which: &str) -> Result<Vec<f64>, Error> {
    let text = Zeroizing::new(descriptor::read_file(descriptor)?);
    numbers::parse(&text).map_err(|error| Error::argument(which, error.to_string()))
}

/// A key that the caller may use: who that is, and how to get at its secrets.
struct Admitted {
    record: Arc<Record>,
    who: Who,
    operation: Operation,
}

/// From the text of a descriptor, the length of blocks and a key to what the result says.
type Transform = fn(&[u8], Option<usize>, Option<&[u8]>) -> Result<serde_json::Value, Error>;

/// What a hash or transform is keyed with, once the caller was let in.
enum Secret {
    No,
    Key(KeyId),
    Given(Descriptor),
}

impl Secret {
    /// The secret of the newest version or of the given one, for one purpose.
    fn read(
        self,
        keyring: &Keyring,
        version: Option<u32>,
        purpose: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match self {
            Self::No => Ok(None),
            Self::Key(id) => {
                let (secret, _) = keyring.derived_secret(id, version, purpose)?;
                Ok(Some(Zeroizing::new(secret.expose().to_vec())))
            }
            Self::Given(descriptor) => {
                let secret = descriptor::read_secret(descriptor)?;
                if secret.len() < SECRET_MIN {
                    let why = format!("{} bytes, at least {SECRET_MIN} are needed", secret.len());
                    return Err(Error::argument("option secret", why));
                }
                Ok(Some(secret))
            }
        }
    }
}

impl Resonance1 {
    /// Lets the caller use the key, if one is named.
    async fn admit(
        &self,
        header: &Header<'_>,
        keyed: Keyed,
        operation: Operation,
    ) -> Answer<(Secret, Option<Admitted>)> {
        let shared = &self.0;
        match keyed {
            Keyed::No => Ok((Secret::No, None)),
            Keyed::Secret(descriptor) => Ok((Secret::Given(descriptor), None)),
            Keyed::Key(id) => {
                let record = shared.keyring.record(id)?;
                let who = shared.authorise_use(header, &record, operation).await?;
                shared.ensure_open().await?;
                let admitted = Admitted {
                    record,
                    who,
                    operation,
                };
                Ok((Secret::Key(id), Some(admitted)))
            }
        }
    }

    /// Runs what reads files only, and writes that a key was used.
    async fn apply<T: Send + 'static>(
        &self,
        admitted: Option<Admitted>,
        work: impl FnOnce(&Keyring) -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        let shared = &self.0;
        let keyring = shared.keyring.clone();
        let done = shared.verifiers.run(move || work(&keyring)).await;
        written(shared, admitted, &done);
        Ok(done?)
    }

    async fn transformed(
        &self,
        header: Header<'_>,
        kind: &'static str,
        input: OwnedFd,
        options: Dictionary,
        work: Transform,
    ) -> Answer<OwnedObjectPath> {
        let shared = self.0.clone();
        let caller = shared.context.authority.caller(&header).await?;
        let keyed = options::keyed(&options, &["block", "detach"])?;
        let block = options::number_in(&options, "block")?.map(|block| block as usize);
        let detach = options::flag_in(&options, "detach")?;
        let (secret, admitted) = self.admit(&header, keyed, Operation::Sign).await?;
        let input: Descriptor = input.into();
        let jobs = shared.jobs.clone();
        let run = move |job: Worker| async move {
            let keyring = shared.keyring.clone();
            let done = shared
                .hands
                .run_job(job, move |_| {
                    let text = Zeroizing::new(descriptor::read(input)?);
                    let key = secret.read(&keyring, None, "resonance transform")?;
                    answer(&work(&text, block, key.as_deref().map(Vec::as_slice))?)
                })
                .await;
            written(&shared, admitted, &done);
            Ok(done?)
        };
        jobs.start(caller, kind, detach, run).await
    }
}

/// Writes that a key was used, if one was.
fn written<T>(shared: &Shared, admitted: Option<Admitted>, done: &Result<T, Error>) {
    if let Some(Admitted {
        record,
        who,
        operation,
    }) = admitted
    {
        shared.used(&record, operation, record.version(), who, outcome(done));
    }
}

/// A list from a descriptor in an option.
fn list(descriptor: Option<Descriptor>, which: &str) -> Result<Option<Vec<f64>>, Error> {
    descriptor.map(|d| values(d, which)).transpose()
}

/// The Wave HMAC of a message.
fn mac(key: &[u8], phases: Option<&[f64]>, message: &[u8]) -> Result<WaveHmac, Error> {
    let mut mac = WaveHmac::new(key, phases, message.len() as u64)?;
    mac.update(message)?;
    Ok(mac)
}

fn keyless<T>() -> Result<T, Error> {
    Err(Error::argument("options", "need either key or secret"))
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
        stream_job::start(&self.0, header, Way::Seal, (input, output), options).await
    }

    #[zbus(out_args("job"))]
    async fn decrypt(
        &self,
        #[zbus(header)] header: Header<'_>,
        input: OwnedFd,
        output: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        stream_job::start(&self.0, header, Way::Open, (input, output), options).await
    }

    #[zbus(out_args("hash", "summary"))]
    async fn hash(
        &self,
        #[zbus(header)] header: Header<'_>,
        waveform: OwnedFd,
        options: Dictionary,
    ) -> Result<(Vec<u8>, String), BusError> {
        let keyed = options::keyed(&options, &["phases"])?;
        let phases = options::descriptor_in(&options, "phases")?;
        let (secret, admitted) = self.admit(&header, keyed, Operation::Sign).await?;
        self.apply(admitted, move |keyring| {
            let waveform = values(waveform.into(), "waveform")?;
            let phases = list(phases, "phases")?;
            let key = secret.read(keyring, None, "waveform hash")?;
            let key = key.as_deref().map(Vec::as_slice);
            let hash = wave::hash(&waveform, phases.as_deref(), key)?.to_vec();
            // The summary is one transform; a waveform that is too long for one has none.
            let summary = match waveform.len() {
                len if len <= SUMMARY_MAX => {
                    Summary::of(&Rft::new(len)?.spectrum(&waveform)?).to_string()
                }
                _ => String::new(),
            };
            Ok((hash, summary))
        })
        .await
    }

    #[zbus(out_args("hmac"))]
    async fn hmac(
        &self,
        #[zbus(header)] header: Header<'_>,
        message: OwnedFd,
        options: Dictionary,
    ) -> Result<Vec<u8>, BusError> {
        let keyed = options::keyed(&options, &["phases"])?;
        let phases = options::descriptor_in(&options, "phases")?;
        let (secret, admitted) = self.admit(&header, keyed, Operation::Sign).await?;
        self.apply(admitted, move |keyring| {
            let Some(key) = secret.read(keyring, None, "wave HMAC")? else {
                return keyless();
            };
            let phases = list(phases, "phases")?;
            let message = descriptor::read_file(message.into())?;
            Ok(mac(&key, phases.as_deref(), &message)?.finish()?.to_vec())
        })
        .await
    }

    #[zbus(out_args("valid"))]
    async fn verify_hmac(
        &self,
        #[zbus(header)] header: Header<'_>,
        message: OwnedFd,
        hmac: Vec<u8>,
        options: Dictionary,
    ) -> Result<bool, BusError> {
        let keyed = options::keyed(&options, &["phases"])?;
        let phases = options::descriptor_in(&options, "phases")?;
        let (secret, admitted) = self.admit(&header, keyed, Operation::Verify).await?;
        // A value may be of any version of the key.
        let versions: Vec<Option<u32>> = match &admitted {
            Some(admitted) => admitted
                .record
                .versions
                .iter()
                .rev()
                .map(|version| Some(version.number))
                .collect(),
            None => vec![None],
        };
        self.apply(admitted, move |keyring| {
            let phases = list(phases, "phases")?;
            let message = descriptor::read_file(message.into())?;
            let right = |key: &[u8]| Ok(mac(key, phases.as_deref(), &message)?.verify(&hmac)?);
            let id = match secret {
                Secret::Key(id) => id,
                other => {
                    return match other.read(keyring, None, "wave HMAC")? {
                        Some(key) => right(&key),
                        None => keyless(),
                    };
                }
            };
            for version in versions {
                let key = Secret::Key(id).read(keyring, version, "wave HMAC")?;
                if key.map_or(Ok(false), |key| right(&key))? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    #[zbus(out_args("job"))]
    async fn transform(
        &self,
        #[zbus(header)] header: Header<'_>,
        waveform: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        self.transformed(
            header,
            "transform",
            waveform,
            options,
            |text, block, key| {
                let values = numbers::parse(text)
                    .map_err(|error| Error::argument("waveform", error.to_string()))?;
                Ok(json!(Document::of(&values, block, key)?))
            },
        )
        .await
    }

    #[zbus(out_args("job"))]
    async fn inverse(
        &self,
        #[zbus(header)] header: Header<'_>,
        spectrum: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        self.transformed(header, "inverse", spectrum, options, |text, block, key| {
            let spectrum: Document = serde_json::from_slice(text)
                .map_err(|error| Error::argument("spectrum", error.to_string()))?;
            Ok(json!({"waveform": spectrum.waveform(block, key)?}))
        })
        .await
    }
}

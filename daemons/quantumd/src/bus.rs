//! quantumd on the bus: what the objects share, and how they follow the state of the keyring.

mod access;
mod backup;
mod circuits;
mod container_job;
mod containers;
mod credentials;
mod crypto;
pub(crate) mod descriptor;
mod entropy;
mod failure;
mod job;
mod jobs;
mod key;
mod keys;
mod ledger;
mod options;
mod quantum;
mod resonance;
mod root_key;
mod stream;
mod stream_job;
mod transfer;
mod turns;
mod wavelength;
mod workers;

use crate::audit::Audit;
use crate::container::Containers;
use crate::keyring::{Health, Keyring};
use crate::ledger::KeyLog;
use crate::process::memory_is_locked;
use crate::record::{KeyId, Record};
use crate::{Error, Settings};
use backup::Backup1;
use circuits::Circuits1;
use containers::Containers1;
use credentials::Credentials1;
use crypto::Crypto1;
use entropy::Entropy1;
use failure::Answer;
use job::Jobs1;
use jobs::Jobs;
use key::Key1;
use keys::Keys1;
use ledger::Ledger1;
use quantum::Quantum1;
use quantumos_dbus::path;
use quantumos_service::Context;
use resonance::Resonance1;
use root_key::RootKey1;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use wavelength::Wavelength1;
use workers::Workers;

/// polkit actions.
const CREATE: &str = "org.quantumos.keys.create";
const USE: &str = "org.quantumos.keys.use";
const REVOKE: &str = "org.quantumos.keys.revoke";
const MANAGE: &str = "org.quantumos.keys.manage";
const APPEND: &str = "org.quantumos.ledger.append";
const CREDENTIALS: &str = "org.quantumos.credentials.manage";
const BACKUP: &str = "org.quantumos.keys.backup";
const CIRCUITS: &str = "org.quantumos.circuits.run";
const UNLOCK: &str = "org.quantumos.keys.unlock";

/// Longer than any operation of a working TPM takes; after that the TPM counts as silent.
const TPM_PATIENCE: Duration = Duration::from_secs(20);

/// Callers can make a closed store try again, but not more often than this.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What all objects share.
#[derive(Debug)]
pub(crate) struct Shared {
    keyring: Arc<Keyring>,
    ledger: KeyLog,
    context: Context,
    jobs: Arc<Jobs>,
    containers: Containers,
    /// For what jobs do.
    hands: Workers,
    /// For those who wait for processes that run circuits.
    circuits: Workers,
    host: crate::circuit::Host,
    workers: Workers,
    readers: Workers,
    /// For descriptors of callers whom nobody authorised: they never hold up a signature.
    verifiers: Workers,
    health: Mutex<Health>,
    published: tokio::sync::Mutex<BTreeSet<KeyId>>,
    look: tokio::sync::Mutex<Look>,
}

/// The look at store and TPM that is under way, and when the last one ended.
#[derive(Debug, Default)]
struct Look {
    running: Option<JoinHandle<Health>>,
    ended: Option<Instant>,
}

/// The object path of a key.
fn key_path(id: KeyId) -> String {
    format!("{}/{id}", path::KEYS)
}

impl Shared {
    /// Opens what can be opened and puts all objects on the bus.
    pub(crate) async fn start(context: Context, settings: Settings) -> zbus::Result<Arc<Self>> {
        let state = context.directories.state.clone();
        let jobs = Jobs::new(
            &context.connection,
            &context.authority,
            settings.jobs.clone(),
        );
        let ledger =
            KeyLog::new(&state).map_err(|error| zbus::Error::Failure(error.to_string()))?;
        let audit = Audit::new(vec![Box::new(ledger.clone())]);
        let host =
            crate::circuit::Host::new(&context.connection, settings.circuits.clone(), &state);
        let shared = Arc::new(Self {
            jobs,
            containers: Containers::new(&state),
            hands: Workers::for_jobs(),
            circuits: Workers::for_circuits(),
            host,
            keyring: Arc::new(Keyring::new(state, settings).with_audit(audit)),
            ledger,
            workers: Workers::for_signing(),
            readers: Workers::for_descriptors(),
            verifiers: Workers::for_descriptors(),
            health: Mutex::default(),
            published: tokio::sync::Mutex::default(),
            look: tokio::sync::Mutex::default(),
            context,
        });
        shared.context.status.set_detail("keys", 0.into());
        let server = shared.context.connection.object_server();
        server.at(path::QUANTUM, Quantum1(shared.clone())).await?;
        server.at(path::QUANTUM, RootKey1(shared.clone())).await?;
        server.at(path::QUANTUM, Crypto1).await?;
        server.at(path::QUANTUM, Circuits1(shared.clone())).await?;
        server.at(path::QUANTUM, Resonance1(shared.clone())).await?;
        server
            .at(path::QUANTUM, Wavelength1(shared.clone()))
            .await?;
        server.at(path::QUANTUM, Entropy1(shared.clone())).await?;
        server
            .at(path::CONTAINERS, Containers1(shared.clone()))
            .await?;
        server
            .at(path::CREDENTIALS, Credentials1(shared.clone()))
            .await?;
        server.at(path::JOBS, Jobs1(shared.jobs.clone())).await?;
        server.at(path::LEDGER, Ledger1(shared.clone())).await?;
        server.at(path::KEYS, zbus::fdo::ObjectManager).await?;
        server.at(path::KEYS, Keys1(shared.clone())).await?;
        server.at(path::KEYS, Backup1(shared.clone())).await?;
        shared.refresh().await;
        Ok(shared)
    }

    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    pub(crate) fn host(&self) -> &crate::circuit::Host {
        &self.host
    }

    pub(crate) fn jobs(&self) -> &Arc<Jobs> {
        &self.jobs
    }

    /// Lets go of the ledger: whoever serves next opens it.
    pub(crate) async fn close_ledger(&self) {
        let ledger = self.ledger.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || ledger.close()).await {
            tracing::error!(%error, "the ledger could not be closed");
        }
    }

    /// Replaces the values of credentials whose time is over, and says which.
    pub(crate) async fn rotate_due(&self) {
        let keyring = self.keyring.clone();
        let Ok(rotated) = tokio::task::spawn_blocking(move || keyring.rotate_due()).await else {
            return;
        };
        let server = self.context.connection.object_server();
        let Ok(object) = server.interface::<_, Credentials1>(path::CREDENTIALS).await else {
            return;
        };
        for credential in rotated {
            let (emitter, name) = (object.signal_emitter(), &credential.name);
            let told = Credentials1::changed(emitter, name, credential.version).await;
            if let Err(error) = told {
                tracing::debug!(%error, "could not say that a credential changed");
            }
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn protection(&self) -> &'static str {
        self.health().protection.map_or("none", |p| p.name())
    }

    /// Looks at store and TPM and tells the bus what changed. One look at a time: one that the TPM
    /// keeps waiting is left running, and asked about again next time.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        let mut look = self.look.lock().await;
        self.look(&mut look).await;
    }

    async fn look(self: &Arc<Self>, look: &mut Look) {
        let mut running = look.running.take().unwrap_or_else(|| {
            let (keyring, ledger) = (self.keyring.clone(), self.ledger.clone());
            tokio::task::spawn_blocking(move || {
                let mut health = keyring.bring_up();
                health.ledger = ledger.agree(&keyring);
                health
            })
        });
        let health = match tokio::time::timeout(TPM_PATIENCE, &mut running).await {
            Ok(Ok(health)) => health,
            Ok(Err(error)) => {
                tracing::error!(%error, "the look at store and TPM failed");
                Health {
                    store: Some("internal error, see the journal".into()),
                    ..Health::default()
                }
            }
            Err(_) => {
                look.running = Some(running);
                let silent = Some(crate::tpm::TpmError::Silent.to_string());
                let mut health = self.health().clone();
                if self.keyring.is_open() {
                    health.tpm = silent;
                } else {
                    health.root = silent;
                }
                health
            }
        };
        look.ended = Some(Instant::now());
        self.tell(health).await;
    }

    async fn tell(self: &Arc<Self>, new: Health) {
        let changed = std::mem::replace(&mut *self.health(), new.clone()) != new;
        let status = &self.context.status;
        let problem = |what: &str, why: Option<String>| why.map(|why| format!("{what}: {why}."));
        let cannot = "keys can be neither made nor used";
        status
            .set_problem("store", problem(cannot, new.store))
            .await;
        status
            .set_problem("root", problem(cannot, new.root.clone()))
            .await;
        let waits = "what happens to keys is not recorded until this is put right";
        status
            .set_problem("ledger", problem(waits, new.ledger.clone()))
            .await;
        let still = "keys work until the next restart, but not after it";
        status
            .set_problem("tpm", problem(still, new.tpm.clone()))
            .await;
        let failed = self.keyring.entropy().sources().into_iter();
        let failed = failed.filter(|source| source.state == "failed");
        let failed = failed.map(|source| format!("{}: {}", source.name, source.detail));
        let failed: Vec<String> = failed.collect();
        let dropped = (!failed.is_empty()).then(|| failed.join("; "));
        let less = "a source of randomness failed its health test and is left out";
        status.set_problem("entropy", problem(less, dropped)).await;
        status.set_detail("protection", self.protection().into());
        status.set_detail("tpmVendor", new.vendor.clone().into());
        status.set_detail("memoryLocked", memory_is_locked().into());
        if changed && let Err(error) = self.tell_protection().await {
            tracing::debug!(%error, "could not emit PropertiesChanged");
        }
        for record in self.keyring.records() {
            if let Err(error) = self.publish(&record).await {
                tracing::error!(key = %record.id, %error, "could not put a key on the bus");
            }
        }
    }

    async fn tell_protection(&self) -> zbus::Result<()> {
        let server = self.context.connection.object_server();
        let quantum = server.interface::<_, Quantum1>(path::QUANTUM).await?;
        let object = quantum.get().await;
        object.protection_changed(quantum.signal_emitter()).await?;
        object.tpm_vendor_changed(quantum.signal_emitter()).await?;
        object.engines_changed(quantum.signal_emitter()).await?;
        self.tell_root().await?;
        let keys = server.interface::<_, Keys1>(path::KEYS).await?;
        keys.get()
            .await
            .protection_changed(keys.signal_emitter())
            .await
    }

    /// Says what holds of the root key.
    async fn tell_root(&self) -> zbus::Result<()> {
        let server = self.context.connection.object_server();
        let root = server.interface::<_, RootKey1>(path::QUANTUM).await?;
        let (object, emitter) = (root.get().await, root.signal_emitter());
        object.open_changed(emitter).await?;
        object.kek_version_changed(emitter).await?;
        object.conditions_changed(emitter).await
    }

    /// Puts a key's object on the bus, once.
    async fn publish(self: &Arc<Self>, record: &Record) -> zbus::Result<()> {
        let mut published = self.published.lock().await;
        if published.insert(record.id) {
            let object = Key1 {
                shared: self.clone(),
                id: record.id,
            };
            let server = self.context.connection.object_server();
            server.at(key_path(record.id), object).await?;
            let status = &self.context.status;
            status.set_detail("keys", published.len().into());
        }
        Ok(())
    }

    /// Opens the root key if that may work by now, so that callers need not wait for the next look.
    async fn ensure_open(self: &Arc<Self>) -> Answer<()> {
        if self.keyring.is_open() {
            return Ok(());
        }
        let mut look = self.look.lock().await;
        let recent = |at: Instant| at.elapsed() < RETRY_PAUSE;
        if !self.keyring.is_open() && !look.ended.is_some_and(recent) {
            self.look(&mut look).await;
        }
        if self.keyring.is_open() {
            return Ok(());
        }
        let health = self.health();
        let why = health.store.clone().or_else(|| health.root.clone());
        Err(Error::Locked(why.unwrap_or_default()).into())
    }
}

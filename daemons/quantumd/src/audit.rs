//! The trail of what is done with keys and credentials: every use and every change, allowed or not,
//! with who asked. It goes to the journal in structured fields, and to every sink that is added.

use crate::Error;
use crate::record::{KeyId, Record};
use quantumos_pqc::Kek;
use std::fmt;

/// What was done, or asked for and refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A key was made.
    Create,
    /// A key got a new version.
    Rotate,
    /// Somebody got a grant.
    Grant,
    /// Somebody lost a grant.
    Ungrant,
    /// A key was revoked.
    Revoke,
    /// Keys left the store, wrapped for another host.
    Backup,
    /// Keys came into the store from a backup.
    Restore,
    /// A key was used: the operation's name.
    Use(&'static str),
    /// A credential was set or got a new version.
    CredentialSet,
    /// A credential was read by a unit.
    CredentialRead,
    /// A credential's units or state changed.
    CredentialChange,
}

impl Action {
    /// The word in the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Rotate => "rotate",
            Self::Grant => "grant",
            Self::Ungrant => "ungrant",
            Self::Revoke => "revoke",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Use(operation) => operation,
            Self::CredentialSet => "credential-set",
            Self::CredentialRead => "credential-read",
            Self::CredentialChange => "credential-change",
        }
    }
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A caller on the bus, by user id.
    User(u32),
    /// A unit, by systemd's word.
    Unit(String),
    /// The daemon itself, by schedule.
    Daemon,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Unit(name) => write!(f, "unit {name}"),
            Self::Daemon => f.write_str("quantumd"),
        }
    }
}

/// One line of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Microseconds of CLOCK_REALTIME.
    pub time: u64,
    /// What.
    pub action: Action,
    /// On what: the key's id, or the credential's name.
    pub object: String,
    /// Which version of it, 0 where that makes no sense.
    pub version: u32,
    /// Who asked.
    pub who: Who,
    /// Further facts, such as an algorithm, a reason or a grant; never a secret.
    pub detail: String,
    /// Facts by name, for who keeps the trail in records: an algorithm, a public key's hash.
    pub facts: Vec<(&'static str, String)>,
    /// Why it was refused or failed; `None` when it was done.
    pub refusal: Option<String>,
}

impl Event {
    /// Something that was done with a key, now.
    #[must_use]
    pub fn of_key(action: Action, key: KeyId, version: u32, who: Who, detail: String) -> Self {
        Self {
            time: crate::record::now(),
            action,
            object: key.to_string(),
            version,
            who,
            detail,
            facts: Vec::new(),
            refusal: None,
        }
    }

    /// The same with algorithm and newest public key of a key.
    #[must_use]
    pub fn with_material(self, record: &Record) -> Self {
        let public = record.versions.last();
        let hash = public.map(|version| crate::ledger::public_hash(version.public.as_bytes()));
        self.with("algorithm", record.algorithm.name())
            .with("public_key_sha256", hash.unwrap_or_default())
    }

    /// The same with a fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }
}

/// Something that keeps the trail. Called in the order of events of one object; must not block long.
pub trait Sink: fmt::Debug + Send + Sync {
    /// Keeps one event, durably.
    ///
    /// # Errors
    /// When it isn't on the disk. What was done is done: the sink keeps the event for later.
    fn record(&self, event: &Event) -> Result<(), Error>;

    /// Called before something changes that has to be kept on record.
    ///
    /// # Errors
    /// Why it could not be recorded; it isn't done then.
    fn ready(&self, _kek: &Kek) -> Result<(), Error> {
        Ok(())
    }

    /// Called before all keys are wrapped under another key encryption key, for sinks that keep wrapped
    /// keys of their own.
    ///
    /// # Errors
    /// Nothing is wrapped anew then.
    fn rewrap(&self, _old: &Kek, _new: &Kek) -> Result<(), Error> {
        Ok(())
    }
}

/// The trail.
#[derive(Debug, Default)]
pub struct Audit {
    sinks: Vec<Box<dyn Sink>>,
}

impl Audit {
    /// A trail that these sinks keep beside the journal.
    #[must_use]
    pub fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self { sinks }
    }

    /// Has every sink wrap the keys that it keeps, see [`Sink::rewrap`].
    ///
    /// # Errors
    /// What the first sink that fails gives.
    pub fn rewrap(&self, old: &Kek, new: &Kek) -> Result<(), Error> {
        self.sinks.iter().try_for_each(|sink| sink.rewrap(old, new))
    }

    /// Whether a change could be recorded now, see [`Sink::ready`].
    ///
    /// # Errors
    /// What the first sink that isn't ready gives.
    pub fn ready(&self, kek: &Kek) -> Result<(), Error> {
        self.sinks.iter().try_for_each(|sink| sink.ready(kek))
    }

    /// Writes one event of something that counts also where it can't be recorded yet: the end of a key, a
    /// use, a refusal. The sink tells of its troubles, and records it later.
    pub fn note(&self, event: &Event) {
        if let Err(error) = self.record(event) {
            tracing::warn!(%error, action = event.action.name(), object = event.object, "recorded later");
        }
    }

    /// Writes one event.
    ///
    /// # Errors
    /// [`Error::Unrecorded`] when a sink does not have it: it is done, and recorded later.
    pub fn record(&self, event: &Event) -> Result<(), Error> {
        let (action, object) = (event.action.name(), &event.object);
        let (version, who, detail) = (event.version, &event.who, &event.detail);
        match &event.refusal {
            // Uses can be many; the rest is what an administrator reads.
            None if matches!(event.action, Action::Use(_)) => tracing::debug!(
                target: "quantumd::audit", action, %object, version, %who, detail, "key used"
            ),
            None => tracing::info!(
                target: "quantumd::audit", action, %object, version, %who, detail, "done"
            ),
            Some(refusal) => tracing::warn!(
                target: "quantumd::audit", action, %object, version, %who, detail, refusal, "refused"
            ),
        }
        let mut kept = Ok(());
        for sink in &self.sinks {
            if let Err(error) = sink.record(event) {
                kept = Err(Error::Unrecorded(error.to_string()));
            }
        }
        kept
    }
}

//! Decisions: their state, their objects on the bus and their copy on disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quantumos_dbus::{Dictionary, Error, path};
use quantumos_resource::controller::{InForce, Proposal};
use quantumos_service::Authority;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use zbus::message::Header;
use zbus::{OwnedObjectPath, OwnedVariant, Str};

use crate::governor::Command;
use crate::systemd::PROPERTY;

/// The polkit action that undoing asks for.
pub const UNDO_ACTION: &str = "org.quantumos.resource.undo";

/// How a decision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Made in mode advise: nothing was changed.
    Proposed,
    /// In force.
    Applied,
    /// Taken back by somebody, or because the daemon stopped or changed its mode.
    Undone,
    /// Over by itself.
    Expired,
    /// systemd refused it.
    Failed,
}

impl State {
    /// The word on the bus.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Applied => "applied",
            Self::Undone => "undone",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }

    /// Whether it still holds.
    pub fn holds(self) -> bool {
        matches!(self, Self::Proposed | Self::Applied)
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Identifier, the last part of its path.
    pub id: String,
    /// What the controller wanted, and why.
    pub proposal: Proposal,
    /// How it stands.
    pub state: State,
    /// How it ended, in words; empty while it holds.
    pub ended: String,
    /// When it was made, in microseconds of the real-time clock.
    pub time: u64,
    /// When it ends by itself, in microseconds of the real-time clock.
    pub expires: u64,
}

impl Decision {
    /// Its path on the bus.
    ///
    /// # Errors
    /// When its id cannot be part of a path (a file that was changed).
    pub fn path(&self) -> Result<OwnedObjectPath, zbus::Error> {
        OwnedObjectPath::try_from(format!("{}/{}", path::DECISIONS, self.id))
    }

    /// As the controller keeps it.
    pub fn in_force(&self) -> InForce {
        InForce {
            to: self.proposal.to,
            applied: self.state == State::Applied,
            beneficiary: self.proposal.beneficiary.clone(),
            victim: self.proposal.victim.clone(),
            expires_us: self.proposal.expires_us,
            calm_since_us: None,
        }
    }

    fn evidence(&self) -> Dictionary {
        let words = [
            ("rule", &self.proposal.rule),
            ("beneficiary", &self.proposal.beneficiary),
            ("victim", &self.proposal.victim),
        ];
        let words = words
            .map(|(name, word)| (name.to_owned(), OwnedVariant::from(Str::from(word.clone()))));
        let numbers = self.proposal.evidence.iter();
        words
            .into_iter()
            .chain(numbers.map(|(name, value)| (name.clone(), OwnedVariant::from(*value))))
            .collect()
    }
}

/// A decision that its object, the governor and explanations share.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<Decision>>);

impl Shared {
    /// Shares a decision.
    pub fn new(decision: Decision) -> Self {
        Self(Arc::new(Mutex::new(decision)))
    }

    /// The decision, for a moment.
    pub fn get(&self) -> MutexGuard<'_, Decision> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `org.quantumos.Decision1`.
pub struct Decision1 {
    decision: Shared,
    authority: Authority,
    commands: mpsc::Sender<Command>,
}

impl Decision1 {
    /// The object of a decision.
    pub fn new(decision: Shared, authority: Authority, commands: mpsc::Sender<Command>) -> Self {
        Self {
            decision,
            authority,
            commands,
        }
    }
}

#[zbus::interface(name = "org.quantumos.Decision1", introspection_docs = false)]
impl Decision1 {
    async fn undo(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        let caller = self.authority.check(&header, UNDO_ACTION).await?;
        let (reply, answer) = oneshot::channel();
        let id = self.decision.get().id.clone();
        let command = Command::Undo {
            id,
            uid: caller.uid,
            reply,
        };
        self.commands
            .send(command)
            .await
            .map_err(|_| Error::Unavailable("the daemon is stopping".into()))?;
        answer
            .await
            .map_err(|_| Error::Unavailable("the daemon is stopping".into()))?
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.decision.get().id.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn unit(&self) -> String {
        self.decision.get().proposal.unit.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn property(&self) -> &'static str {
        PROPERTY
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn from(&self) -> u64 {
        self.decision.get().proposal.from
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn to(&self) -> u64 {
        self.decision.get().proposal.to
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn reason(&self) -> String {
        self.decision.get().proposal.reason.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn evidence(&self) -> Dictionary {
        self.decision.get().evidence()
    }

    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.decision.get().state.as_str()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn time(&self) -> u64 {
        self.decision.get().time
    }

    #[zbus(property)]
    fn expires(&self) -> u64 {
        self.decision.get().expires
    }
}

/// All decisions by id, the oldest first: ids begin with the time.
pub type Decisions = BTreeMap<String, Shared>;

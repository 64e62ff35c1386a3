//! What is published: the last report of each dimension, its time and its history. One task
//! publishes; the bus objects read. Signals go out in the order in which reports come in.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use quantumos_dbus::path;
use quantumos_dimensions::{Change, Dimension, Report, State, change::settle, history::History};
use zbus::{Connection, Variant, names::InterfaceName, object_server::SignalEmitter};

use crate::{objects::Steppps1, variant};

/// What is published of one dimension.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// The last report that brought a change.
    pub report: Report,
    /// When that was, in microseconds since the epoch.
    pub updated_at: u64,
    /// What changed when.
    pub history: History,
}

/// What is published of all dimensions. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    connection: Connection,
    published: Arc<Mutex<[Published; Dimension::ALL.len()]>>,
}

impl Board {
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            published: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Published; Dimension::ALL.len()]> {
        // What is behind the lock is replaced whole, so a poisoned lock hides nothing.
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `read` see what is published of a dimension.
    pub fn read<T>(&self, dimension: Dimension, read: impl FnOnce(&Published) -> T) -> T {
        read(&self.lock()[dimension as usize])
    }

    /// Takes in a report of `now` (microseconds since the epoch) and, if it brings a change,
    /// tells everybody who listens.
    pub async fn publish(&self, dimension: Dimension, mut report: Report, now: u64) {
        let changes = {
            let published = &mut self.lock()[dimension as usize];
            report.state = settle(&published.report.state, report.state, dimension.deadbands());
            if report == published.report && published.updated_at > 0 {
                return;
            }
            let changes = Changes::between(&published.report, &report, now);
            let state = Change::between(&published.report.state, &report.state);
            if !state.is_empty() {
                published.history.push(now, state.into_state());
            }
            published.report = report;
            published.updated_at = now;
            changes
        };
        if let Err(error) = self.tell(dimension, changes).await {
            tracing::warn!(dimension = dimension.as_str(), %error, "could not signal a change");
        }
    }

    async fn tell(&self, dimension: Dimension, changes: Changes) -> zbus::Result<()> {
        let object = SignalEmitter::new(&self.connection, object_path(dimension))?;
        let properties = changes
            .properties
            .iter()
            .map(|(name, value)| (*name, value.try_clone()));
        let mut changed = HashMap::new();
        for (name, value) in properties {
            changed.insert(name, value?);
        }
        zbus::fdo::Properties::properties_changed(
            &object,
            InterfaceName::from_static_str_unchecked("org.quantumos.Dimension1"),
            changed,
            Cow::Borrowed(&[]),
        )
        .await?;
        if !changes.keys.is_empty() {
            let root = SignalEmitter::new(&self.connection, path::STEPPPS)?;
            Steppps1::changed(&root, dimension.as_str(), variant::variants(changes.keys)).await?;
        }
        Ok(())
    }
}

/// What a report changes on the bus.
struct Changes {
    properties: Vec<(&'static str, Variant<'static>)>,
    keys: State,
}

impl Changes {
    fn between(old: &Report, new: &Report, now: u64) -> Self {
        let mut properties: Vec<(&'static str, Variant<'static>)> = vec![("UpdatedAt", now.into())];
        if old.available != new.available {
            properties.push(("Available", new.available.into()));
        }
        if old.health != new.health {
            properties.push(("Health", new.health.as_str().into()));
        }
        if old.sources != new.sources {
            properties.push(("Source", new.sources.clone().into()));
        }
        if old.reason != new.reason {
            properties.push(("Reason", new.reason.clone().into()));
        }
        if old.state != new.state {
            properties.push(("State", variant::variants(new.state.clone()).into()));
        }
        Self {
            properties,
            keys: variant::change(old, new).into_state(),
        }
    }
}

/// The object path of a dimension.
pub(crate) fn object_path(dimension: Dimension) -> String {
    format!("{}/{}", path::STEPPPS, dimension.as_str())
}

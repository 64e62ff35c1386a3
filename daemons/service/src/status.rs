//! `org.quantumos.Service1`: state, problems and the fate of the newest configuration, shared
//! between the daemon, which sets them, and the bus, which shows them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use quantumos_dbus::{Error, Service};
use serde_json::{Value, json};
use zbus::Connection;

#[derive(Debug, Default)]
struct Inner {
    problems: BTreeMap<String, String>,
    configuration_error: String,
    details: BTreeMap<String, Value>,
}

/// Handle on what a daemon tells about itself. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Status {
    service: Service,
    connection: Connection,
    inner: Arc<Mutex<Inner>>,
}

impl Status {
    pub(crate) async fn publish(
        service: Service,
        connection: &Connection,
    ) -> Result<Self, zbus::Error> {
        let status = Self {
            service,
            connection: connection.clone(),
            inner: Arc::default(),
        };
        connection
            .object_server()
            .at(
                service.path,
                Service1 {
                    status: status.clone(),
                },
            )
            .await?;
        Ok(status)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What is behind the lock is replaced whole, so a poisoned lock hides nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something keeps the daemon from doing all of its job (one sentence), or, with
    /// `None`, that it no longer does. `topic` tells problems apart and isn't shown.
    pub async fn set_problem(&self, topic: &str, problem: Option<String>) {
        let changed = {
            let mut inner = self.lock();
            match problem {
                Some(text) => {
                    let text_for_log = text.clone();
                    let old = inner.problems.insert(topic.into(), text);
                    let changed = old.as_ref() != Some(&text_for_log);
                    if changed {
                        tracing::warn!(topic, "{text_for_log}");
                    }
                    changed
                }
                None => {
                    let changed = inner.problems.remove(topic).is_some();
                    if changed {
                        tracing::info!(topic, "problem is over");
                    }
                    changed
                }
            }
        };
        if changed {
            self.emit(false).await;
        }
    }

    /// Adds a member to what `Describe` gives.
    pub fn set_detail(&self, name: &str, value: Value) {
        self.lock().details.insert(name.into(), value);
    }

    /// The problems as they are shown.
    pub fn problems(&self) -> Vec<String> {
        self.lock().problems.values().cloned().collect()
    }

    /// `ready`, or `degraded` while there are problems.
    pub fn state(&self) -> &'static str {
        let inner = self.lock();
        if inner.problems.is_empty() && inner.configuration_error.is_empty() {
            "ready"
        } else {
            "degraded"
        }
    }

    pub(crate) async fn set_configuration_error(&self, error: String) {
        let changed = {
            let mut inner = self.lock();
            let changed = inner.configuration_error != error;
            inner.configuration_error = error;
            changed
        };
        if changed {
            self.emit(true).await;
        }
    }

    /// One line for `systemctl status`.
    pub(crate) fn line(&self) -> String {
        let inner = self.lock();
        let mut parts: Vec<&str> = Vec::new();
        if !inner.configuration_error.is_empty() {
            parts.push("configuration refused, the old one is in force:");
            parts.push(&inner.configuration_error);
        }
        parts.extend(inner.problems.values().map(String::as_str));
        if parts.is_empty() {
            "ready".into()
        } else {
            parts.join(" ")
        }
    }

    async fn emit(&self, configuration: bool) {
        let path = self.service.path;
        let sent = async {
            let server = self.connection.object_server();
            let reference = server.interface::<_, Service1>(path).await?;
            let emitter = reference.signal_emitter();
            let interface = reference.get().await;
            if configuration {
                interface.configuration_error_changed(emitter).await?;
            } else {
                interface.problems_changed(emitter).await?;
            }
            interface.state_changed(emitter).await
        };
        if let Err(error) = sent.await {
            tracing::debug!(%error, "could not emit PropertiesChanged");
        }
    }
}

struct Service1 {
    status: Status,
}

#[zbus::interface(name = "org.quantumos.Service1", introspection_docs = false)]
impl Service1 {
    #[zbus(out_args("json"))]
    fn describe(&self) -> Result<String, Error> {
        let state = self.status.state();
        let inner = self.status.lock();
        let mut description = json!({
            "unit": self.status.service.unit,
            "busName": self.status.service.bus_name,
            "version": env!("CARGO_PKG_VERSION"),
            "state": state,
            "problems": inner.problems.values().collect::<Vec<_>>(),
            "configurationError": inner.configuration_error,
        });
        if let Value::Object(members) = &mut description {
            members.extend(
                inner
                    .details
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        serde_json::to_string(&description).map_err(|error| Error::Internal(error.to_string()))
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.status.state()
    }

    #[zbus(property)]
    fn problems(&self) -> Vec<String> {
        self.status.problems()
    }

    #[zbus(property)]
    fn configuration_error(&self) -> String {
        self.status.lock().configuration_error.clone()
    }
}

//! Signals of other services, gathered into one bounded queue. A task of its own drains the
//! connection, so that signals can never hold up the replies that the manager waits for; what
//! does not fit into the queue is counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::{StreamExt, stream::SelectAll};
use tokio::{sync::mpsc, task::JoinHandle};
use zbus::{Connection, Message, MessageStream};

use crate::Error;

/// Signals that may wait.
const QUEUE: usize = 512;

/// What is listened to.
const RULES: [&str; 13] = [
    // The services of QuantumOS, systemd and logind come and go.
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0namespace='org.quantumos'",
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.freedesktop.systemd1'",
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.freedesktop.login1'",
    // Jobs come and go, the boot ends, units change.
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='JobNew'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='StartupFinished'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='Reloading'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',arg0='org.freedesktop.systemd1.Unit'",
    // Sessions come and go, become idle, the lid closes.
    "type='signal',sender='org.freedesktop.login1',path_namespace='/org/freedesktop/login1'",
    // Alerts and pressure.
    "type='signal',sender='org.quantumos.Security1',interface='org.quantumos.Security1',member='AlertRaised'",
    "type='signal',sender='org.quantumos.Security1',interface='org.quantumos.Security1',member='EventsLostReported'",
    "type='signal',sender='org.quantumos.Resource1',interface='org.quantumos.Resource1',member='PressureStalled'",
    // New objects may bring new calls.
    "type='signal',interface='org.freedesktop.DBus.ObjectManager',member='InterfacesAdded',path_namespace='/org/quantumos'",
];

/// Signals of other services.
#[derive(Debug)]
pub(crate) struct Signals {
    queue: mpsc::Receiver<Message>,
    lost: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// The bus refuses.
    pub async fn listen(connection: &Connection) -> Result<Self, Error> {
        let mut streams = SelectAll::new();
        for rule in RULES {
            streams.push(MessageStream::for_match_rule(rule, connection, None).await?);
        }
        let (sender, queue) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = lost.clone();
        let task = tokio::spawn(async move {
            while let Some(message) = streams.next().await {
                let Ok(message) = message else { continue };
                match sender.try_send(message) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(_)) => {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                }
            }
        });
        Ok(Self { queue, lost, task })
    }

    /// The next signal; `None` once the connection is closed.
    pub async fn next(&mut self) -> Option<Message> {
        self.queue.recv().await
    }

    /// How many signals did not fit into the queue so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.task.abort();
    }
}

//! The task that has responses put on record in quantumd's ledger, one event after another. It waits for quantumd and
//! nobody waits for it; an event that quantumd may have taken already is told again with the same identifier.

use super::due::{Due, Dues};
use super::responder::Order;
use futures_util::StreamExt;
use quantumos_dbus::{Ledger1Proxy, bus_name};
use quantumos_service::Status;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use zbus::Connection;
use zbus::fdo::{DBusProxy, NameOwnerChangedStream};
use zbus::names::BusName;

/// How long quantumd is left alone when it is not there or took nothing.
const AGAIN: Duration = Duration::from_secs(30);
/// How long an answer may take: what is told again is there once.
const PATIENCE: Duration = Duration::from_secs(60);

/// What waits for the ledger, shared by the task that responds and the one that tells, and how one wakes the other.
#[derive(Debug, Clone, Default)]
pub struct SharedDues {
    dues: Arc<Mutex<Dues>>,
    more: Arc<Notify>,
}

impl SharedDues {
    /// Shares what waits.
    #[must_use]
    pub fn new(dues: Dues) -> Self {
        Self {
            dues: Arc::new(Mutex::new(dues)),
            more: Arc::default(),
        }
    }

    /// What waits. Never held over an await.
    pub fn lock(&self) -> MutexGuard<'_, Dues> {
        self.dues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something waits that is on the disk.
    pub fn wake(&self) {
        self.more.notify_one();
    }
}

/// The task's state.
pub struct Clerk {
    pub(crate) connection: Connection,
    pub(crate) status: Status,
    pub(crate) dues: SharedDues,
    pub(crate) orders: mpsc::Sender<Order>,
}

/// How telling went.
enum Told {
    /// It is this entry.
    Entry(u64),
    /// Nobody is there to be told.
    Away,
    /// It was not taken, for this reason.
    Refused(String),
}

impl Clerk {
    /// Runs until nobody is left who responds.
    pub async fn run(self) {
        let mut owners = match self.owners().await {
            Ok(owners) => Some(owners),
            Err(error) => {
                tracing::warn!(%error, "quantumd's comings and goings are not seen; it is asked now and then");
                None
            }
        };
        loop {
            let due = self.dues.lock().first().cloned();
            let Some(due) = due else {
                self.status.set_problem("ledger", None).await;
                self.dues.more.notified().await;
                continue;
            };
            match self.tell(&due).await {
                Told::Entry(index) => {
                    let (done, settled) = oneshot::channel();
                    let order = Order::Recorded(due.number, index, done);
                    if self.orders.send(order).await.is_err() || settled.await.is_err() {
                        return;
                    }
                    self.status.set_problem("ledger", None).await;
                }
                Told::Away => wait(owners.as_mut()).await,
                Told::Refused(why) => {
                    let count = self.dues.lock().len();
                    let problem = format!(
                        "{count} events of responses wait for quantumd's ledger, which takes none: {why}"
                    );
                    self.status.set_problem("ledger", Some(problem)).await;
                    wait(owners.as_mut()).await;
                }
            }
        }
    }

    async fn owners(&self) -> zbus::Result<NameOwnerChangedStream> {
        let bus = DBusProxy::new(&self.connection).await?;
        bus.receive_name_owner_changed_with_args(&[(0, bus_name::QUANTUM)])
            .await
    }

    async fn tell(&self, due: &Due) -> Told {
        match tokio::time::timeout(PATIENCE, self.append(due)).await {
            Ok(Ok(Some(index))) => Told::Entry(index),
            Ok(Ok(None)) => Told::Away,
            Ok(Err(error)) => Told::Refused(error.text()),
            Err(_) => Told::Refused("it does not answer".into()),
        }
    }

    /// The entry's number; none when quantumd is away. It is not started for this.
    async fn append(&self, due: &Due) -> Result<Option<u64>, quantumos_dbus::Error> {
        let bus = DBusProxy::new(&self.connection).await?;
        let name = BusName::try_from(bus_name::QUANTUM)?;
        if !bus.name_has_owner(name).await.map_err(zbus::Error::from)? {
            return Ok(None);
        }
        let ledger = Ledger1Proxy::new(&self.connection).await?;
        let (id, facts) = (due.id(), due.facts());
        let index = ledger.append(&due.event, &id, due.time, &facts);
        index.await.map(Some)
    }
}

/// Until quantumd comes or goes, or a while.
async fn wait(owners: Option<&mut NameOwnerChangedStream>) {
    let changed = async {
        let seen = match owners {
            Some(owners) => owners.next().await.is_some(),
            None => false,
        };
        // A stream that has ended says nothing more.
        if !seen {
            std::future::pending::<()>().await;
        }
    };
    // Over when either is.
    let _ = tokio::time::timeout(AGAIN, changed).await;
}

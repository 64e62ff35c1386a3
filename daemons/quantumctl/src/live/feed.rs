//! From the bus to updates. Each daemon is followed by two tasks: one empties the queues of its
//! signals and never waits for the bus (a full queue would hold up every reply), the other reads
//! the state anew when a signal came, and every few seconds regardless. Signals are believed
//! only from the owner of the name, and a daemon that restarts is simply read again.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use quantumos_dbus::{SERVICES, Security1Proxy, Service, bus_name};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use zbus::{fdo::PropertiesProxy, proxy::CacheProperties};

use super::model::Update;
use crate::{bus::Bus, error::Error, resource, security, security::model::Alert, status::collect};

/// Longest time between two readings.
const TICK: Duration = Duration::from_secs(2);
/// Shortest time between two readings.
const PAUSE: Duration = Duration::from_millis(200);
/// Updates that wait to be shown; what doesn't fit is read again later.
const QUEUE: usize = 256;

/// Follows all daemons. The updates end when the bus goes.
pub async fn follow(bus: &Bus) -> Result<(mpsc::Receiver<Update>, JoinSet<()>), Error> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    for service in &SERVICES {
        let changed = Arc::new(Notify::new());
        listen(bus, service, &changed, &sender, &mut tasks).await?;
        tasks.spawn(read(bus.clone(), service, changed, sender.clone()));
    }
    Ok((receiver, tasks))
}

/// Reads the state of a daemon when it changed, and now and then.
async fn read(
    bus: Bus,
    service: &'static Service,
    changed: Arc<Notify>,
    sender: mpsc::Sender<Update>,
) {
    loop {
        for update in state(&bus, service).await {
            if sender.send(update).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(TICK - PAUSE) => {}
            () = bus.connection().closed() => return,
        }
    }
}

/// Everything that is shown of a daemon.
async fn state(bus: &Bus, service: &Service) -> Vec<Update> {
    let status = collect::one(bus, service).await;
    let running = status.running;
    let mut updates = vec![Update::Service(Box::new(status))];
    if running && service.bus_name == bus_name::SECURITY {
        let alerts = security::alerts(bus).await;
        updates.push(Update::Alerts(alerts.map_err(|error| error.to_string())));
    }
    if running && service.bus_name == bus_name::RESOURCE {
        let decisions = resource::decisions(bus).await;
        let decisions = decisions.map_err(|error| error.to_string());
        updates.push(Update::Decisions(decisions));
    }
    updates
}

/// Subscribes to everything that a daemon signals.
async fn listen(
    bus: &Bus,
    service: &'static Service,
    changed: &Arc<Notify>,
    sender: &mpsc::Sender<Update>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Error> {
    let proxy = bus
        .proxy(service.bus_name, service.path, service.bus_name)
        .await?;
    let mut signals = proxy.receive_all_signals().await?;
    let mut owners = proxy.receive_owner_changed().await?;
    let properties = PropertiesProxy::builder(bus.connection())
        .destination(service.bus_name)
        .path(service.path)
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let mut properties = properties.receive_properties_changed().await?;
    let notify = Arc::clone(changed);
    tasks.spawn(async move {
        loop {
            tokio::select! {
                Some(_) = signals.next() => {}
                Some(_) = owners.next() => {}
                Some(_) = properties.next() => {}
                else => return,
            }
            notify.notify_one();
        }
    });
    if service.bus_name == bus_name::SECURITY {
        let proxy = Security1Proxy::builder(bus.connection())
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        let mut raised = proxy.receive_alert_raised().await?;
        let sender = sender.clone();
        tasks.spawn(async move {
            while let Some(signal) = raised.next().await {
                let alert = signal.args().map_err(Error::from);
                // What can't be shown at once is shown when the list is read again.
                if let Ok(alert) = alert.and_then(|signal| Alert::raised(&signal)) {
                    let _ = sender.try_send(Update::Alert(Box::new(alert)));
                }
            }
        });
    }
    Ok(())
}

//! `quantumctl security watch`: alerts as they are raised.
//! It goes on when security-ai restarts, and says so on standard error; only signals that the
//! owner of the bus name sent are believed.

use futures_util::StreamExt;
use quantumos_dbus::{Security1Proxy, bus_name::SECURITY};

use super::{
    model::{Alert, level_rank},
    render,
};
use crate::{bus::Bus, error::Error, output::Output};

/// Prints alerts of at least `level` until `limit` of them have been printed.
pub async fn run(bus: &Bus, output: &Output, level: &str, limit: Option<u64>) -> Result<(), Error> {
    let proxy = Security1Proxy::builder(bus.connection())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?;
    let mut raised = proxy.receive_alert_raised().await?;
    let mut lost = proxy.receive_events_lost_reported().await?;
    let mut owner = proxy.inner().receive_owner_changed().await?;
    if bus.owner(SECURITY).await?.is_none() {
        eprintln!("security-ai is not running; waiting for it");
    }
    let mut printed = 0;
    while limit.is_none_or(|limit| printed < limit) {
        tokio::select! {
            Some(signal) = raised.next() => {
                // Nothing here may wait for the bus: a full queue of signals would hold up the
                // reply. The signal carries all that is printed.
                let alert = Alert::raised(&signal.args()?)?;
                if level_rank(&alert.level) >= level_rank(level) {
                    printed += 1;
                    output.item(&alert, |alert| {
                        render::line(alert, output.style, &output.zone, output.columns())
                    })?;
                }
            }
            Some(signal) = lost.next() => {
                let arguments = signal.args()?;
                eprintln!(
                    "lost {} events of class {}",
                    arguments.count(),
                    crate::text::escape::escape(arguments.class())
                );
            }
            Some(owner) = owner.next() => match owner {
                Some(_) => eprintln!("security-ai started"),
                None => eprintln!("security-ai stopped; waiting for it"),
            },
            else => return Err(Error::Bus("the connection was closed".to_owned())),
        }
    }
    Ok(())
}

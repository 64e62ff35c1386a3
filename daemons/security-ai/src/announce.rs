//! Tells the bus that properties of an object have changed. Whoever changes what an object shows is often not the object.

use zbus::Connection;
use zbus::object_server::{Interface, SignalEmitter};

/// Gives the object at a path to `tell`, which emits its signals. One that can't be sent is no reason to stop.
pub(crate) async fn announce<I: Interface>(
    connection: &Connection,
    path: &str,
    tell: impl AsyncFnOnce(&I, &SignalEmitter<'_>) -> zbus::Result<()>,
) {
    let sent = async {
        let reference = connection.object_server().interface::<_, I>(path).await?;
        let object = reference.get().await;
        tell(&object, reference.signal_emitter()).await
    };
    if let Err(error) = sent.await {
        tracing::warn!(path, %error, "a change could not be announced");
    }
}

//! The socket that units name in `LoadCredential=`. systemd connects as root from a name that says
//! which unit asks for which credential; it gets the value, or more bytes than it takes, so that the
//! unit fails to start instead of starting with an empty secret.

use crate::credential::asked_for;
use crate::keyring::Keyring;
use nix::sys::socket::{UnixAddr, getpeername};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// The name of the descriptor that the socket unit hands over.
const NAME: &str = "credentials";
/// What it is called where no socket unit is: in tests, and by `make dev`.
const FILE: &str = "credentials.sock";
/// Peers that are served at once; the others wait in the backlog.
const AT_ONCE: usize = 8;
/// How long systemd may take to read.
const PATIENCE: Duration = Duration::from_secs(10);
/// systemd takes credentials of at most 1 MiB, and fails beyond that.
const REFUSAL: usize = (1 << 20) + 1;

/// The listening socket: systemd's, or one of our own in the runtime directory.
///
/// # Errors
/// When neither can be had.
pub(crate) fn listener(runtime: &Path) -> io::Result<UnixListener> {
    let listener = match activated() {
        Some(listener) => listener,
        None => {
            let path = runtime.join(FILE);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            StdListener::bind(path)?
        }
    };
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

fn activated() -> Option<StdListener> {
    use libsystemd::activation::{IsType, receive_descriptors_with_names};
    use std::os::fd::{FromRawFd, IntoRawFd};
    let given = receive_descriptors_with_names(false).ok()?;
    let (socket, _) = given
        .into_iter()
        .find(|(socket, name)| name == NAME && socket.is_unix())?;
    // SAFETY: systemd gave this process the descriptor, nobody else in it owns it, and it is a Unix
    // socket; it is turned into a listener once, at the start.
    #[allow(unsafe_code)]
    let listener = unsafe { StdListener::from_raw_fd(socket.into_raw_fd()) };
    Some(listener)
}

/// Serves the socket for ever.
pub(crate) async fn serve(listener: UnixListener, keyring: Arc<Keyring>) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let keyring = keyring.clone();
                tokio::spawn(async move {
                    let answered = tokio::time::timeout(PATIENCE, answer(stream, keyring)).await;
                    if let Err(error) = answered.unwrap_or_else(|late| Err(late.into())) {
                        tracing::debug!(%error, "a credential was not read to its end");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::error!(%error, "the credential socket does not accept");
                // Out of descriptors, say: give others time to end.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, keyring: Arc<Keyring>) -> io::Result<()> {
    let value = match who_asks(&stream) {
        Ok((unit, name)) => {
            let read = move || keyring.read_credential(&name, &unit);
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok(value)) => Some(value),
                // The trail says why.
                Ok(Err(_)) | Err(_) => None,
            }
        }
        Err(why) => {
            tracing::warn!(target: "quantumd::audit", why, "refused at the credential socket");
            None
        }
    };
    match value {
        Some(value) => stream.write_all(&value).await?,
        None => {
            let nothing = [0; 16384];
            let mut left = REFUSAL;
            while left > 0 {
                left -= stream.write(&nothing[..left.min(nothing.len())]).await?;
            }
        }
    }
    stream.shutdown().await
}

/// Unit and credential, if it is root's systemd that asks.
fn who_asks(stream: &UnixStream) -> Result<(String, String), &'static str> {
    let uid = stream.peer_cred().map_err(|_| "the peer is gone")?.uid();
    if uid != 0 {
        return Err("the peer is not root");
    }
    let address: UnixAddr = getpeername(stream.as_raw_fd()).map_err(|_| "the peer is gone")?;
    let name = address
        .as_abstract()
        .ok_or("the peer has no name that says who asks")?;
    let (unit, credential) = asked_for(name).ok_or("the peer's name is not one of systemd's")?;
    Ok((unit.to_owned(), credential.to_owned()))
}

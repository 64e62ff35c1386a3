//! The daemon: starts the objects, looks after the TPM, applies new settings.

use crate::Settings;
use crate::bus::Shared;
use crate::socket;
use quantumos_dbus::{Service, bus_name, path};
use quantumos_service::{BoxError, Context, Daemon};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// While something is wrong, store and TPM are looked at this often at least.
const IMPATIENT: Duration = Duration::from_secs(5);

/// quantumd.
#[derive(Debug)]
pub struct Quantumd {
    shared: Arc<Shared>,
    period: watch::Sender<Duration>,
    keeper: JoinHandle<()>,
    credentials: Option<JoinHandle<()>>,
}

fn period(settings: &Settings) -> Duration {
    Duration::from_secs(settings.tpm.check_seconds)
}

impl Daemon for Quantumd {
    type Settings = Settings;
    const SERVICE: Service = Service {
        unit: "quantumd",
        bus_name: bus_name::QUANTUM,
        path: path::QUANTUM,
    };

    async fn start(context: Context, settings: Settings) -> Result<Self, BoxError> {
        let (sender, receiver) = watch::channel(period(&settings));
        let status = context.status.clone();
        let runtime = context.directories.runtime.clone();
        let shared = Shared::start(context, settings).await?;
        // Keys work without it, so it does not keep the daemon from starting.
        let credentials = match socket::listener(&runtime) {
            Ok(listener) => Some(tokio::spawn(socket::serve(
                listener,
                shared.keyring().clone(),
            ))),
            Err(error) => {
                let what = format!("units get no credentials: {error}.");
                status.set_problem("credentials", Some(what)).await;
                None
            }
        };
        let kept = shared.clone();
        let keeper = tokio::spawn(async move {
            let mut receiver = receiver;
            loop {
                let mut pause = *receiver.borrow_and_update();
                if status.state() != "ready" {
                    pause = pause.min(IMPATIENT);
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {
                        kept.refresh().await;
                        kept.rotate_due().await;
                    }
                    changed = receiver.changed() => if changed.is_err() { return },
                }
            }
        });
        Ok(Self {
            shared,
            period: sender,
            keeper,
            credentials,
        })
    }

    /// An open root key stays open: what the new settings would forbid takes effect at a restart.
    async fn reload(&mut self, settings: Settings) -> Result<(), BoxError> {
        self.period.send_replace(period(&settings));
        self.shared.jobs().reconfigure(settings.jobs.clone());
        self.shared.host().reconfigure(settings.circuits.clone());
        self.shared.keyring().reconfigure(settings);
        self.shared.refresh().await;
        Ok(())
    }

    async fn stop(self) {
        self.shared.jobs().cancel_all();
        self.keeper.abort();
        if let Some(credentials) = self.credentials {
            credentials.abort();
        }
        self.shared.close_ledger().await;
    }
}

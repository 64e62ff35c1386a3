//! Where log records go: to the journal with structured fields under systemd, to the terminal
//! else. `QUANTUMOS_LOG` takes a filter (`debug`, `security_ai=trace`); `info` is the default.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

pub(crate) fn start() {
    let filter =
        EnvFilter::try_from_env("QUANTUMOS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let journal = std::env::var_os("JOURNAL_STREAM")
        .and_then(|_| tracing_journald::layer().ok())
        .map(|layer| layer.with_field_prefix(Some("QUANTUMOS".into())));
    let started = match journal {
        Some(layer) => tracing_subscriber::registry()
            .with(filter)
            .with(layer)
            .try_init(),
        None => {
            let terminal = std::io::stderr().is_terminal();
            let layer = fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(terminal)
                .compact();
            tracing_subscriber::registry()
                .with(filter)
                .with(layer)
                .try_init()
        }
    };
    // A second start in one process (a test) keeps the first subscriber.
    drop(started);
}

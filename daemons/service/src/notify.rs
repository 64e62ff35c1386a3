//! What systemd is told, by sd_notify(3). Off systemd each call does nothing.

use libsystemd::daemon::{self, NotifyState};
use nix::time::{ClockId, clock_gettime};

fn send(states: &[NotifyState]) {
    if let Err(error) = daemon::notify(false, states) {
        tracing::warn!(%error, "could not notify systemd");
    }
}

/// Objects are there and the name is taken, or a reload has ended.
pub(crate) fn ready(status: &str) {
    send(&[
        NotifyState::Ready,
        NotifyState::Status(status.replace('\n', " ")),
    ]);
}

/// A reload begins; `Type=notify-reload` wants the time with it.
pub(crate) fn reloading() {
    let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else {
        return;
    };
    let micros = now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000;
    send(&[
        NotifyState::Reloading,
        NotifyState::Other(format!("MONOTONIC_USEC={micros}")),
    ]);
}

pub(crate) fn stopping() {
    send(&[NotifyState::Stopping]);
}

pub(crate) fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear of us; `None` when it doesn't.
pub(crate) fn watchdog_interval() -> Option<std::time::Duration> {
    daemon::watchdog_enabled(false).map(|limit| limit / 2)
}

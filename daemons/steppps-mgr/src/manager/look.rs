//! Looks at dimensions: asks anew for what is stale, puts the facts together, publishes.

use std::time::Duration;

use quantumos_dbus::bus_name;
use quantumos_dimensions::{
    Dimension, Report,
    event::Happenings,
    script::Automation,
    time::{Discipline, Latency, worst},
};

use super::{Manager, Stale};
use crate::{
    Error, clock, collect,
    kernel::{LOG, PRESSURE, UEVENTS},
    peers::{EVENT_SERVICES, LOGIN, SYSTEMD, login, vocabulary},
};

impl Manager {
    /// Looks at every dimension that may have changed.
    pub(super) async fn look(&mut self) {
        self.due = None;
        let dirty = std::mem::take(&mut self.dirty);
        let stale = std::mem::take(&mut self.stale);
        self.ask(stale).await;
        let now = clock::realtime();
        for dimension in dirty {
            let report = match dimension {
                Dimension::Space => collect::space::read(&self.settings.roots).report(),
                Dimension::Time => self.time(now),
                Dimension::Event => self.event(now),
                Dimension::Pixel => self.pixel(),
                Dimension::Prompt => self.catalogue.report(),
                Dimension::Script => self.script(now),
                // Sampling has a beat of its own.
                Dimension::Psychology => continue,
            };
            self.board.publish(dimension, report, now).await;
        }
    }

    /// Asks other services for what is stale. What one does not answer stays as it was.
    async fn ask(&mut self, stale: Stale) {
        if self.peers.has(SYSTEMD) {
            if stale.units {
                note("units", self.systemd.read_units(&self.peers).await);
            }
            if stale.timers {
                note("timers", self.systemd.read_timers(&self.peers).await);
            }
            if stale.boot {
                note("boot", self.systemd.read_boot(&self.peers).await);
            }
        }
        if !self.peers.has(LOGIN) {
            self.login = None;
        } else if stale.login {
            match login::read(&self.peers).await {
                Ok(login) => self.login = Some(login),
                Err(error) => note("sessions", Err(error)),
            }
        }
        if stale.catalogue {
            self.catalogue = vocabulary::read(&self.peers).await;
        }
        if stale.latency {
            self.latency = Some(self.ask_for_latency().await);
        }
        if stale.discipline {
            self.discipline = Some(self.ask_for_discipline().await);
        }
    }

    async fn ask_for_latency(&self) -> Result<Latency, String> {
        let name = bus_name::RESOURCE;
        if !self.peers.has(name) {
            return Err(format!("{name} is not on the bus"));
        }
        let rows: Vec<(String, u64, u64, u64, u64)> = self
            .peers
            .call(name, quantumos_dbus::path::RESOURCE, name, "Latency", &())
            .await
            .map_err(|error| format!("{name}: {error}"))?;
        worst(&rows).ok_or_else(|| format!("{name} has measured too few wake-ups so far"))
    }

    /// Asks the kernel, or timedated where the sandbox does not let us.
    async fn ask_for_discipline(&self) -> Result<Discipline, String> {
        let refused = match clock::discipline() {
            Ok(discipline) => return Ok(discipline),
            Err(error) => error,
        };
        match self.peers.clock_is_synchronised().await {
            Ok(synchronised) => Ok(Discipline {
                synchronised,
                max_error: None,
                estimated_error: None,
            }),
            Err(error) => Err(format!("adjtimex: {refused}; timedated: {error}")),
        }
    }

    fn time(&self, now: u64) -> Report {
        let mut times = collect::time::read(&self.settings.roots, now);
        times.clock.discipline = self.discipline.clone();
        times.latency = self.latency.clone();
        if self.peers.has(SYSTEMD) {
            times.boot = Some(self.systemd.boot);
            times.timers = Some(self.systemd.timers.clone());
            times.sources.push(SYSTEMD.to_owned());
        }
        if matches!(self.latency, Some(Ok(_))) {
            times.sources.push(bus_name::RESOURCE.to_owned());
        }
        times.report()
    }

    fn event(&mut self, now: u64) -> Report {
        self.incidents.close(now);
        if let Some(closes) = self.incidents.next_close() {
            // An incident that closes is a change, so there is a look when it does.
            self.dirty.insert(Dimension::Event);
            self.due_within(Duration::from_micros(closes.saturating_sub(now).max(1)));
        }
        let mut happenings = Happenings {
            failed_units: self.peers.has(SYSTEMD).then(|| self.systemd.failed.clone()),
            lost: self.signals.lost() + self.kernel_lost,
            ..Happenings::default()
        };
        for name in [SYSTEMD].into_iter().chain(EVENT_SERVICES) {
            if self.peers.has(name) {
                happenings.sources.push(name.to_owned());
            } else {
                happenings.missing.push(format!("{name} is not on the bus"));
            }
        }
        for name in [UEVENTS, LOG, PRESSURE] {
            match self.kernel.state(name) {
                Ok(()) => happenings.sources.push(name.to_owned()),
                Err(reason) => happenings.missing.push(format!("{name}: {reason}")),
            }
        }
        happenings.report(&self.incidents)
    }

    fn pixel(&self) -> Report {
        let mut surface = collect::pixel::read(&self.settings.roots);
        if let Some(login) = &self.login {
            surface.sources.push(LOGIN.to_owned());
            surface.login = Some(login.clone());
        }
        surface.report()
    }

    fn script(&self, now: u64) -> Report {
        if !self.peers.has(SYSTEMD) {
            return Automation::default().report();
        }
        Automation {
            systemd: true,
            jobs: self.systemd.jobs.clone(),
            transient: self.systemd.transient.clone(),
            timers: self.systemd.timers.clone(),
            failed_units: self.systemd.failed.clone(),
            now,
        }
        .report()
    }
}

fn note(what: &str, asked: Result<(), Error>) {
    if let Err(error) = asked {
        tracing::debug!(what, %error, "no answer");
    }
}

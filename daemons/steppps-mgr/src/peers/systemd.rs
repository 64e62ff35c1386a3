//! systemd's manager: what has failed, what runs, what waits, and how the boot went.

use std::collections::{BTreeMap, BTreeSet};

use quantumos_dimensions::{
    limits,
    script::{Job, Transient},
    text,
    time::{Boot, Monotonic, Timer},
    unit,
};
use zbus::{OwnedObjectPath, OwnedVariant};

use super::{Peers, Properties, SYSTEMD};
use crate::{Error, clock};

const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// Units that are looked at one by one; a host with more shows the first ones.
const UNITS: usize = 1024;

/// name, description, load state, active state, sub state, following, path, job, type, job path
type UnitRow = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);
/// id, unit, type, state, path, unit path
type JobRow = (
    u32,
    String,
    String,
    String,
    OwnedObjectPath,
    OwnedObjectPath,
);

/// What was last read from systemd.
#[derive(Debug, Default)]
pub(crate) struct Systemd {
    /// Units that have failed.
    pub failed: Vec<String>,
    /// Services that are active.
    pub active: Vec<String>,
    /// The queue of jobs.
    pub jobs: Vec<Job>,
    /// Transient units.
    pub transient: Vec<Transient>,
    /// Timer units.
    pub timers: Vec<Timer>,
    /// The boot chain.
    pub boot: Boot,
    is_transient: BTreeMap<String, bool>,
    monotonic: Monotonic,
}

impl Systemd {
    /// Asks for signals; systemd sends none to nobody.
    pub async fn subscribe(peers: &Peers) -> Result<(), Error> {
        match peers
            .call::<_, ()>(SYSTEMD, PATH, MANAGER, "Subscribe", &())
            .await
        {
            Err(Error::Bus(zbus::Error::MethodError(name, ..)))
                if name.as_str() == "org.freedesktop.systemd1.AlreadySubscribed" =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Reads units and jobs.
    pub async fn read_units(&mut self, peers: &Peers) -> Result<(), Error> {
        let now = clock::realtime();
        self.failed = list(peers, &["failed"], &[])
            .await?
            .into_iter()
            .map(|unit| text::clip(&unit.0))
            .collect();

        let seen: BTreeMap<u64, u64> = self.jobs.iter().map(|job| (job.id, job.since)).collect();
        let jobs: Vec<JobRow> = peers.call(SYSTEMD, PATH, MANAGER, "ListJobs", &()).await?;
        self.jobs = jobs
            .into_iter()
            .take(UNITS)
            .map(|(id, unit, kind, state, ..)| Job {
                id: u64::from(id),
                unit: text::clip(&unit),
                kind: text::clip(&kind),
                state: text::clip(&state),
                since: seen.get(&u64::from(id)).copied().unwrap_or(now),
            })
            .collect();
        self.jobs.sort_by_key(|job| job.id);

        let running = ["active", "activating", "deactivating", "reloading"];
        let mut units = list(peers, &running, &["*.service", "*.scope"]).await?;
        units.truncate(UNITS);
        units.sort_by(|a, b| a.0.cmp(&b.0));
        let names: BTreeSet<&String> = units.iter().map(|unit| &unit.0).collect();
        self.is_transient.retain(|name, _| names.contains(name));
        self.transient.clear();
        self.active.clear();
        for unit in &units {
            let (name, description, state, path) = (&unit.0, &unit.1, &unit.3, unit.6.as_str());
            if name.ends_with(".service") && state == "active" {
                self.active.push(text::clip(name));
            }
            if self.is_transient(peers, name, path).await {
                self.transient.push(Transient {
                    name: text::clip(name),
                    description: text::clip(description),
                    state: text::clip(state),
                });
            }
        }
        Ok(())
    }

    /// Whether a unit is transient: asked once while it runs, for that does not change.
    async fn is_transient(&mut self, peers: &Peers, name: &str, path: &str) -> bool {
        if let Some(known) = self.is_transient.get(name) {
            return *known;
        }
        let body = ("org.freedesktop.systemd1.Unit", "Transient");
        let value: Result<OwnedVariant, Error> = peers
            .call(
                SYSTEMD,
                path,
                "org.freedesktop.DBus.Properties",
                "Get",
                &body,
            )
            .await;
        // A unit that has ended meanwhile is not there to be asked.
        let Ok(value) = value else { return false };
        let transient = bool::try_from(&*value).unwrap_or(false);
        self.is_transient.insert(name.to_owned(), transient);
        transient
    }

    /// Reads timers.
    pub async fn read_timers(&mut self, peers: &Peers) -> Result<(), Error> {
        self.monotonic.update(clock::realtime(), clock::monotonic());
        let mut units = list(peers, &["active"], &["*.timer"]).await?;
        units.truncate(limits::TEXTS);
        let mut timers = Vec::with_capacity(units.len());
        for unit in units {
            // A timer that has gone meanwhile is no timer.
            let Ok(properties) = peers
                .properties(SYSTEMD, unit.6.as_str(), "org.freedesktop.systemd1.Timer")
                .await
            else {
                continue;
            };
            timers.push(self.timer(&unit.0, &properties));
        }
        timers.sort_by(|a, b| a.name.cmp(&b.name));
        self.timers = timers;
        Ok(())
    }

    fn timer(&self, name: &str, properties: &Properties) -> Timer {
        let last = properties.number("LastTriggerUSec");
        Timer {
            name: text::clip(name),
            activates: text::clip(&properties.text("Unit")),
            next: self.monotonic.next(
                properties.number("NextElapseUSecRealtime"),
                properties.number("NextElapseUSecMonotonic"),
            ),
            last: (last > 0 && last < u64::MAX).then_some(last),
        }
    }

    /// Reads the boot chain's timestamps.
    pub async fn read_boot(&mut self, peers: &Peers) -> Result<(), Error> {
        let properties = peers.properties(SYSTEMD, PATH, MANAGER).await?;
        self.boot = Boot {
            firmware: properties.number("FirmwareTimestampMonotonic"),
            loader: properties.number("LoaderTimestampMonotonic"),
            initrd: properties.number("InitRDTimestampMonotonic"),
            userspace: properties.number("UserspaceTimestampMonotonic"),
            finish: properties.number("FinishTimestampMonotonic"),
        };
        Ok(())
    }
}

async fn list(peers: &Peers, states: &[&str], patterns: &[&str]) -> Result<Vec<UnitRow>, Error> {
    peers
        .call(
            SYSTEMD,
            PATH,
            MANAGER,
            "ListUnitsByPatterns",
            &(states, patterns),
        )
        .await
}

/// What a unit's PropertiesChanged says: its name, active state and sub state, if the active
/// state is in it.
pub(crate) fn unit_change(message: &zbus::Message) -> Option<(String, String, String)> {
    let header = message.header();
    let name = unit::from_object_path(header.path()?.as_str())?;
    let body = message.body();
    let (interface, changed, _): (String, quantumos_dbus::Dictionary, Vec<String>) =
        body.deserialize().ok()?;
    if interface != "org.freedesktop.systemd1.Unit" {
        return None;
    }
    let changed = Properties(changed);
    let active = text::clip(&changed.text("ActiveState"));
    (!active.is_empty()).then(|| (name, active, text::clip(&changed.text("SubState"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quantumos_service::systemd::unit_path;

    proptest! {
        #[test]
        fn a_path_leads_back_to_its_unit(unit in "[a-zA-Z0-9:_.@\\\\-]{1,60}\\.service") {
            prop_assert_eq!(unit::from_object_path(&unit_path(&unit)), Some(unit));
        }
    }
}

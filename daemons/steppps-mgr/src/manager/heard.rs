//! What is heard from the bus and told by the kernel: each message marks what may have
//! changed, and some are events of their own.

use std::collections::HashMap;

use quantumos_dbus::{Dictionary, bus_name};
use quantumos_dimensions::{
    Dimension,
    event::{Event, Kind, Severity, kernel_event},
    limits,
    text::clip,
};
use zbus::{Message, OwnedObjectPath};

use super::{Manager, Stale};
use crate::{
    clock,
    kernel::Told,
    peers::{
        LOGIN, Properties, SYSTEMD,
        systemd::{Systemd, unit_change},
    },
};

impl Manager {
    /// Takes in a signal, if its sender may speak for the name that it is about.
    pub(super) async fn hear(&mut self, message: &Message) {
        let header = message.header();
        let (Some(sender), Some(interface), Some(member)) =
            (header.sender(), header.interface(), header.member())
        else {
            return;
        };
        // The bus itself fills in senders, so nobody else can have this one.
        if sender.as_str() == "org.freedesktop.DBus" {
            if member.as_str() == "NameOwnerChanged"
                && let Ok((name, _, owner)) =
                    message.body().deserialize::<(String, String, String)>()
            {
                self.set_owner(&name, &owner).await;
            }
            return;
        }
        let Some(name) = self.peers.speaks_for(sender.as_str()) else {
            return;
        };
        match (name, interface.as_str(), member.as_str()) {
            (SYSTEMD, "org.freedesktop.DBus.Properties", "PropertiesChanged") => {
                self.unit_changed(message)
            }
            (SYSTEMD, _, "JobNew") => {
                self.stale.units = true;
                self.mark(Dimension::Script);
            }
            (SYSTEMD, _, "JobRemoved") => self.job_removed(message),
            (SYSTEMD, _, "StartupFinished") => {
                self.stale.boot = true;
                self.mark(Dimension::Time);
            }
            (SYSTEMD, _, "Reloading") => {
                self.stale.units = true;
                self.stale.timers = true;
                self.mark(Dimension::Script);
                self.mark(Dimension::Time);
            }
            (LOGIN, ..) => {
                self.stale.login = true;
                self.mark(Dimension::Pixel);
            }
            (bus_name::SECURITY, _, "AlertRaised") => self.alert_raised(message),
            (bus_name::SECURITY, _, "EventsLostReported") => {
                let Ok((class, count)) = message.body().deserialize::<(String, u64)>() else {
                    return;
                };
                let text = format!("{count} events of class {} were lost", clip(&class));
                self.happened(
                    Kind::Security,
                    Severity::Warning,
                    vec!["unit:security-ai.service".to_owned()],
                    text,
                );
            }
            (bus_name::RESOURCE, _, "PressureStalled") => {
                let Ok((resource, kind, _)) = message.body().deserialize::<(String, String, u64)>()
                else {
                    return;
                };
                let (resource, kind) = (clip(&resource), clip(&kind));
                let text = format!("{resource} stalled ({kind})");
                self.happened(
                    Kind::Pressure,
                    Severity::Info,
                    vec![format!("resource:{resource}")],
                    text,
                );
                self.mark(Dimension::Time);
            }
            (_, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded") => {
                self.interfaces_added(message)
            }
            _ => {}
        }
    }

    /// Takes in what the kernel told.
    pub(super) fn be_told(&mut self, told: Told) {
        let now = clock::realtime();
        match told {
            Told::Uevent(uevent) => {
                if let Some(event) = uevent.event(now) {
                    self.incidents.add(event);
                    self.mark(Dimension::Event);
                }
                match uevent.subsystem.as_str() {
                    "drm" => {
                        self.mark(Dimension::Pixel);
                        self.mark(Dimension::Space);
                    }
                    "backlight" | "power_supply" => self.mark(Dimension::Pixel),
                    "block" | "cpu" | "hwmon" | "memory" | "net" | "node" | "thermal" => {
                        self.mark(Dimension::Space)
                    }
                    _ => {}
                }
            }
            Told::Record(record) => {
                if let Some(event) = kernel_event(&record, now) {
                    self.incidents.add(event);
                    self.mark(Dimension::Event);
                }
            }
            Told::Pressure => {
                self.mark(Dimension::Time);
                // With resource-ai there, its own signal says the same.
                if !self.peers.has(bus_name::RESOURCE) {
                    let subjects = vec!["resource:any".to_owned()];
                    self.happened(
                        Kind::Pressure,
                        Severity::Info,
                        subjects,
                        "tasks stalled".to_owned(),
                    );
                }
            }
            Told::Lost => {
                self.kernel_lost += 1;
                self.mark(Dimension::Event);
                self.mark(Dimension::Space);
                self.mark(Dimension::Pixel);
            }
            Told::Ended(name, reason) => {
                tracing::warn!(name, reason, "a source has ended");
                self.mark(Dimension::Event);
            }
        }
    }

    fn happened(&mut self, kind: Kind, severity: Severity, subjects: Vec<String>, text: String) {
        self.incidents.add(Event {
            time: clock::realtime(),
            kind,
            severity,
            subjects,
            text,
        });
        self.mark(Dimension::Event);
    }

    async fn set_owner(&mut self, name: &str, owner: &str) {
        if !self.peers.set_owner(name, owner) {
            return;
        }
        self.mark(Dimension::Event);
        self.mark(Dimension::Time);
        match name {
            SYSTEMD => {
                self.unit_states.clear();
                self.systemd = Systemd::default();
                self.stale = Stale {
                    units: true,
                    timers: true,
                    boot: true,
                    ..self.stale
                };
                self.mark(Dimension::Script);
                self.subscribe().await;
            }
            LOGIN => {
                self.stale.login = true;
                self.mark(Dimension::Pixel);
            }
            _ => {
                self.asked_for.clear();
                self.stale.catalogue = true;
                self.stale.latency = true;
                self.mark(Dimension::Prompt);
            }
        }
    }

    fn unit_changed(&mut self, message: &Message) {
        let Some((name, active, sub)) = unit_change(message) else {
            return;
        };
        // systemd repeats states in every change of a unit.
        let state = (active, sub);
        if self.unit_states.get(&name) == Some(&state) {
            return;
        }
        if self.unit_states.len() >= limits::TEXTS * 4 {
            self.unit_states.clear();
        }
        let (severity, text) = match (state.0.as_str(), state.1.as_str()) {
            ("failed", _) => (Severity::Warning, format!("{name} failed")),
            (_, "auto-restart") => (Severity::Warning, format!("{name} died and is restarted")),
            (active, sub) => (Severity::Info, format!("{name} is {active} ({sub})")),
        };
        if name.ends_with(".timer") {
            self.stale.timers = true;
            self.mark(Dimension::Time);
        }
        self.happened(Kind::Unit, severity, vec![format!("unit:{name}")], text);
        self.unit_states.insert(name, state);
        self.stale.units = true;
        self.mark(Dimension::Script);
    }

    fn job_removed(&mut self, message: &Message) {
        self.stale.units = true;
        self.mark(Dimension::Script);
        let body = message.body();
        let Ok((_, _, unit, result)) = body.deserialize::<(u32, OwnedObjectPath, String, String)>()
        else {
            return;
        };
        if matches!(result.as_str(), "failed" | "timeout" | "dependency") {
            let unit = clip(&unit);
            let text = format!("a job of {unit} ended with {result}");
            self.happened(
                Kind::Unit,
                Severity::Warning,
                vec![format!("unit:{unit}")],
                text,
            );
        }
    }

    fn alert_raised(&mut self, message: &Message) {
        let Ok((_, alert)) = message
            .body()
            .deserialize::<(OwnedObjectPath, Dictionary)>()
        else {
            return;
        };
        let alert = Properties(alert);
        let severity = match alert.text("Level").as_str() {
            "critical" => Severity::Critical,
            "high" | "medium" => Severity::Warning,
            _ => Severity::Info,
        };
        let mut subjects = Vec::new();
        let unit = clip(&alert.text("Unit"));
        if !unit.is_empty() {
            subjects.push(format!("unit:{unit}"));
        }
        let pid = alert.number("Pid");
        if pid > 0 {
            subjects.push(format!("pid:{pid}"));
        }
        self.happened(Kind::Security, severity, subjects, alert.text("Title"));
    }

    fn interfaces_added(&mut self, message: &Message) {
        type Interfaces = HashMap<String, Dictionary>;
        let Ok((_, interfaces)) = message
            .body()
            .deserialize::<(OwnedObjectPath, Interfaces)>()
        else {
            return;
        };
        // A service that announces interfaces and doesn't let them be introspected is asked once
        // for each, not with each of its objects.
        let new = interfaces.into_keys().filter(|interface| {
            !self.catalogue.knows(interface)
                && self.asked_for.len() < limits::ROWS
                && self.asked_for.insert(clip(interface))
        });
        if new.count() > 0 {
            self.stale.catalogue = true;
            self.mark(Dimension::Prompt);
        }
    }
}

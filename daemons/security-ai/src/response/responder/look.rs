//! From what is asked for to what is known of it.

use super::{Aim, Responder, Wanted};
use crate::alert::Alert;
use crate::process::Identity;
use crate::response::plan::{Facts, Refusal, UnitFacts};
use crate::response::record::About;
use quantumos_service::systemd::SystemdError;

/// Adds what an alert says.
pub(super) fn tell(about: &mut About, alert: &Alert) {
    about.rule.clone_from(&alert.rule);
    about.title.clone_from(&alert.title);
    about.level.clone_from(&alert.level);
    about.evidence.clone_from(&alert.explanation);
    if about.executable.is_empty() {
        about.executable.clone_from(&alert.executable);
    }
    if about.unit.is_empty() {
        about.unit.clone_from(&alert.unit);
    }
}

impl Responder {
    /// What is known of a target, and what to remember of it. A process that has gone is left out of the facts.
    pub(super) async fn look(&self, wanted: &Wanted) -> (Result<Facts, Refusal>, About) {
        let mut about = About::default();
        let mut unit = String::new();
        let identity = match &wanted.aim {
            Aim::Alert(id) => {
                let Some(entry) = self.book.lock().get(*id).cloned() else {
                    let reason = format!("there is no alert {id}");
                    return (Err(Refusal::Gone(reason)), about);
                };
                about.alert = *id;
                unit.clone_from(&entry.alert.unit);
                tell(&mut about, &entry.alert);
                Some(Identity {
                    pid: entry.alert.pid,
                    start: entry.alert.start,
                })
            }
            Aim::Process(pid, Some(start)) => Some(Identity {
                pid: *pid,
                start: *start,
            }),
            Aim::Process(pid, None) => Some(self.host.identity(*pid).unwrap_or(Identity {
                pid: *pid,
                start: 0,
            })),
            Aim::Unit(name) => {
                unit.clone_from(name);
                None
            }
            Aim::Seen(identity, of_process) => {
                unit.clone_from(of_process);
                Some(*identity)
            }
        };
        let host = self.host.clone();
        let caller = wanted.caller;
        let read = tokio::task::spawn_blocking(move || {
            let process = identity.and_then(|identity| host.process(identity));
            (process, (caller != 0).then(|| host.caller(caller)))
        });
        let (process, caller) = match read.await {
            Ok(read) => read,
            Err(error) => return (Err(Refusal::Unsupported(error.to_string())), about),
        };
        if let Some(identity) = identity {
            (about.pid, about.start) = (identity.pid, identity.start);
        }
        if let Some(process) = &process {
            about.executable.clone_from(&process.executable);
            if let Some(of_process) = &process.unit {
                unit.clone_from(of_process);
            }
        }
        about.unit.clone_from(&unit);
        // Only what needs systemd asks it: a kill must not wait for that.
        if !wanted.grade.acts() || wanted.is_of_process_alone() {
            let facts = Facts {
                process,
                unit: None,
                caller,
            };
            return (Ok(facts), about);
        }
        let _slot = self.slots.of(wanted.grade).await;
        let unit = match self.unit(&unit).await {
            Ok(unit) => unit,
            // A host without systemd still has processes.
            Err(_) if process.is_some() => None,
            Err(refusal) => return (Err(refusal), about),
        };
        if let Some(unit) = &unit {
            about.unit.clone_from(&unit.name);
        }
        let facts = Facts {
            process,
            unit,
            caller,
        };
        (Ok(facts), about)
    }

    /// What is known of a unit; none when there is no such unit.
    async fn unit(&self, name: &str) -> Result<Option<UnitFacts>, Refusal> {
        if name.is_empty() {
            return Ok(None);
        }
        let systemd = &self.hands.systemd;
        let asked = async {
            let object = systemd.unit(name).await?;
            let text = |value: zbus::OwnedVariant| String::try_from(value).unwrap_or_default();
            let id = systemd
                .property(&object, "org.freedesktop.systemd1.Unit", "Id")
                .await?;
            let id = text(id);
            let group = match quantumos_service::systemd::unit_interface(&id) {
                Some(interface) => systemd.property(&object, interface, "ControlGroup").await,
                None => return Ok((id, String::new())),
            };
            Ok((id, text(group?)))
        };
        match asked.await {
            Ok((id, group)) => {
                let host = self.host.clone();
                let read = tokio::task::spawn_blocking(move || host.unit(&id, &group));
                let read = read.await;
                read.map(Some)
                    .map_err(|error| Refusal::Unsupported(error.to_string()))
            }
            Err(SystemdError::NoSuchUnit) => Ok(None),
            Err(error) => Err(Refusal::Unsupported(format!("{name}: {error}"))),
        }
    }
}

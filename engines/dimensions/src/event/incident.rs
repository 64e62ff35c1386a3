//! Incidents: events that belong together.
//!
//! The rule, in full. An event names its subjects: a unit, a process, a device, a resource.
//! It joins the newest open incident that shares a subject with it and whose last event is at
//! most [`WINDOW`] before it; the incident then covers the event's other subjects too. An
//! event of severity `warning` or worse that joins none opens an incident. Pressure joins any
//! open incident within the window, for a starved host breaks many things at once; it joins
//! once for each resource and does not keep an incident open. An event
//! of severity `info` joins, or is only counted. An incident closes when nothing has joined it
//! for a window. That two events share a unit within half a minute is a hint, not a proof of
//! cause; the incident shows the events, and the reader judges.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{Health, State, health::Checks, limits, text};

/// How long after an incident's last event another may join it, in microseconds.
pub const WINDOW: u64 = 30_000_000;

/// Incidents that a state shows; the older ones are in the history.
const SHOWN: usize = 8;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A unit changed its state.
    Unit,
    /// An alert of security-ai.
    Security,
    /// A resource stalled.
    Pressure,
    /// A record of the kernel's log.
    Kernel,
    /// A device came, went or changed.
    Hardware,
}

impl Kind {
    /// Its word in a state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Security => "security",
            Self::Pressure => "pressure",
            Self::Kernel => "kernel",
            Self::Hardware => "hardware",
        }
    }
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to do.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody should look now.
    Critical,
}

impl Severity {
    /// Its word in a state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in microseconds since the epoch.
    pub time: u64,
    /// What it is about.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// What it names, such as `unit:ssh.service` or `pid:42`.
    pub subjects: Vec<String>,
    /// What happened, in words.
    pub text: String,
}

/// Events that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Number, from 1, never used twice while the service runs.
    pub id: u64,
    /// The worst severity of its events.
    pub severity: Severity,
    /// All subjects of its events, up to a bound.
    pub subjects: BTreeSet<String>,
    /// Its first events, up to a bound.
    pub events: Vec<Event>,
    /// How many events it has.
    pub count: u64,
    /// When the first happened.
    pub first: u64,
    /// When the last happened.
    pub last: u64,
    /// Whether more may join.
    pub open: bool,
}

impl Incident {
    fn join(&mut self, event: Event) {
        if event.kind == Kind::Pressure {
            if self.count > 0
                && event
                    .subjects
                    .iter()
                    .all(|subject| self.subjects.contains(&text::clip(subject)))
            {
                return;
            }
        } else {
            self.last = self.last.max(event.time);
        }
        self.count += 1;
        self.severity = self.severity.max(event.severity);
        for subject in &event.subjects {
            if self.subjects.len() < limits::INCIDENT_EVENTS {
                self.subjects.insert(text::clip(subject));
            }
        }
        if self.events.len() < limits::INCIDENT_EVENTS {
            self.events.push(event);
        }
    }

    fn accepts(&self, event: &Event) -> bool {
        self.open
            && event.time.saturating_sub(self.last) <= WINDOW
            && (event.kind == Kind::Pressure
                || event
                    .subjects
                    .iter()
                    .any(|subject| self.subjects.contains(&text::clip(subject))))
    }

    fn row(&self) -> State {
        State::new()
            .with("Id", self.id)
            .with("Severity", self.severity.as_str())
            .with("Open", self.open)
            .with("FirstAt", self.first)
            .with("LastAt", self.last)
            .with("Events", self.count)
            .with(
                "Subjects",
                self.subjects.iter().cloned().collect::<Vec<_>>(),
            )
            .with(
                "Texts",
                self.events
                    .iter()
                    .map(|event| format!("{}: {}", event.kind.as_str(), event.text))
                    .collect::<Vec<_>>(),
            )
    }
}

/// The incidents of the host, bounded.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    incidents: VecDeque<Incident>,
    counts: BTreeMap<Kind, u64>,
    last_id: u64,
}

impl Incidents {
    /// Takes in an event by the rule of this module.
    pub fn add(&mut self, mut event: Event) {
        *self.counts.entry(event.kind).or_default() += 1;
        self.close(event.time);
        event.text = text::clip(&event.text);
        event.subjects.truncate(8);
        if let Some(incident) = self
            .incidents
            .iter_mut()
            .rev()
            .find(|incident| incident.accepts(&event))
        {
            incident.join(event);
        } else if event.severity > Severity::Info {
            self.last_id += 1;
            let mut incident = Incident {
                id: self.last_id,
                severity: event.severity,
                subjects: BTreeSet::new(),
                events: Vec::new(),
                count: 0,
                first: event.time,
                last: event.time,
                open: true,
            };
            incident.join(event);
            self.incidents.push_back(incident);
            if self.incidents.len() > limits::INCIDENTS {
                self.incidents.pop_front();
            }
        }
    }

    /// Closes what nothing has joined for a window before `now`.
    pub fn close(&mut self, now: u64) {
        for incident in &mut self.incidents {
            incident.open &= now.saturating_sub(incident.last) <= WINDOW;
        }
    }

    /// When the next incident closes, in microseconds since the epoch.
    #[must_use]
    pub fn next_close(&self) -> Option<u64> {
        self.incidents
            .iter()
            .filter(|incident| incident.open)
            .map(|incident| incident.last + WINDOW + 1)
            .min()
    }

    /// All incidents, the newest last.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.iter()
    }

    pub(super) fn put(&self, state: &mut State) {
        let skip = self.incidents.len().saturating_sub(SHOWN);
        state.put(
            "Incidents",
            self.incidents
                .iter()
                .skip(skip)
                .map(Incident::row)
                .collect::<Vec<_>>(),
        );
        state.put("IncidentsOpened", self.last_id);
        state.put(
            "IncidentsOpen",
            self.incidents
                .iter()
                .filter(|incident| incident.open)
                .count(),
        );
        for (kind, key) in [
            (Kind::Unit, "UnitEvents"),
            (Kind::Security, "SecurityEvents"),
            (Kind::Pressure, "PressureEvents"),
            (Kind::Kernel, "KernelEvents"),
            (Kind::Hardware, "HardwareEvents"),
        ] {
            state.put(key, self.counts.get(&kind).copied().unwrap_or_default());
        }
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        checks.ok();
        for incident in self.incidents.iter().filter(|incident| incident.open) {
            let health = match incident.severity {
                Severity::Info => Health::Ok,
                Severity::Warning => Health::Attention,
                Severity::Critical => Health::Critical,
            };
            let first = incident
                .events
                .first()
                .map_or("", |event| event.text.as_str());
            checks.note(health, Some(format!("incident {}: {first}", incident.id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(seconds: u64, kind: Kind, severity: Severity, subjects: &[&str]) -> Event {
        Event {
            time: seconds * 1_000_000,
            kind,
            severity,
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            text: "text".to_owned(),
        }
    }

    /// Each event's incident (by id, 0 for none), after all were added.
    fn correlate(events: &[Event]) -> Vec<u64> {
        let mut incidents = Incidents::default();
        for event in events {
            incidents.add(event.clone());
        }
        events
            .iter()
            .map(|event| {
                incidents
                    .iter()
                    .find(|incident| incident.events.contains(event))
                    .map_or(0, |i| i.id)
            })
            .collect()
    }

    #[test]
    fn the_rule() {
        use Kind::{Kernel, Pressure, Security, Unit};
        use Severity::{Critical, Info, Warning};
        for (name, events, want) in [
            (
                "same unit within the window",
                vec![
                    event(0, Kernel, Critical, &["unit:a.service", "pid:7"]),
                    event(10, Unit, Warning, &["unit:a.service"]),
                    event(39, Security, Warning, &["pid:7"]),
                ],
                vec![1, 1, 1],
            ),
            (
                "same unit after the window",
                vec![
                    event(0, Unit, Warning, &["unit:a.service"]),
                    event(31, Unit, Warning, &["unit:a.service"]),
                ],
                vec![1, 2],
            ),
            (
                "different units",
                vec![
                    event(0, Unit, Warning, &["unit:a.service"]),
                    event(1, Unit, Warning, &["unit:b.service"]),
                ],
                vec![1, 2],
            ),
            (
                "subjects add up",
                vec![
                    event(0, Unit, Warning, &["unit:a.service"]),
                    event(1, Security, Warning, &["unit:a.service", "pid:9"]),
                    event(2, Security, Warning, &["pid:9"]),
                ],
                vec![1, 1, 1],
            ),
            (
                "information opens nothing",
                vec![
                    event(0, Unit, Info, &["unit:a.service"]),
                    event(1, Unit, Warning, &["unit:a.service"]),
                    event(2, Unit, Info, &["unit:a.service"]),
                ],
                vec![0, 1, 1],
            ),
            (
                "pressure joins what is open",
                vec![
                    event(0, Unit, Warning, &["unit:a.service"]),
                    event(5, Pressure, Info, &["resource:memory"]),
                ],
                vec![1, 1],
            ),
            (
                "pressure alone is counted",
                vec![event(0, Pressure, Info, &["resource:memory"])],
                vec![0],
            ),
        ] {
            assert_eq!(correlate(&events), want, "{name}");
        }
    }

    #[test]
    fn lasting_pressure_neither_floods_nor_holds_an_incident() {
        let mut incidents = Incidents::default();
        incidents.add(event(0, Kind::Unit, Severity::Warning, &["unit:a.service"]));
        for second in 1..=40 {
            incidents.add(event(
                second,
                Kind::Pressure,
                Severity::Info,
                &["resource:cpu"],
            ));
        }
        let incident = incidents.iter().next().unwrap();
        assert_eq!(
            (incident.count, incident.open, incident.last),
            (2, false, 0)
        );
    }

    #[test]
    fn an_open_incident_is_the_health() {
        let mut incidents = Incidents::default();
        let health = |incidents: &Incidents| {
            let mut checks = Checks::default();
            incidents.check(&mut checks);
            checks.verdict().0
        };
        assert_eq!(health(&incidents), Health::Ok);
        incidents.add(event(
            0,
            Kind::Unit,
            Severity::Critical,
            &["unit:a.service"],
        ));
        assert_eq!(health(&incidents), Health::Critical);
        assert_eq!(incidents.next_close(), Some(30_000_001));
        incidents.close(30_000_000);
        assert_eq!(health(&incidents), Health::Critical);
        incidents.close(30_000_001);
        assert_eq!(health(&incidents), Health::Ok);
        assert_eq!(incidents.next_close(), None);
    }

    proptest! {
        #[test]
        fn storms_stay_bounded(seeds in proptest::collection::vec((0_u64..400, 0_usize..3, 0_u32..50), 0..500)) {
            let mut incidents = Incidents::default();
            for (seconds, severity, subject) in seeds {
                let severity = [Severity::Info, Severity::Warning, Severity::Critical][severity];
                incidents.add(event(seconds, Kind::Unit, severity, &[&format!("unit:{subject}")]));
            }
            let mut state = State::new();
            incidents.put(&mut state);
            prop_assert!(incidents.iter().count() <= limits::INCIDENTS);
            prop_assert!(incidents.iter().all(|incident| incident.events.len() <= limits::INCIDENT_EVENTS));
            prop_assert!(state.weight() < 64 * 1024);
        }
    }
}

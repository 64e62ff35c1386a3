//! What the live view knows. Updates come from the bus; applying one is a pure step, so that
//! every picture can be made, and tested, without a bus or a terminal.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    resource::model::Decision,
    security::model::Alert,
    status::model::{Detail, DimensionHealth, Resource, ServiceStatus},
};

/// Samples of pressure that are kept: eight minutes at one every two seconds.
const SAMPLES: usize = 240;
/// Shortest time between two samples, in microseconds.
const SPACING: u64 = 1_000_000;
/// Alerts and decisions that are kept.
const KEPT: usize = 200;
/// Resources whose pressure is shown.
pub const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// State of a daemon that has not been asked yet.
pub const ASKING: &str = "asking";

/// Something that the bus told.
#[derive(Clone, Debug)]
pub enum Update {
    /// The state of one daemon.
    Service(Box<ServiceStatus>),
    /// An alert was raised, or counted again.
    Alert(Box<Alert>),
    /// All alerts that stand, or why they can't be had.
    Alerts(Result<Vec<Alert>, String>),
    /// All decisions, newest first, or why they can't be had.
    Decisions(Result<Vec<Decision>, String>),
}

/// Everything that is shown.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Name of the host.
    pub host: String,
    /// Microseconds of the real-time clock.
    pub now: u64,
    /// The daemons, in a fixed order.
    pub services: Vec<ServiceStatus>,
    /// Newest first.
    pub alerts: VecDeque<Alert>,
    /// Why there are no alerts to show.
    pub alerts_error: Option<String>,
    /// Newest first.
    pub decisions: Vec<Decision>,
    /// Why there are no decisions to show.
    pub decisions_error: Option<String>,
    /// Percent in the last interval by resource, oldest first.
    pub pressure: BTreeMap<&'static str, VecDeque<f64>>,
    /// First alert that is shown.
    pub scroll: usize,
    sampled: u64,
}

impl Model {
    /// An empty view of these daemons.
    pub fn new(host: String, services: Vec<ServiceStatus>) -> Self {
        Self {
            host,
            services,
            ..Self::default()
        }
    }

    /// Takes an update in.
    pub fn apply(&mut self, update: Update) {
        match update {
            Update::Service(status) => self.service(*status),
            Update::Alert(alert) => self.alert(*alert),
            Update::Alerts(Ok(mut alerts)) => {
                alerts.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
                alerts.truncate(KEPT);
                self.alerts = alerts.into();
                self.alerts_error = None;
            }
            Update::Alerts(Err(error)) => self.alerts_error = Some(error),
            Update::Decisions(Ok(mut decisions)) => {
                decisions.truncate(KEPT);
                self.decisions = decisions;
                self.decisions_error = None;
            }
            Update::Decisions(Err(error)) => self.decisions_error = Some(error),
        }
        self.scroll = self.scroll.min(self.alerts.len().saturating_sub(1));
    }

    /// Moves the list of alerts by `lines`, down for positive ones.
    pub fn scroll(&mut self, lines: isize) {
        let last = self.alerts.len().saturating_sub(1);
        self.scroll = self.scroll.saturating_add_signed(lines).min(last);
    }

    /// Why there is nothing to show of a daemon; nothing when it runs.
    pub fn absence(&self, unit: &str) -> Option<String> {
        let service = self.services.iter().find(|service| service.name == unit)?;
        match service.state.as_str() {
            _ if service.running => None,
            ASKING => Some("asking…".to_owned()),
            "not running" => Some(format!("{unit} is not running")),
            _ => Some(format!("{unit} does not answer")),
        }
    }

    /// Pressure, mode and model of resource-ai, if it answers.
    pub fn resource(&self) -> Option<&Resource> {
        self.services
            .iter()
            .find_map(|service| match &service.detail {
                Some(Detail::Resource(resource)) => Some(resource),
                _ => None,
            })
    }

    /// The dimensions, if steppps-mgr answers.
    pub fn dimensions(&self) -> Option<&[DimensionHealth]> {
        self.services
            .iter()
            .find_map(|service| match &service.detail {
                Some(Detail::Steppps(steppps)) => Some(steppps.dimensions.as_slice()),
                _ => None,
            })
    }

    fn service(&mut self, status: ServiceStatus) {
        if let Some(Detail::Resource(resource)) = &status.detail
            && self.now >= self.sampled.saturating_add(SPACING)
        {
            self.sampled = self.now;
            for name in RESOURCES {
                let some = format!("{name}.some");
                let row = resource.pressure.iter().find(|row| row.resource == some);
                let samples = self.pressure.entry(name).or_default();
                samples.push_back(row.map_or(0.0, |row| row.recent));
                if samples.len() > SAMPLES {
                    samples.pop_front();
                }
            }
        }
        match self.services.iter_mut().find(|s| s.name == status.name) {
            Some(slot) => *slot = status,
            None => self.services.push(status),
        }
    }

    fn alert(&mut self, alert: Alert) {
        self.alerts.retain(|known| known.id != alert.id);
        self.alerts.push_front(alert);
        self.alerts.truncate(KEPT);
        self.alerts_error = None;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        resource::render::tests::decision, security::model::tests::alert,
        status::model::tests::sample,
    };

    const NOON: u64 = 1_763_726_400_000_000;

    /// A view with something in every panel.
    pub fn busy() -> Model {
        let mut model = Model::new("guest".into(), sample().services);
        model.now = NOON;
        let mut resource = sample().services[3].clone();
        resource.running = true;
        resource.state = "ready".into();
        resource.version = "0.1.0".into();
        for percent in [0.0, 5.0, 10.0, 20.0, 40.0] {
            model.now += SPACING;
            let row = |name: &str, percent: f64| {
                (name.to_owned(), percent / 2.0, 0.0, 0.0, percent, 1u64).into()
            };
            resource.detail = Some(Detail::Resource(Resource {
                mode: "observe".into(),
                model: serde_json::Map::new(),
                pressure: vec![row("cpu.some", percent), row("memory.some", 0.0)],
            }));
            model.apply(Update::Service(Box::new(resource.clone())));
        }
        model.apply(Update::Decisions(Ok(vec![decision()])));
        model.apply(Update::Alerts(Ok(vec![alert()])));
        model
    }

    #[test]
    fn pressure_is_sampled_at_a_steady_pace() {
        let mut model = busy();
        let cpu = [0.0, 5.0, 10.0, 20.0, 40.0];
        assert_eq!(model.pressure["cpu"], cpu);
        let again = Update::Service(Box::new(model.services[3].clone()));
        model.apply(again.clone());
        assert_eq!(
            model.pressure["cpu"].len(),
            5,
            "same instant, no new sample"
        );
        for _ in 0..2 * SAMPLES {
            model.now += SPACING;
            model.apply(again.clone());
        }
        assert_eq!(model.pressure["cpu"].len(), SAMPLES);
        assert_eq!(model.pressure["io"].back(), Some(&0.0));
    }

    #[test]
    fn a_folded_alert_moves_to_the_front() {
        let mut model = busy();
        let mut other = alert();
        other.id = "18".into();
        model.apply(Update::Alert(Box::new(other)));
        let mut folded = alert();
        folded.count = 9;
        model.apply(Update::Alert(Box::new(folded)));
        let seen: Vec<(&str, u32)> = model
            .alerts
            .iter()
            .map(|a| (a.id.as_str(), a.count))
            .collect();
        assert_eq!(seen, [("17", 9), ("18", 3)]);
    }

    #[test]
    fn floods_are_bounded() {
        let mut model = busy();
        for n in 0..10 * KEPT {
            let mut one = alert();
            one.id = n.to_string();
            model.apply(Update::Alert(Box::new(one)));
        }
        assert_eq!(model.alerts.len(), KEPT);
        model.scroll(isize::MAX);
        assert_eq!(model.scroll, KEPT - 1);
        model.apply(Update::Alerts(Ok(Vec::new())));
        assert_eq!(model.scroll, 0);
    }

    #[test]
    fn a_daemon_that_goes_is_seen_to_go() {
        let mut model = busy();
        assert!(model.resource().is_some());
        model.apply(Update::Service(Box::new(sample().services[3].clone())));
        assert!(model.resource().is_none());
        assert_eq!(model.services[3].state, "not running");
        assert_eq!(model.services.len(), 4);
    }
}

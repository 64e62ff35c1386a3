//! PROMPT: what can be asked for. The vocabulary of a plan is the set of bus calls that the
//! QuantumOS services answer now, found by introspection.
//!
//! Health: a service of QuantumOS that cannot be reached is attention.

mod introspection;

pub use introspection::{Interface, Method, Node, parse};

use std::collections::{BTreeMap, BTreeSet};

use crate::{Health, Report, State, health::Checks, limits};

/// The calls that can be made, by interface.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    interfaces: BTreeMap<String, BTreeSet<String>>,
    services: BTreeSet<String>,
    missing: BTreeSet<String>,
    objects: u64,
    omitted: u64,
}

impl Catalogue {
    /// Adds an object of `service`. Interfaces of the bus itself (`org.freedesktop.DBus.…`)
    /// are grammar, not vocabulary, and are left out.
    pub fn add(&mut self, service: &str, interfaces: &[Interface]) {
        self.services.insert(service.to_owned());
        self.objects += 1;
        for interface in interfaces
            .iter()
            .filter(|interface| !interface.name.starts_with("org.freedesktop.DBus"))
        {
            if self.interfaces.len() >= limits::ROWS
                && !self.interfaces.contains_key(&interface.name)
            {
                self.omitted += 1;
                continue;
            }
            let methods = self.interfaces.entry(interface.name.clone()).or_default();
            for method in &interface.methods {
                let signature = format!("{}({}) -> ({})", method.name, method.input, method.output);
                if methods.len() < limits::ROWS {
                    methods.insert(signature);
                } else if !methods.contains(&signature) {
                    self.omitted += 1;
                }
            }
        }
    }

    /// Notes that `service` cannot be reached.
    pub fn add_missing(&mut self, service: &str) {
        self.missing.insert(service.to_owned());
    }

    /// Whether an interface of that name has been seen.
    #[must_use]
    pub fn knows(&self, interface: &str) -> bool {
        self.interfaces.contains_key(interface) || interface.starts_with("org.freedesktop.DBus")
    }

    /// The dimension's report.
    #[must_use]
    pub fn report(&self) -> Report {
        if self.services.is_empty() {
            return Report::unavailable("no QuantumOS service can be reached on the bus");
        }
        let methods = self.interfaces.values().map(BTreeSet::len).sum::<usize>();
        let calls: Vec<String> = self
            .interfaces
            .iter()
            .flat_map(|(interface, methods)| {
                methods
                    .iter()
                    .map(move |method| format!("{interface}.{method}"))
            })
            .collect();
        let omitted = self.omitted + calls.len().saturating_sub(limits::TEXTS) as u64;
        let mut state = State::new()
            .with(
                "Services",
                self.services.iter().cloned().collect::<Vec<_>>(),
            )
            .with(
                "MissingServices",
                self.missing.iter().cloned().collect::<Vec<_>>(),
            )
            .with(
                "Interfaces",
                self.interfaces.keys().cloned().collect::<Vec<_>>(),
            )
            .with("Methods", methods)
            .with("Calls", calls);
        if omitted > 0 {
            state.put("CallsOmitted", omitted);
        }
        let mut checks = Checks::default();
        checks.ok();
        for service in &self.missing {
            checks.note(
                Health::Attention,
                Some(format!("{service} cannot be reached")),
            );
        }
        Report::found(self.services.iter().cloned().collect(), state, checks, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn interface(name: &str, methods: &[&str]) -> Interface {
        Interface {
            name: name.to_owned(),
            methods: methods
                .iter()
                .map(|&name| Method {
                    name: name.to_owned(),
                    input: "s".to_owned(),
                    output: String::new(),
                })
                .collect(),
        }
    }

    #[test]
    fn calls_are_named_once() {
        let mut catalogue = Catalogue::default();
        let key = [
            interface("org.quantumos.Key1", &["Sign"]),
            interface("org.freedesktop.DBus.Peer", &["Ping"]),
        ];
        catalogue.add("org.quantumos.Quantum1", &key);
        catalogue.add("org.quantumos.Quantum1", &key);
        let report = catalogue.report();
        assert_eq!(report.health, Health::Ok);
        assert_eq!(report.state.get("Methods"), Some(&Value::Count(1)));
        assert_eq!(
            report.state.get("Calls"),
            Some(&Value::Texts(vec![
                "org.quantumos.Key1.Sign(s) -> ()".to_owned()
            ]))
        );
        assert!(catalogue.knows("org.quantumos.Key1") && !catalogue.knows("org.quantumos.Other1"));
    }

    #[test]
    fn who_is_missing_is_said() {
        let mut catalogue = Catalogue::default();
        catalogue.add_missing("org.quantumos.Security1");
        assert!(!catalogue.report().available);
        catalogue.add("org.quantumos.Quantum1", &[]);
        let report = catalogue.report();
        assert_eq!(
            (report.health, report.reason.as_str()),
            (
                Health::Attention,
                "org.quantumos.Security1 cannot be reached"
            )
        );
    }

    #[test]
    fn a_hostile_service_fills_only_its_bound() {
        let mut catalogue = Catalogue::default();
        for index in 0..10_000 {
            catalogue.add(
                "org.quantumos.Evil1",
                &[interface(&format!("org.quantumos.I{index}"), &["M"])],
            );
        }
        let report = catalogue.report();
        assert!(report.state.weight() < 128 * 1024);
        assert_eq!(
            report.state.get("CallsOmitted"),
            Some(&Value::Count(10_000 - limits::ROWS as u64))
        );
    }
}

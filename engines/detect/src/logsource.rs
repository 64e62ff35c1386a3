//! Which events a rule is about: Sigma's `logsource`, mapped onto our classes.
//! Sources that we don't observe yield the reason, so that a rule's author knows why it is silent.

use crate::class::Class;
use crate::field::Field;

/// The `logsource` of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSource {
    /// `linux`, `windows`, …
    pub product: Option<String>,
    /// `process_creation`, `file_event`, …
    pub category: Option<String>,
    /// `auditd`, `sshd`, …
    pub service: Option<String>,
    /// What the source must be configured to log, in words or in the source's own configuration.
    pub definition: Option<String>,
}

/// Where a rule applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applies {
    /// To events of this class.
    Events(Class),
    /// To messages of whoever has one of these fields with this value; to all messages without any.
    Messages(Vec<(Field, String)>),
    /// To logs of any kind: every message, and every command line.
    Anything,
    /// Nowhere on this host, and why.
    Nowhere(String),
}

/// Services whose messages come from more than the program of their name: identifiers, then units.
const SERVICES: &[(&str, &[&str], &[&str])] = &[
    (
        "sshd",
        &["sshd", "sshd-session", "sshd-auth"],
        &["ssh.service", "sshd.service"],
    ),
    (
        "cron",
        &[
            "cron", "CRON", "crond", "CROND", "crontab", "anacron", "fcron",
        ],
        &["cron.service", "crond.service"],
    ),
    (
        "clamav",
        &[
            "clamd",
            "clamav",
            "clamscan",
            "clamdscan",
            "clamonacc",
            "freshclam",
        ],
        &[
            "clamav-daemon.service",
            "clamd.service",
            "clamav-clamonacc.service",
            "clamav-freshclam.service",
        ],
    ),
    ("vsftpd", &["vsftpd"], &["vsftpd.service"]),
    (
        "guacamole",
        &["guacd", "guacamole"],
        &[
            "guacd.service",
            "guacamole.service",
            "tomcat9.service",
            "tomcat10.service",
        ],
    ),
    ("sudo", &["sudo"], &[]),
    ("su", &["su"], &[]),
    ("polkit", &["polkitd", "pkexec"], &["polkit.service"]),
    (
        "named",
        &["named", "bind9"],
        &["named.service", "bind9.service"],
    ),
];

/// The facilities of authentication: `auth` and `authpriv`.
const AUTHENTICATION: [&str; 2] = ["4", "10"];

impl LogSource {
    /// Where rules with this source apply.
    #[must_use]
    pub fn applies(&self) -> Applies {
        if let Some(product) = self
            .product
            .as_deref()
            .filter(|product| *product != "linux")
        {
            return Applies::Nowhere(format!("it is for {product}, this is linux"));
        }
        match (self.category.as_deref(), self.service.as_deref()) {
            (Some(category), service) => match (Class::from_name(category), service) {
                (Some(class), None) => Applies::Events(class),
                (Some(_), Some(service)) => {
                    Applies::Nowhere(format!("the service {service} writes no {category} events"))
                }
                (None, _) => Applies::Nowhere(format!("no probe sees the category {category}")),
            },
            (None, Some("auditd")) => Applies::Events(Class::Audit),
            (None, Some("syslog")) => Applies::Messages(Vec::new()),
            (None, Some("auth")) => Applies::Messages(
                AUTHENTICATION
                    .iter()
                    .map(|facility| (Field::Facility, (*facility).to_string()))
                    .collect(),
            ),
            (None, Some(service)) if self.product.is_some() => Applies::Messages(writers(service)),
            (None, Some(service)) => Applies::Nowhere(format!(
                "it is for the service {service} of no named product"
            )),
            (None, None) if self.product.is_some() => Applies::Anything,
            (None, None) => Applies::Nowhere("its log source names nothing".into()),
        }
    }
}

/// Who writes the messages of a service: of one that isn't known, the program and the unit of its name.
fn writers(service: &str) -> Vec<(Field, String)> {
    let named = |field, names: &[&str]| -> Vec<(Field, String)> {
        names
            .iter()
            .map(|name| (field, (*name).to_string()))
            .collect()
    };
    match SERVICES.iter().find(|(name, ..)| *name == service) {
        Some((_, identifiers, units)) => [
            named(Field::Identifier, identifiers),
            named(Field::SystemdUnit, units),
        ]
        .concat(),
        None => vec![
            (Field::Identifier, service.to_string()),
            (Field::SystemdUnit, format!("{service}.service")),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_sources() {
        let source = |product: &str, category: &str, service: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_string());
            LogSource {
                product: some(product),
                category: some(category),
                service: some(service),
                definition: None,
            }
            .applies()
        };
        for class in Class::ALL
            .iter()
            .filter(|class| !matches!(class, Class::Audit | Class::Log))
        {
            assert_eq!(source("linux", class.name(), ""), Applies::Events(*class));
        }
        assert_eq!(
            source("", "file_event", ""),
            Applies::Events(Class::FileEvent)
        );
        assert_eq!(source("linux", "", "auditd"), Applies::Events(Class::Audit));
        assert_eq!(source("linux", "", "syslog"), Applies::Messages(Vec::new()));
        assert_eq!(source("linux", "", ""), Applies::Anything);
        assert_eq!(
            source("linux", "", "dovecot"),
            Applies::Messages(vec![
                (Field::Identifier, "dovecot".into()),
                (Field::SystemdUnit, "dovecot.service".into())
            ])
        );
        let Applies::Messages(writers) = source("linux", "", "sshd") else {
            panic!("sshd writes messages");
        };
        assert!(writers.contains(&(Field::Identifier, "sshd-session".into())));
        for (product, category, service) in [
            ("windows", "file_event", ""),
            ("", "", "sshd"),
            ("", "", ""),
            ("linux", "dns_query", ""),
            ("linux", "auditd", ""),
            ("linux", "file_event", "sysmon"),
        ] {
            assert!(
                matches!(source(product, category, service), Applies::Nowhere(_)),
                "{product} {category} {service}"
            );
        }
    }
}

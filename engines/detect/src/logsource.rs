//! Which events a rule is about: Sigma's `logsource`, mapped onto our classes.
//! Sources that we don't observe yield the reason, so that a rule's author knows why it is silent.

use crate::event::Class;

/// The `logsource` of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSource {
    /// `linux`, `windows`, …
    pub product: Option<String>,
    /// `process_creation`, `file_event`, …
    pub category: Option<String>,
    /// `auditd`, `sshd`, …
    pub service: Option<String>,
}

/// Where a rule applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applies {
    /// To events of this class.
    Events(Class),
    /// Nowhere on this host, and why.
    Nowhere(String),
}

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
            (_, Some("auditd")) => Applies::Nowhere("auditd records are not read".into()),
            (_, Some(service)) => {
                Applies::Nowhere(format!("the log of the service {service} is not read"))
            }
            (Some(category), None) => match Class::from_name(category) {
                Some(class) => Applies::Events(class),
                None => Applies::Nowhere(format!("no probe sees the category {category}")),
            },
            (None, None) => {
                Applies::Nowhere("it searches logs of any kind, which are not read".into())
            }
        }
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
            }
            .applies()
        };
        for class in Class::ALL {
            assert_eq!(source("linux", class.name(), ""), Applies::Events(class));
        }
        assert_eq!(
            source("", "file_event", ""),
            Applies::Events(Class::FileEvent)
        );
        for (product, category, service) in [
            ("windows", "file_event", ""),
            ("linux", "", "auditd"),
            ("linux", "", "sshd"),
            ("linux", "", ""),
            ("linux", "dns_query", ""),
        ] {
            assert!(
                matches!(source(product, category, service), Applies::Nowhere(_)),
                "{product} {category} {service}"
            );
        }
    }
}

//! The state of the daemons as text.

use super::model::{Detail, Resource, Security, ServiceStatus, Status, Steppps};
use crate::text::{escape::escape, style::Style, table::Table};

/// One line a daemon, then what is wrong.
pub fn status(status: &Status, style: Style) -> String {
    let mut table = Table::new(&["SERVICE", "STATE", "VERSION", "DETAIL"]);
    for service in &status.services {
        table.row([
            service.name.clone(),
            escape(&service.state),
            escape(&service.version),
            summary(service),
        ]);
    }
    let mut text = table.render(|column, cell, aligned| match column {
        1 => style.severity(cell, aligned),
        _ => aligned.to_owned(),
    });
    let troubles: Vec<String> = status.services.iter().flat_map(troubles).collect();
    if !troubles.is_empty() {
        text.push('\n');
        text.extend(troubles.iter().map(|line| format!("{line}\n")));
    }
    text
}

/// Everything that is wrong with a daemon, a line each.
pub fn troubles(service: &ServiceStatus) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |text: &str| lines.push(format!("{}: {}", service.name, escape(text)));
    if !service.running && service.error.is_none() {
        say(&format!(
            "not running; start it with: systemctl start {}",
            service.name
        ));
    }
    for problem in &service.problems {
        say(problem);
    }
    if !service.configuration_error.is_empty() {
        say(&format!(
            "configuration refused, the old one is in force: {}",
            service.configuration_error
        ));
    }
    if let Some(error) = &service.error {
        say(error);
    }
    lines
}

/// What is particular to a daemon, on one line.
pub fn summary(service: &ServiceStatus) -> String {
    match &service.detail {
        None => String::new(),
        Some(Detail::Quantum(quantum)) => {
            let protection = format!("protection {}", escape(&quantum.protection));
            match quantum.tpm_vendor.trim() {
                "" => protection,
                vendor => format!("{protection} ({})", escape(vendor)),
            }
        }
        Some(Detail::Security(security)) => security_summary(security),
        Some(Detail::Resource(resource)) => resource_summary(resource),
        Some(Detail::Steppps(steppps)) => steppps_summary(steppps),
        Some(Detail::Learn(learn)) => crate::learn::summary(learn),
    }
}

fn security_summary(security: &Security) -> String {
    let (full, partial, asked) = security.covered();
    let mut text = format!("coverage {full}/{asked}");
    if partial > 0 {
        text.push_str(&format!(" ({partial} in part)"));
    }
    text.push_str(&format!(", {} rules", security.rules_loaded));
    if security.rules_failed > 0 {
        text.push_str(&format!(" ({} failed)", security.rules_failed));
    }
    text.push_str(&format!(", {} events lost", security.events_lost));
    text
}

fn resource_summary(resource: &Resource) -> String {
    let pressure: Vec<String> = ["cpu", "memory", "io"]
        .iter()
        .filter_map(|name| {
            let percent = resource.avg10(&format!("{name}.some"))?;
            Some(format!("{name} {percent:.1}%"))
        })
        .collect();
    let mode = format!("mode {}", escape(&resource.mode));
    if pressure.is_empty() {
        mode
    } else {
        format!("{mode}, pressure {}", pressure.join(" "))
    }
}

fn steppps_summary(steppps: &Steppps) -> String {
    let available = steppps.dimensions.iter().filter(|d| d.available);
    let mut text = format!(
        "dimensions {}/{}",
        available.clone().count(),
        steppps.dimensions.len()
    );
    let unwell: Vec<String> = available
        .filter(|d| !matches!(d.health.as_str(), "ok" | "unknown"))
        .map(|d| format!("{} {}", escape(&d.name), escape(&d.health)))
        .collect();
    if !unwell.is_empty() {
        text.push_str(&format!(", {}", unwell.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::model::tests::sample;

    #[test]
    fn one_line_a_daemon_then_troubles() {
        assert_eq!(
            status(&sample(), Style::PLAIN),
            "\
SERVICE      STATE        VERSION  DETAIL
quantumd     ready        0.1.0    protection tpm (SW swtpm 0.7.3)
steppps-mgr  ready        0.1.0    dimensions 1/2
security-ai  degraded     0.1.0    coverage 1/3 (1 in part), 108 rules (1 failed), 0 events lost
resource-ai  not running

security-ai: no BTF at /sys/kernel/btf/vmlinux
security-ai: configuration refused, the old one is in force: /etc/quantumos/security-ai.toml:3: unknown key
resource-ai: not running; start it with: systemctl start resource-ai
"
        );
    }

    #[test]
    fn what_a_service_says_cannot_reach_the_terminal() {
        let mut status_ = sample();
        status_.services[2].problems = vec!["\x1b]0;owned\x07".into()];
        status_.services[0].version = "1\x1b[31m".into();
        let text = status(&status_, Style::PLAIN);
        assert!(!text.contains('\x1b') && text.contains("\\x1b]0;owned\\x07"));
    }

    #[test]
    fn pressure_is_shown_when_there_is_some() {
        let mut resource = Resource {
            mode: "observe".into(),
            ..Resource::default()
        };
        assert_eq!(resource_summary(&resource), "mode observe");
        resource.pressure = vec![
            ("cpu.some".to_owned(), 12.34, 0.0, 0.0, 0.0, 1).into(),
            ("io.some".to_owned(), 0.0, 0.0, 0.0, 0.0, 1).into(),
        ];
        assert_eq!(
            resource_summary(&resource),
            "mode observe, pressure cpu 12.3% io 0.0%"
        );
    }
}

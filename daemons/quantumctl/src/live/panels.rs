//! The panels of the live view, each as lines of styled text for a given width.

use ratatui::{
    style::{Color, Modifier, Style},
    text::{Line, Span},
};

use super::{
    model::{ASKING, Model, RESOURCES},
    view::Look,
};
use crate::{
    resource::render::change,
    status::{
        model::ServiceStatus,
        render::{summary, troubles},
    },
    text::{
        escape::{escape, pad, shorten, width},
        time::clock,
    },
};

/// Eighths of a line, lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A line a daemon: what is wrong with it, or what it does.
pub fn services(model: &Model, look: &Look, columns: usize) -> Vec<Line<'static>> {
    let state_width = model.services.iter().map(|s| width(&escape(&s.state)));
    let state_width = state_width.max().unwrap_or(0).min(12);
    model
        .services
        .iter()
        .map(|service| {
            let style = look.severity(&service.state);
            let state = pad(&shorten(&escape(&service.state), 12), state_width);
            let lead = format!(" {}  ", pad(&service.name, 11));
            let version = format!("  {}  ", pad(&shorten(&escape(&service.version), 8), 5));
            let used = 1 + width(&lead) + width(&state) + width(&version);
            let detail = shorten(&about(service), columns.saturating_sub(used));
            Line::from(vec![
                Span::styled(if service.running { "●" } else { "○" }, style),
                Span::raw(lead),
                Span::styled(state, style),
                Span::styled(version, look.dim()),
                Span::raw(detail),
            ])
        })
        .collect()
}

/// What is worth saying of a daemon first.
fn about(service: &ServiceStatus) -> String {
    if service.state == ASKING {
        return String::new();
    }
    let prefix = format!("{}: ", service.name);
    match troubles(service).first() {
        Some(trouble) if service.state != "ready" || service.detail.is_none() => {
            trouble.strip_prefix(&prefix).unwrap_or(trouble).to_owned()
        }
        _ => summary(service),
    }
}

/// The title of the pressure panel, with the mode of resource-ai.
pub fn pressure_title(model: &Model) -> String {
    match model.resource() {
        Some(resource) => format!(" Pressure (mode {}) ", escape(&resource.mode)),
        None => " Pressure ".to_owned(),
    }
}

/// A line a resource: percent over ten seconds, and how it went.
pub fn pressure(model: &Model, look: &Look, columns: usize) -> Vec<Line<'static>> {
    let Some(resource) = model.resource() else {
        return vec![absent(model, "resource-ai", look)];
    };
    RESOURCES
        .iter()
        .map(|name| {
            let percent = resource.avg10(&format!("{name}.some"));
            let figure = percent.map_or("-".to_owned(), |percent| format!("{percent:.1}%"));
            let lead = format!(" {name:<7}{figure:>6} ");
            let room = columns.saturating_sub(width(&lead));
            let samples = model.pressure.get(name);
            let samples: Vec<f64> = samples.into_iter().flatten().copied().collect();
            Line::from(vec![
                Span::raw(lead),
                Span::styled(sparkline(&samples, room), load(percent, look)),
            ])
        })
        .collect()
}

/// Green, yellow or red, by how much is lost to waiting.
fn load(percent: Option<f64>, look: &Look) -> Style {
    match percent {
        Some(percent) if percent >= 40.0 => look.colour(Color::Red),
        Some(percent) if percent >= 10.0 => look.colour(Color::Yellow),
        _ => look.colour(Color::Green),
    }
}

/// The newest `columns` samples as bars, the newest at the right. The full height is the highest
/// of them, but at least 10 percent, so that noise stays low.
pub fn sparkline(samples: &[f64], columns: usize) -> String {
    let shown = samples.get(samples.len().saturating_sub(columns)..);
    let shown = shown.unwrap_or_default();
    let top = shown.iter().copied().fold(10.0, f64::max);
    let bars = shown.iter().map(|sample| {
        let share = (sample / top).clamp(0.0, 1.0);
        // From 0 to 7: a clamped share cannot leave the table.
        let step = (share * 7.0).round() as usize;
        BARS.get(step).copied().unwrap_or(' ')
    });
    let blanks = " ".repeat(columns.saturating_sub(shown.len()));
    blanks.chars().chain(bars).collect()
}

/// A line a decision.
pub fn decisions(model: &Model, look: &Look, columns: usize) -> Vec<Line<'static>> {
    let error = model.decisions_error.as_deref();
    if let Some(line) = instead(
        model,
        "resource-ai",
        model.decisions.is_empty(),
        error,
        look,
    ) {
        return vec![line];
    }
    model
        .decisions
        .iter()
        .map(|decision| {
            let time = format!(" {} ", clock(decision.time, &look.zone));
            let state = shorten(&escape(&decision.state), 8);
            let unit = escape(decision.unit.trim_end_matches(".service"));
            let rest = format!(" {unit} {}", change(decision));
            let room = columns.saturating_sub(width(&time) + width(&state));
            Line::from(vec![
                Span::styled(time, look.dim()),
                Span::styled(state, look.severity(&decision.state)),
                Span::raw(shorten(&rest, room)),
            ])
        })
        .collect()
}

/// A line a dimension.
pub fn dimensions(model: &Model, look: &Look, columns: usize) -> Vec<Line<'static>> {
    let Some(dimensions) = model.dimensions() else {
        return vec![absent(model, "steppps-mgr", look)];
    };
    dimensions
        .iter()
        .map(|dimension| {
            let health = if dimension.available {
                escape(&dimension.health)
            } else {
                "absent".to_owned()
            };
            let style = match health.as_str() {
                "absent" => look.dim(),
                _ => look.severity(&dimension.health),
            };
            let name = format!(" {} ", pad(&shorten(&escape(&dimension.name), 10), 10));
            let health = pad(&shorten(&health, 9), 9);
            let room = columns.saturating_sub(width(&name) + width(&health) + 1);
            let reason = shorten(&escape(&dimension.reason), room);
            Line::from(vec![
                Span::raw(name),
                Span::styled(health, style),
                Span::styled(format!(" {reason}"), look.dim()),
            ])
        })
        .collect()
}

/// A line an alert, newest first, from where the reader has scrolled to.
pub fn alerts(model: &Model, look: &Look, columns: usize) -> Vec<Line<'static>> {
    let error = model.alerts_error.as_deref();
    if let Some(line) = instead(model, "security-ai", model.alerts.is_empty(), error, look) {
        return vec![line];
    }
    model
        .alerts
        .iter()
        .skip(model.scroll)
        .map(|alert| {
            let time = format!(" {} ", clock(alert.time, &look.zone));
            let level = pad(&shorten(&escape(&alert.level), 8), 8);
            let mut title = format!(" {}", escape(&alert.title));
            if alert.count > 1 {
                title.push_str(&format!(" ×{}", alert.count));
            }
            let room = columns.saturating_sub(width(&time) + width(&level));
            let title = shorten(&title, room);
            let rest = format!("  {}", escape(alert.command()));
            let rest = shorten(&rest, room.saturating_sub(width(&title)));
            Line::from(vec![
                Span::styled(time, look.dim()),
                Span::styled(level, look.severity(&alert.level)),
                Span::styled(title, Style::new().add_modifier(Modifier::BOLD)),
                Span::raw(rest),
            ])
        })
        .collect()
}

/// What stands in a list that is empty or can't be had.
fn instead(
    model: &Model,
    service: &str,
    empty: bool,
    error: Option<&str>,
    look: &Look,
) -> Option<Line<'static>> {
    let running = model.absence(service).is_none();
    match (error, empty) {
        (_, true) if !running => Some(absent(model, service, look)),
        (Some(error), _) if running => Some(Line::styled(
            format!(" {}", escape(error)),
            look.severity("warning"),
        )),
        (_, true) => Some(Line::styled(" none", look.dim())),
        _ => None,
    }
}

/// Why there is nothing to show of a daemon.
fn absent(model: &Model, service: &str, look: &Look) -> Line<'static> {
    let absence = model.absence(service);
    let text = absence.unwrap_or_else(|| format!("{service} has not told"));
    Line::styled(format!(" {text}"), look.dim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_follow_the_samples() {
        for (samples, columns, bars) in [
            (&[][..], 4, "    "),
            (&[0.0, 10.0], 4, "  ▁█"),
            (&[1.0, 2.0, 3.0], 2, "▂▃"),
            (&[50.0, 100.0], 2, "▅█"),
            (&[f64::NAN, -5.0, 5.0], 3, "▁▁▅"),
            (&[1.0], 0, ""),
        ] {
            assert_eq!(sparkline(samples, columns), bars, "{samples:?}");
        }
    }
}

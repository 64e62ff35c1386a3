//! Colour, only where it says something: good, bad, worth a look, and secondary text.
//! Off for anything but a terminal, and with NO_COLOR set or TERM=dumb.

use std::io::IsTerminal;

/// Whether and how to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// False: every function returns its argument unchanged.
    pub colour: bool,
}

impl Style {
    /// No colour at all.
    pub const PLAIN: Self = Self { colour: false };

    /// Colour when standard output is a terminal that wants it.
    pub fn of_stdout() -> Self {
        Self::of(std::io::stdout().is_terminal())
    }

    /// Colour when standard error is a terminal that wants it.
    pub fn of_stderr() -> Self {
        Self::of(std::io::stderr().is_terminal())
    }

    fn of(terminal: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            colour: terminal && !set("NO_COLOR") && !dumb,
        }
    }

    /// Good: running, verified, applied.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Bad: not running, failed, critical.
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// Worth a look: degraded, medium.
    pub fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Secondary.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// A Sigma level, or a service's state, by how bad it is.
    pub fn severity(self, word: &str, text: &str) -> String {
        match severity(word) {
            Severity::Bad => self.bad(text),
            Severity::Warn => self.warn(text),
            Severity::Good => self.good(text),
            Severity::Neutral => text.to_owned(),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// How bad a word of the contract is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Good,
    /// Neither.
    Neutral,
    /// Worth a look.
    Warn,
    /// Needs somebody.
    Bad,
}

/// How bad a state, fate, level or health word is; words not known are neutral.
pub fn severity(word: &str) -> Severity {
    match word {
        "ready" | "active" | "attached" | "loaded" | "good" | "ok" | "applied" | "tpm" => {
            Severity::Good
        }
        "degraded" | "attention" | "medium" | "warning" | "software" | "expired" | "fallback"
        | "partial" => Severity::Warn,
        "not running" | "unreachable" | "unavailable" | "failed" | "high" | "critical"
        | "revoked" | "bad" | "error" | "starting failed" => Severity::Bad,
        _ => Severity::Neutral,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_plain() {
        assert_eq!(Style::PLAIN.bad("x"), "x");
        let colour = Style { colour: true };
        assert_eq!(colour.bad("x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(colour.good(""), "");
        assert_eq!(
            colour.severity("critical", "critical"),
            colour.bad("critical")
        );
        assert_eq!(colour.severity("anything", "anything"), "anything");
    }
}

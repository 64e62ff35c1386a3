//! How a dimension is, and the rule that said so.
//!
//! A check gives a [`Health`] and the reason in words; a dimension's health is the worst of
//! its checks, and its reason lists every check that is not ok.

/// How a dimension is, from best to worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Every check passed.
    Ok,
    /// Nothing could be checked.
    #[default]
    Unknown,
    /// A threshold is passed that an administrator should know of.
    Attention,
    /// A threshold is passed behind which the host does not work properly.
    Critical,
}

impl Health {
    /// The word for it on the bus: `ok`, `unknown`, `attention` or `critical`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Attention => "attention",
            Self::Critical => "critical",
        }
    }
}

/// The checks of one dimension.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    worst: Option<Health>,
    reasons: Vec<String>,
}

impl Checks {
    /// Notes that something was checked and is well.
    pub fn ok(&mut self) {
        self.note(Health::Ok, None);
    }

    /// Notes a check's outcome; the reason is kept unless the outcome is ok.
    pub fn note(&mut self, health: Health, reason: Option<String>) {
        self.worst = Some(self.worst.map_or(health, |worst| worst.max(health)));
        if health != Health::Ok {
            self.reasons.extend(reason);
        }
    }

    /// Checks that `value` stays below two thresholds.
    pub fn below(&mut self, what: &str, value: f64, attention: f64, critical: f64) {
        let (health, limit) = if value >= critical {
            (Health::Critical, critical)
        } else if value >= attention {
            (Health::Attention, attention)
        } else {
            return self.ok();
        };
        self.note(
            health,
            Some(format!("{what} is {value:.1}, at or over {limit}")),
        );
    }

    /// Checks that `value` stays above two thresholds.
    pub fn above(&mut self, what: &str, value: f64, attention: f64, critical: f64) {
        let (health, limit) = if value <= critical {
            (Health::Critical, critical)
        } else if value <= attention {
            (Health::Attention, attention)
        } else {
            return self.ok();
        };
        self.note(
            health,
            Some(format!("{what} is {value:.1}, at or under {limit}")),
        );
    }

    /// The worst outcome (unknown if nothing was checked) and the reasons, joined.
    #[must_use]
    pub fn verdict(self) -> (Health, String) {
        (
            self.worst.unwrap_or_default(),
            crate::text::clip_to(&self.reasons.join("; "), 512),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_wins_and_says_why() {
        let mut checks = Checks::default();
        assert_eq!(checks.clone().verdict(), (Health::Unknown, String::new()));
        checks.ok();
        assert_eq!(checks.clone().verdict(), (Health::Ok, String::new()));
        checks.below("cpu", 40.0, 40.0, 80.0);
        assert_eq!(checks.clone().verdict().0, Health::Attention);
        checks.above("memory available %", 3.0, 10.0, 5.0);
        let (health, reason) = checks.verdict();
        assert_eq!(health, Health::Critical);
        assert_eq!(
            reason,
            "cpu is 40.0, at or over 40; memory available % is 3.0, at or under 5"
        );
    }
}

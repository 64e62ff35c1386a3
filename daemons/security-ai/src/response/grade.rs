//! The grades of a response, mildest first, and which polkit action each asks for.

use serde::{Deserialize, Serialize};

/// polkit action of the grades that hold until they are undone, and of undoing them.
pub const CONTAIN: &str = "org.quantumos.security.contain";
/// polkit action of refusing executions, and of allowing them again.
pub const DENY: &str = "org.quantumos.security.deny";
/// polkit action of ending processes.
pub const KILL: &str = "org.quantumos.security.kill";

/// How hard a response is. The order is that of severity, which limits on automatic responses compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Write down that somebody looks at it.
    Observe,
    /// Tell: signal and journal, at the priority of a warning.
    Notify,
    /// Give the unit little processor time and the last place at the disks.
    Throttle,
    /// Let it run no further.
    Freeze,
    /// Take the unit's network away.
    Isolate,
    /// Refuse to execute the file, or anything in the unit.
    Deny,
    /// End it.
    Kill,
}

impl Grade {
    /// All, mildest first.
    pub const ALL: [Self; 7] = [
        Self::Observe,
        Self::Notify,
        Self::Throttle,
        Self::Freeze,
        Self::Isolate,
        Self::Deny,
        Self::Kill,
    ];

    /// The word on the bus and in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Notify => "notify",
            Self::Throttle => "throttle",
            Self::Freeze => "freeze",
            Self::Isolate => "isolate",
            Self::Deny => "deny",
            Self::Kill => "kill",
        }
    }

    /// The grade of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grade| grade.name() == name)
    }

    /// Whether it changes anything that can be changed back.
    #[must_use]
    pub fn is_undoable(self) -> bool {
        matches!(
            self,
            Self::Throttle | Self::Freeze | Self::Isolate | Self::Deny
        )
    }

    /// Whether anything is done to the target at all.
    #[must_use]
    pub fn acts(self) -> bool {
        self > Self::Notify
    }

    /// The polkit action that asking for it needs, and undoing it.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Kill => KILL,
            Self::Deny => DENY,
            Self::Observe | Self::Notify | Self::Throttle | Self::Freeze | Self::Isolate => CONTAIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_the_order_is_that_of_severity() {
        for grade in Grade::ALL {
            assert_eq!(Grade::from_name(grade.name()), Some(grade));
            assert_eq!(
                serde_json::to_value(grade).unwrap(),
                serde_json::json!(grade.name())
            );
        }
        assert!(Grade::ALL.is_sorted());
        assert_eq!(Grade::from_name("Kill"), None);
        assert!(!Grade::Kill.is_undoable() && Grade::Deny.is_undoable());
        assert!(!Grade::Notify.acts() && Grade::Throttle.acts());
    }
}

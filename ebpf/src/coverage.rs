//! Which class of event is seen through which hook, and why not through a better one.

use std::fmt;

use crate::action::Action;
use crate::event::Class;

/// How well a class is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// A hook is attached that sees all of the class. A security hook was seen to fire; a tracepoint needs no trial.
    Active,
    /// A hook is attached that sees all of the class, but that it fires could not be tried.
    Attached,
    /// A hook is attached that does not see all of the class; the reason names what is missing.
    Partial,
    /// Not asked for.
    Off,
    /// No hook could be attached.
    Unavailable,
}

impl State {
    /// The name used on the bus.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Attached => "attached",
            Self::Partial => "partial",
            Self::Off => "off",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether events of the class are delivered at all.
    #[must_use]
    pub const fn delivers(self) -> bool {
        matches!(self, Self::Active | Self::Attached | Self::Partial)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The coverage of one class, or of one action of a class that has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Which class.
    pub class: Class,
    /// Which action; none where the class is one thing.
    pub action: Option<Action>,
    /// The hook in use, `tp_btf/sched_process_exec` say; empty without one.
    pub hook: String,
    /// How well.
    pub state: State,
    /// What this hook misses, and why better hooks are not used. Empty when there is nothing to say.
    pub reason: String,
}

impl Coverage {
    /// What is covered, as shown on the bus: `exec`, or `file.unlink` for an action.
    #[must_use]
    pub fn name(&self) -> String {
        match self.action {
            Some(action) => format!("{}.{action}", self.class),
            None => self.class.name().to_owned(),
        }
    }
}

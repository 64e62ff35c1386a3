//! What a dimension says after one look at its sources.

use crate::{
    Health, State,
    health::Checks,
    text::{self, ParseError},
};

/// One of the seven dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Hardware and resources.
    Space,
    /// Pressure, clock, boot chain and timers.
    Time,
    /// What happened, correlated into incidents.
    Event,
    /// Learned habits of the host.
    Psychology,
    /// Displays, sessions, idle and power.
    Pixel,
    /// What can be asked for: the vocabulary of bus calls.
    Prompt,
    /// What runs by itself: jobs, transient units and timers.
    Script,
}

impl Dimension {
    /// All seven, in the order of their initials.
    pub const ALL: [Self; 7] = [
        Self::Space,
        Self::Time,
        Self::Event,
        Self::Psychology,
        Self::Pixel,
        Self::Prompt,
        Self::Script,
    ];

    /// The name, as in the object's path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::Time => "time",
            Self::Event => "event",
            Self::Psychology => "psychology",
            Self::Pixel => "pixel",
            Self::Prompt => "prompt",
            Self::Script => "script",
        }
    }

    /// The gauges of the dimension, with how far each must move before that is a change.
    #[must_use]
    pub fn deadbands(self) -> &'static [(&'static str, crate::Deadband)] {
        match self {
            Self::Space => crate::space::DEADBANDS,
            Self::Time => crate::time::DEADBANDS,
            Self::Psychology => crate::psychology::DEADBANDS,
            Self::Pixel => crate::pixel::DEADBANDS,
            Self::Event => crate::event::DEADBANDS,
            Self::Prompt | Self::Script => &[],
        }
    }
}

/// What a dimension says after one look at its sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Whether any source is there.
    pub available: bool,
    /// The worst of the dimension's checks.
    pub health: Health,
    /// Where the state was read from, such as `/proc/meminfo` or a bus name.
    pub sources: Vec<String>,
    /// Why the dimension is unavailable or not ok; empty when all is well.
    pub reason: String,
    /// The state; empty when unavailable.
    pub state: State,
}

impl Report {
    /// A dimension without a source on this host.
    #[must_use]
    pub fn unavailable(reason: &str) -> Self {
        Self {
            reason: text::clip_to(reason, 512),
            ..Self::default()
        }
    }

    /// A dimension with sources, as its checks found it. What could not be parsed joins the
    /// reason, since a state with a hole should say so.
    #[must_use]
    pub fn found(
        sources: Vec<String>,
        state: State,
        checks: Checks,
        errors: &[ParseError],
    ) -> Self {
        let (health, mut reason) = checks.verdict();
        for error in errors.iter().take(4) {
            if !reason.is_empty() {
                reason.push_str("; ");
            }
            reason.push_str(&error.to_string());
        }
        Self {
            available: true,
            health,
            sources,
            reason: text::clip_to(&reason, 512),
            state,
        }
    }
}

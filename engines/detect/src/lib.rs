//! Sigma rules compiled into one matcher over typed events.
//!
//! Text in, verdicts out: this crate reads no file, no clock and no environment. [`RuleSet::compile`] takes rule
//! files as text and says for each rule whether it is loaded, does not apply here (and why) or fails (line and
//! reason); [`Matcher::evaluate`] then takes one [`Event`] and names the rules that match it, without allocating.
//!
//! ```
//! use quantumos_detect::{Class, Field, Record, RuleSet, Source};
//!
//! let rule = "title: Netcat\nlogsource: {product: linux, category: process_creation}\n\
//!             detection:\n  a: {Image|endswith: /nc}\n  condition: a\nlevel: high\n";
//! let rules = RuleSet::compile([Source { name: "nc.yml", text: rule }]);
//! let mut scratch = rules.matcher.scratch();
//! let event = Record::new(Class::ProcessCreation).with(Field::Image, "/usr/bin/nc");
//! assert_eq!(rules.matcher.matches(&event, &mut scratch), [0]);
//! ```

mod atom;
mod audit;
mod audited;
pub mod capture;
mod class;
mod compile;
mod condition;
mod correlation;
mod correlator;
mod encoding;
mod error;
mod evaluator;
mod event;
mod expand;
mod expression;
mod field;
mod grams;
mod index;
mod logsource;
mod matcher;
mod modifier;
mod needs;
mod options;
mod pattern;
mod pending;
mod replay;
mod rule;
mod ruleset;
mod shape;
mod yaml;

#[cfg(test)]
mod reference;

pub use audited::Audited;
pub use class::Class;
pub use condition::{Condition, Quantity};
pub use correlator::{Correlations, Correlator, Fired};
pub use error::RuleError;
pub use evaluator::Scratch;
pub use event::{Event, Record, Value};
pub use expression::Evidence;
pub use field::Field;
pub use logsource::{Applies, LogSource};
pub use matcher::Matcher;
pub use needs::{Literal, Needs};
pub use options::Options;
pub use pattern::{Anchor, Wildcard};
pub use replay::{Firing, Replay};
pub use rule::{Level, Rule};
pub use ruleset::{Fate, Listed, RuleSet, Source};
pub use shape::Shape;

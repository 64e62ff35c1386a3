//! Detection over eBPF events with Sigma rules, as alerts on D-Bus, in the journal and in a file.
//!
//! Events are taken by one thread ([`watcher`]), which keeps the processes ([`process`]) and asks the rules
//! ([`detector`]). Alerts go to one task ([`keeper`]), which folds, stores, shows and signals them; another one
//! ([`response`]) does something about them;
//! windows of what units do ([`windows`]) wait for who learns from them ([`spool`]). The daemon
//! ([`SecurityAi`]) runs on any connection and any [`source::EventSource`].

pub mod accounts;
pub mod alert;
mod announce;
pub mod answer;
pub mod answers;
pub mod book;
pub mod budget;
pub mod care;
pub mod clock;
pub mod control;
mod daemon;
pub mod detector;
pub mod done;
pub mod follower;
pub mod journal;
mod judge;
pub mod keeper;
mod looks;
pub mod mark;
pub mod mask;
pub mod message;
pub mod meter;
pub mod model;
pub mod names;
pub mod objects;
pub mod observed;
pub mod outputs;
pub mod own;
pub mod proc;
pub mod process;
pub mod recorder;
pub mod response;
pub mod rules;
pub mod scorer;
mod settings;
pub mod source;
pub mod spool;
pub mod store;
pub mod unit;
pub mod units;
pub mod watcher;
pub mod watchlist;
pub mod windows;

pub use daemon::{SecurityAi, Surroundings};
pub use settings::{Alerts, Events, Rules, Settings};

//! security-ai.
pub mod accounts;
pub mod alert;
pub mod book;
pub mod journal;
pub mod mask;
pub mod observed;
pub mod proc;
pub mod process;
pub mod rules;
pub mod settings;
pub mod store;
pub mod unit;
pub mod units;
pub mod watchlist;

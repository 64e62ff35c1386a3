//! What is done about an alert, or at an administrator's word: in grades, explained, and undone again.
//!
//! Deciding is pure: [`plan`] takes a request and what is known of its target and gives an act or a refusal,
//! [`automatic`] says which grade an alert calls for, [`protect`] what is never acted on. [`record`] and
//! [`history`] say what was done and what holds; [`store`] keeps that over a restart.
//! Acting is thin: [`facts`] and [`device`] look, [`hands`] act, [`responder`] does both for each order, side by side but
//! for one subject in order ([`lanes`], [`slots`]), and [`bus`] has its objects. What is done is on record in quantumd's
//! ledger: [`due`] waits for it, [`clerk`] tells it.

pub mod automatic;
pub mod bus;
pub mod clerk;
pub mod device;
pub mod due;
pub mod facts;
pub mod grade;
pub mod hands;
pub mod history;
pub mod lanes;
pub mod plan;
pub mod protect;
pub mod record;
pub mod responder;
pub mod settings;
pub mod slots;
mod still;
pub mod store;

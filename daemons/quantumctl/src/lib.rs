//! The command line of QuantumOS. Each group of commands is a module: `mod.rs` has its
//! arguments and asks the bus, `model` has its values (whose serialised form is `--json`), and
//! `render` makes text of them as a pure function.

mod bus;
mod circuit;
mod cli;
mod container;
mod credential;
mod crypto;
mod entropy;
mod error;
mod generate;
mod job;
mod keys;
mod learn;
mod ledger;
mod live;
mod output;
mod resource;
mod run;
mod security;
mod status;
mod steppps;
mod text;
mod wave;

pub use run::main;

//! The command tree: what `quantumctl --help`, the completions and the man pages are made from.
//! Each group's own arguments are declared beside the group.

use clap::{Args, Parser, Subcommand, ValueHint};
use std::path::PathBuf;

use crate::{
    circuit, container, credential, crypto, entropy, job, keys, learn, ledger, resource, security,
    status, steppps, wave,
};

/// Text after the help of the command itself.
const AFTER: &str = "\
Exit status:
  0  done
  1  the operation failed, or what was compared differs
  2  wrong usage, or an argument that the service refused
  3  the bus or a service that is needed is not running
  4  not authorised
  5  no such key, container, job, alert, response, decision, process, unit or dimension
  6  not supported or not available on this host
  7  the signature, ledger, seal or proof does not verify, or what was sealed does not open

Environment:
  DBUS_SYSTEM_BUS_ADDRESS  the bus to use, unless --bus is given
  NO_COLOR                 no colour, whatever its value

Text for people fits the terminal that it is written to; where it goes elsewhere, nothing is cut.";

/// Look at and steer the QuantumOS daemons.
#[derive(Debug, Parser)]
#[command(
    name = "quantumctl",
    version,
    about = "Look at and steer the QuantumOS daemons",
    after_help = AFTER,
    disable_help_subcommand = true,
    propagate_version = true
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Print JSON: one document, or one object a line for commands that go on
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Address of the bus to use instead of the system bus
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        help_heading = "Global options"
    )]
    pub bus: Option<String>,
    /// Do not let polkit ask for a password
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_ask_password: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the state of the daemons
    Status(status::StatusArgs),
    /// Create, use, grant and revoke keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Verify, read and prove the ledger of what happened to keys; works on files alone
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Set, grant and rotate credentials of systemd units
    #[command(subcommand)]
    Credential(credential::CredentialCommand),
    /// Show where randomness comes from, or print some
    Entropy(entropy::EntropyArgs),
    /// Seal and open files and pipes, hash and authenticate; needs no service but for algorithms
    #[command(subcommand)]
    Crypto(crypto::CryptoCommand),
    /// Transform waveforms, carry messages as light; needs no service but for signing
    #[command(subcommand)]
    Wave(wave::WaveCommand),
    /// Seal data in containers with a history, open, verify and register them; opening needs no service
    #[command(subcommand)]
    Container(container::ContainerCommand),
    /// Watch and handle alerts, look at rules and coverage
    #[command(subcommand)]
    Security(security::SecurityCommand),
    /// Look at pressure, forecasts and decisions; change the mode
    #[command(subcommand)]
    Resource(resource::ResourceCommand),
    /// Look at the models that are learned on this host; train, roll back
    #[command(subcommand)]
    Learn(learn::LearnCommand),
    /// Show the seven dimensions of the host
    Steppps(steppps::StepppsArgs),
    /// Run, explain, draw and time quantum circuits
    #[command(subcommand)]
    Circuit(circuit::CircuitCommand),
    /// Look at, wait for and end what quantumd works on; fetch what came of it
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages to a directory
    #[command(hide = true)]
    Man {
        /// Directory to write to; made if it is not there
        #[arg(value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn walk(command: &clap::Command, path: &str) {
            let here = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{here} has no description");
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{here}: {} has no description",
                    argument.get_id()
                );
            }
            for child in command.get_subcommands() {
                walk(child, &here);
            }
        }
        walk(&Cli::command(), "");
    }

    #[test]
    fn global_options_go_anywhere() {
        for line in [
            vec!["quantumctl", "--json", "keys", "list"],
            vec!["quantumctl", "keys", "--json", "list"],
            vec!["quantumctl", "keys", "list", "--json"],
        ] {
            assert!(Cli::try_parse_from(line).is_ok_and(|cli| cli.global.json));
        }
    }
}

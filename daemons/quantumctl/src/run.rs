//! From the command line to an exit code.

use std::process::ExitCode;

use clap::Parser;

use crate::{
    bus::Bus,
    circuit,
    cli::{Cli, Command},
    container, credential, crypto, entropy,
    error::Error,
    generate, job, keys, learn, ledger,
    output::{self, Output},
    resource, security, status, steppps,
    text::style::Style,
    wave,
};

/// Runs quantumctl with the arguments of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Terminal)
        .and_then(|runtime| runtime.block_on(run(cli)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if json {
                eprintln!("{}", error.json());
            } else {
                let style = Style::of_stderr();
                eprintln!("{} {error}", style.bad("quantumctl:"));
            }
            ExitCode::from(error.code())
        }
    }
}

async fn run(cli: Cli) -> Result<(), Error> {
    let output = Output::new(cli.global.json);
    match &cli.command {
        Command::Completions { shell } => return output::write(&generate::completions(*shell)),
        Command::Man { directory } => return generate::man(directory).map(drop),
        Command::Circuit(command) => {
            if let Some(result) = circuit::run_alone(&output, command) {
                return result;
            }
        }
        // Where the private key is, there need be no bus.
        Command::Keys(keys::KeysCommand::Approve(args)) => return keys::approve(&output, args),
        Command::Keys(keys::KeysCommand::Inspect(args)) => return keys::inspect(&output, args),
        Command::Ledger(command) => {
            if let Some(result) = ledger::run_alone(&output, command) {
                return result;
            }
        }
        Command::Crypto(command) => {
            if let Some(result) = crypto::run_alone(&output, command) {
                return result;
            }
        }
        Command::Container(command) => {
            if let Some(result) = container::run_alone(&output, command) {
                return result;
            }
        }
        Command::Wave(command) => {
            if let Some(result) = wave::run_alone(&output, command) {
                return result;
            }
        }
        Command::Security(command) => {
            if let Some(result) = security::run_alone(&output, command) {
                return result;
            }
        }
        _ => {}
    }
    let bus = Bus::connect(cli.global.bus.as_deref(), !cli.global.no_ask_password).await?;
    match &cli.command {
        Command::Status(args) => status::run(&bus, &output, args).await,
        Command::Keys(command) => keys::run(&bus, &output, command).await,
        Command::Credential(command) => credential::run(&bus, &output, command).await,
        Command::Entropy(args) => entropy::run(&bus, &output, args).await,
        Command::Crypto(command) => crypto::run(&bus, &output, command).await,
        Command::Security(command) => security::run(&bus, &output, command).await,
        Command::Resource(command) => resource::run(&bus, &output, command).await,
        Command::Learn(command) => learn::run(&bus, &output, command).await,
        Command::Steppps(args) => steppps::run(&bus, &output, args).await,
        Command::Ledger(command) => ledger::online::run(&bus, &output, command).await,
        Command::Container(command) => container::run(&bus, &output, command).await,
        Command::Wave(command) => wave::run(&bus, &output, command).await,
        Command::Circuit(command) => circuit::run(&bus, &output, command).await,
        Command::Job(command) => job::run(&bus, &output, command).await,
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}

//! `container open`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, ValueHint};
use quantumos_resonance::container::Unlocked;

use super::{
    file::{Container, MlDsa87},
    show,
};
use crate::{
    crypto::{files::Draft, numbers, read_file},
    error::Error,
    output::Output,
};

/// What to open.
#[derive(Args, Debug)]
pub struct OpenArgs {
    /// Container file
    #[arg(value_hint = ValueHint::FilePath)]
    container: PathBuf,
    /// File with the waveform; standard input with -
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    waveform: PathBuf,
    /// File to write the data to instead of standard output; it appears only when it is whole
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Replace the output file if it is there
    #[arg(long, requires = "output")]
    force: bool,
}

pub fn open(output: &Output, args: &OpenArgs) -> Result<(), Error> {
    let container = Container::read(&args.container)?;
    container.front.verify(&MlDsa87)?;
    let (text, name) = read_file(Some(&args.waveform), numbers::TEXT_MAX)?;
    let waveform = numbers::parse(&name, &text)?;
    let unlocked = container.front.unlock(&waveform)?;
    match &args.output {
        Some(path) => {
            let draft = Draft::new(path, args.force)?;
            let write = |data: &[u8]| (&draft.file).write_all(data).map_err(|e| draft.failed(e));
            run(&container, unlocked, write)?;
            draft.keep()?;
            if output.json {
                return show::made(output, &container);
            }
            Ok(())
        }
        None => {
            // Nothing is shown before all of it is known to be what was signed.
            run(&container, unlocked.again(), |_| Ok(()))?;
            let mut out = io::stdout().lock();
            run(&container, unlocked, |data| {
                out.write_all(data).map_err(Error::Output)
            })?;
            out.flush().map_err(Error::Output)
        }
    }
}

fn run(
    container: &Container,
    mut unlocked: Unlocked,
    mut write: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut data = Vec::new();
    container.body(|piece| {
        data.clear();
        unlocked.push(piece, &mut data)?;
        write(&data)
    })?;
    data.clear();
    unlocked.finish(&mut data)?;
    write(&data)
}

//! `wave transform` and `wave inverse`.

use std::{fmt::Write as _, path::PathBuf};

use clap::{Args, ValueHint};
use quantumos_resonance::rft::Document;
use serde::Serialize;

use crate::{
    crypto::{numbers, read_file, secret},
    error::Error,
    output::Output,
};

/// How to transform.
#[derive(Args, Debug)]
struct How {
    /// Length of the blocks; without it up to 1024 values at once, more in Fibonacci lengths
    #[arg(long, value_name = "LENGTH")]
    block: Option<usize>,
    /// File with a key that permutes and turns the coefficients (this hides little, it is no encryption)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
}

/// What to transform.
#[derive(Args, Debug)]
pub struct TransformArgs {
    /// File with the waveform: a JSON array, or numbers apart; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

/// What to transform back.
#[derive(Args, Debug)]
pub struct InverseArgs {
    /// File with the spectrum as JSON, as transform prints it; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Serialize)]
struct Wave {
    waveform: Vec<f64>,
}

impl How {
    fn key(&self) -> Result<Option<Vec<u8>>, Error> {
        self.key_file.as_deref().map(secret::key).transpose()
    }
}

pub fn transform(output: &Output, args: &TransformArgs) -> Result<(), Error> {
    let (text, name) = read_file(args.file.as_deref(), numbers::TEXT_MAX)?;
    let waveform = numbers::parse(&name, &text)?;
    let key = args.how.key()?;
    let shown = Document::of(&waveform, args.how.block, key.as_deref())?;
    output.document(&shown, |shown| {
        let mut text = "frequency          amplitude          phase\n".to_owned();
        for ((f, a), p) in shown
            .frequencies
            .iter()
            .zip(&shown.amplitudes)
            .zip(&shown.phases)
        {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{f:<18.15} {a:<18.10e} {p:+.15}");
        }
        text
    })
}

pub fn inverse(output: &Output, args: &InverseArgs) -> Result<(), Error> {
    let (text, name) = read_file(args.file.as_deref(), numbers::TEXT_MAX)?;
    let bad = |error: &dyn std::fmt::Display| Error::Usage(format!("{name}: {error}"));
    let given: Document = serde_json::from_slice(&text).map_err(|error| bad(&error))?;
    let key = args.how.key()?;
    let waveform = given.waveform(args.how.block, key.as_deref());
    let waveform = waveform.map_err(|error| match error {
        quantumos_resonance::Error::Malformed { .. } => bad(&error),
        other => other.into(),
    })?;
    output.document(&Wave { waveform }, |wave| {
        let lines = wave.waveform.iter().map(|x| format!("{x:?}\n"));
        lines.collect()
    })
}

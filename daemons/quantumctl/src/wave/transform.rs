//! `wave transform` and `wave inverse`.

use std::{fmt::Write as _, path::PathBuf};

use clap::{Args, ValueHint};
use quantumos_resonance::rft::{Blocks, Complex64, Scramble};
use serde::{Deserialize, Serialize};

use crate::{
    crypto::{numbers, read_file, secret},
    error::Error,
    output::Output,
};

/// Up to here a waveform is transformed at once, unless told otherwise.
const AT_ONCE: usize = 1024;

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

/// A spectrum as JSON has it.
#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    frequencies: Vec<f64>,
    amplitudes: Vec<f64>,
    phases: Vec<f64>,
    /// The lengths of the blocks, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct Wave {
    waveform: Vec<f64>,
}

impl How {
    fn blocks(&self, len: usize) -> Result<Blocks, Error> {
        Ok(match self.block {
            Some(block) => Blocks::of(len, block)?,
            None if len <= AT_ONCE => Blocks::of(len, len)?,
            None => Blocks::fibonacci(len)?,
        })
    }

    fn scramble(&self, len: usize) -> Result<Option<Scramble>, Error> {
        let Some(path) = &self.key_file else {
            return Ok(None);
        };
        Ok(Some(Scramble::new(&secret::key(path)?, len)?))
    }
}

pub fn transform(output: &Output, args: &TransformArgs) -> Result<(), Error> {
    let (text, name) = read_file(args.file.as_deref(), numbers::TEXT_MAX)?;
    let waveform = numbers::parse(&name, &text)?;
    let blocks = args.how.blocks(waveform.len())?;
    let signal: Vec<Complex64> = waveform.iter().map(|x| Complex64::from(*x)).collect();
    let mut coefficients = blocks.forward(&signal)?;
    if let Some(scramble) = args.how.scramble(signal.len())? {
        coefficients = scramble.apply(&coefficients)?;
    }
    let shown = Shown {
        frequencies: blocks.frequencies(),
        amplitudes: coefficients.iter().map(|c| c.norm()).collect(),
        phases: coefficients.iter().map(|c| c.arg()).collect(),
        blocks: Some(blocks.lens())
            .filter(|lens| lens.len() > 1)
            .map_or_else(Vec::new, <[usize]>::to_vec),
    };
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
    let given: Shown =
        serde_json::from_slice(&text).map_err(|error| Error::Usage(format!("{name}: {error}")))?;
    let len = given.frequencies.len();
    if [given.amplitudes.len(), given.phases.len()] != [len, len] {
        return Err(Error::Usage(format!(
            "{name}: frequencies, amplitudes and phases are not equally many"
        )));
    }
    let blocks = args.how.blocks(len)?;
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
    if !given
        .frequencies
        .iter()
        .zip(&blocks.frequencies())
        .all(near)
    {
        return Err(Error::Usage(format!(
            "{name}: the frequencies are not those of {len} values in these blocks"
        )));
    }
    let polar = given.amplitudes.iter().zip(&given.phases);
    let mut coefficients: Vec<_> = polar.map(|(a, p)| Complex64::from_polar(*a, *p)).collect();
    if let Some(scramble) = args.how.scramble(len)? {
        coefficients = scramble.undo(&coefficients)?;
    }
    let signal = blocks.inverse(&coefficients)?;
    let size = signal.iter().map(Complex64::norm_sqr).sum::<f64>().sqrt();
    if signal.iter().any(|x| x.im.abs() > 1e-8 * size) {
        return Err(Error::Usage(format!(
            "{name}: this spectrum belongs to no real waveform (is the key another one?)"
        )));
    }
    let wave = Wave {
        waveform: signal.iter().map(|x| x.re).collect(),
    };
    output.document(&wave, |wave| {
        let lines = wave.waveform.iter().map(|x| format!("{x:?}\n"));
        lines.collect()
    })
}

#[cfg(test)]
mod tests {
    use quantumos_resonance::rft::Rft;

    use super::*;

    #[test]
    fn lengths_decide_on_blocks() {
        let how = |block| How {
            block,
            key_file: None,
        };
        assert_eq!(how(None).blocks(1000).unwrap().lens(), [1000]);
        assert_eq!(how(None).blocks(1025).unwrap().lens(), [987, 34, 3, 1]);
        assert_eq!(how(Some(600)).blocks(1025).unwrap().lens(), [600, 425]);
        let rft = Rft::new(5).unwrap();
        assert_eq!(
            how(None).blocks(5).unwrap().frequencies(),
            rft.frequencies()
        );
    }
}

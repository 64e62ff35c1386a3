//! `crypto hash` and `crypto hmac`.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, ValueHint};
use quantumos_resonance::{
    hmac::WaveHmac,
    rft::Rft,
    wave::{self, Summary},
};
use serde_json::json;

use super::{files::Input, numbers, read_file, secret};
use crate::{error::Error, output::Output};

/// The most bytes of a message whose length isn't known before it is read.
const PIPED_MAX: u64 = 64 << 20;

/// What to hash.
#[derive(Args, Debug)]
pub struct HashArgs {
    /// File with the waveform: a JSON array, or numbers apart; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// File with phases to hash along
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    phases: Option<PathBuf>,
    /// File with a key, which makes it a keyed hash
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
}

/// What to authenticate.
#[derive(Args, Debug)]
pub struct HmacArgs {
    /// File to read; standard input (at most 64 MiB) without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// File with the key, taken as it is
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: PathBuf,
    /// File with phases to authenticate along
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    phases: Option<PathBuf>,
    /// Compare with this value (base64) instead of printing one
    #[arg(long, value_name = "VALUE")]
    verify: Option<String>,
}

fn list(path: Option<&Path>) -> Result<Vec<f64>, Error> {
    let (text, name) = read_file(path, numbers::TEXT_MAX)?;
    numbers::parse(&name, &text)
}

pub fn hash(output: &Output, args: &HashArgs) -> Result<(), Error> {
    let waveform = list(args.file.as_deref())?;
    let phases = args.phases.as_deref().map(|p| list(Some(p))).transpose()?;
    let key = args.key_file.as_deref().map(secret::key).transpose()?;
    let hash = STANDARD.encode(wave::hash(&waveform, phases.as_deref(), key.as_deref())?);
    // The summary is one transform; a waveform that is too long for one has none.
    let summary = match Rft::new(waveform.len().min(1024)) {
        Ok(rft) if rft.len() == waveform.len() => {
            Some(Summary::of(&rft.spectrum(&waveform)?).to_string())
        }
        _ => None,
    };
    let algorithm = if key.is_some() { "KMAC256" } else { "SHA3-256" };
    let shown =
        json!({"hash": hash, "algorithm": algorithm, "values": waveform.len(), "summary": summary});
    output.document(&shown, |_| match &summary {
        Some(summary) => format!("{hash}  {summary}\n"),
        None => format!("{hash}\n"),
    })
}

pub fn hmac(output: &Output, args: &HmacArgs) -> Result<(), Error> {
    let key = secret::key(&args.key_file)?;
    let phases = args.phases.as_deref().map(|p| list(Some(p))).transpose()?;
    let mut input = Input::open(args.file.as_deref())?;
    let mac = match input.len {
        Some(len) => {
            let mut mac = WaveHmac::new(&key, phases.as_deref(), len)?;
            let mut buffer = vec![0; 1 << 20];
            loop {
                let got = (&input.file).read(&mut buffer);
                match got.map_err(|source| input.failed(source))? {
                    0 => break mac,
                    got => mac.update(&buffer[..got])?,
                }
            }
        }
        None => {
            let message = input.read_all(PIPED_MAX)?;
            let mut mac = WaveHmac::new(&key, phases.as_deref(), message.len() as u64)?;
            mac.update(&message)?;
            mac
        }
    };
    if let Some(wanted) = &args.verify {
        let wanted = STANDARD
            .decode(wanted.trim())
            .map_err(|error| Error::Usage(format!("--verify: {error}")))?;
        let valid = mac.verify(&wanted)?;
        output.document(&json!({ "valid": valid }), |_| {
            if valid { "the value is right\n" } else { "" }.to_owned()
        })?;
        return if valid { Ok(()) } else { Err(Error::BadHmac) };
    }
    let value = STANDARD.encode(mac.finish()?);
    output.document(&json!({"hmac": value, "algorithm": "HMAC-SHA-512"}), |_| {
        format!("{value}\n")
    })
}

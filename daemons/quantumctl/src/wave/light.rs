//! `wave encode`, `wave decode` and `wave frames`: a message is sealed first, and what is sealed is
//! modulated; on the way back nothing is given out before all of it is authentic.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use quantumos_resonance::stream::{Cost, Opener, Options, Sealer};
use quantumos_wavelength::{Decoder, Encoder, Frame, Method, encoded_len};
use serde_json::json;

use crate::{
    crypto::{read_file, secret::SecretArgs, write_file},
    error::Error,
    output::Output,
};

/// The longest message in bytes: as frames it is up to 26 times as long.
const MESSAGE_MAX: u64 = 16 << 20;

/// What to encode.
#[derive(Args, Debug)]
pub struct EncodeArgs {
    /// File with the message, up to 16 MiB; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Modulation: FSE (wavelength), AME (intensity), PME (phase) or QIML (all three)
    #[arg(long, default_value = "QIML")]
    method: Method,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    to: To,
}

/// What to decode.
#[derive(Args, Debug)]
pub struct DecodeArgs {
    /// File with the frames; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    to: To,
}

/// Which frames.
#[derive(Args, Debug)]
pub struct FramesArgs {
    /// File with the frames; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Show so many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 32)]
    limit: usize,
}

/// Where bytes go.
#[derive(Args, Debug)]
struct To {
    /// File to write instead of standard output; it appears only when it is whole
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Replace the output file if it is there
    #[arg(long, requires = "output")]
    force: bool,
}

impl To {
    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        match &self.output {
            Some(path) => write_file(path, self.force, bytes),
            None => crate::output::write(bytes),
        }
    }
}

/// The longest list of frames that a message comes to.
fn frames_max() -> u64 {
    encoded_len(Method::Fse, MESSAGE_MAX + (1 << 16))
}

pub fn encode(output: &Output, args: &EncodeArgs) -> Result<(), Error> {
    let (message, _) = read_file(args.file.as_deref(), MESSAGE_MAX)?;
    let secret = args.secret.get(true)?;
    let sealer = Sealer::new(secret.secret(), &Options::default())?;
    let mut sealed = sealer.header().to_bytes();
    let mut sealer = sealer;
    sealer.push(&message, &mut sealed)?;
    sealer.finish(&mut sealed)?;
    let mut frames = Vec::new();
    let mut encoder = Encoder::new(args.method, sealed.len() as u64, &mut frames)?;
    encoder.push(&sealed, &mut frames)?;
    encoder.finish()?;
    args.to.write(&frames)?;
    match &args.to.output {
        Some(path) if output.json => {
            let done = json!({"file": path, "method": args.method.name(), "bytes": sealed.len()});
            output.document(&done, |_| String::new())
        }
        _ => Ok(()),
    }
}

pub fn decode(args: &DecodeArgs) -> Result<(), Error> {
    let (frames, _) = read_file(args.file.as_deref(), frames_max())?;
    let (mut decoder, mut sealed) = (Decoder::new(), Vec::new());
    decoder.push(&frames, &mut sealed)?;
    decoder.finish()?;
    let (mut opener, mut message) = (Opener::new(), Vec::new());
    let header = opener.push(&sealed, &mut message)?;
    if opener.header().is_some() {
        let secret = args.secret.get(false)?;
        opener.unlock(secret.secret(), b"", Cost::LIMIT)?;
        opener.push(&sealed[header..], &mut message)?;
    }
    opener.finish(&mut message)?;
    args.to.write(&message)
}

pub fn frames(output: &Output, args: &FramesArgs) -> Result<(), Error> {
    let (bytes, _) = read_file(args.file.as_deref(), frames_max())?;
    let (mut decoder, mut shown, mut count) = (Decoder::new(), Vec::new(), 0u64);
    let mut payload = Vec::new();
    decoder.push_frames(&bytes, &mut payload, |frame| {
        count += 1;
        if shown.len() < args.limit {
            shown.push(*frame);
        }
    })?;
    let (method, len) = decoder.header().unzip();
    decoder.finish()?;
    let list: Vec<_> = shown.iter().map(described).collect();
    let document = json!({
        "method": method.map(Method::name),
        "payload": len,
        "count": count,
        "frames": list,
    });
    output.document(&document, |_| {
        let mut text = "  number  wavelength nm  photons  phase rad  energy J\n".to_owned();
        for frame in &shown {
            let nm = f64::from(frame.wavelength_pm) / 1000.0;
            text += &format!(
                "{:>8}  {nm:>13.3}  {:>7}  {:>9.4}  {:.6e}\n",
                frame.number,
                frame.photons,
                frame.phase_radians(),
                frame.energy
            );
        }
        let more = count.saturating_sub(shown.len() as u64);
        if more > 0 {
            text += &format!("and {more} more\n");
        }
        text
    })
}

fn described(frame: &Frame) -> serde_json::Value {
    json!({
        "number": frame.number,
        "wavelength_nm": f64::from(frame.wavelength_pm) / 1000.0,
        "photons": frame.photons,
        "phase": frame.phase_radians(),
        "energy": frame.energy,
    })
}

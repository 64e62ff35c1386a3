//! `quantumctl wave`: transform waveforms, carry sealed messages as frames of light, and the
//! five-dimensional signature. Only signing with a key of the store needs a service.

mod light;
mod signature;
mod transform;

use clap::Subcommand;

use crate::{bus::Bus, error::Error, output::Output};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum WaveCommand {
    /// Show what a waveform is made of: frequencies, amplitudes, phases
    Transform(transform::TransformArgs),
    /// Make a waveform of its spectrum
    Inverse(transform::InverseArgs),
    /// Seal a message and carry it as frames of light
    Encode(light::EncodeArgs),
    /// Read frames of light and open the message in them
    Decode(light::DecodeArgs),
    /// Show frames of light: wavelength, intensity, phase, energy
    Frames(light::FramesArgs),
    /// Sign a file, or check a signature, and show its five-dimensional signature
    Sign5d(signature::Sign5dArgs),
}

/// Runs what needs no bus, or nothing.
pub fn run_alone(output: &Output, command: &WaveCommand) -> Option<Result<(), Error>> {
    match command {
        WaveCommand::Transform(args) => Some(transform::transform(output, args)),
        WaveCommand::Inverse(args) => Some(transform::inverse(output, args)),
        WaveCommand::Encode(args) => Some(light::encode(output, args)),
        WaveCommand::Decode(args) => Some(light::decode(args)),
        WaveCommand::Frames(args) => Some(light::frames(output, args)),
        WaveCommand::Sign5d(args) => args.alone(output),
    }
}

/// Runs what needs the bus.
pub async fn run(bus: &Bus, output: &Output, command: &WaveCommand) -> Result<(), Error> {
    match command {
        WaveCommand::Sign5d(args) => args.sign(bus, output).await,
        // These have been done without it.
        _ => Ok(()),
    }
}

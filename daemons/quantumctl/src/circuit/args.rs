//! Arguments of `quantumctl circuit`, and the request that they make.

use std::collections::HashMap;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use quantumos_circuit::Circuit;
use quantumos_circuit::run::{Choice, Noise, Observable, Precision, Request, basis_state};

use super::bench::BenchArgs;
use super::sample::SampleArgs;
use crate::error::Error;

/// What to do with circuits.
#[derive(Debug, Subcommand)]
pub enum CircuitCommand {
    /// Run a circuit here and show its counts
    Run(RunArgs),
    /// Show which method would run a circuit, why, and what it would take
    Explain(RunArgs),
    /// Draw a circuit
    Draw(DrawArgs),
    /// Sample a Clifford circuit with noise in stim's format: detectors and observables
    Sample(SampleArgs),
    /// Time the methods at growing numbers of qubits
    Bench(BenchArgs),
}

/// A circuit and how to run it.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub source: Source,
    /// How often to run it [default: 1024; 0 with --gradient]
    #[arg(long)]
    pub shots: Option<u64>,
    /// Seed of the random numbers; the same seed gives the same results
    #[arg(long)]
    pub seed: Option<u64>,
    /// The method
    #[arg(long, value_enum, default_value_t = MethodName::Auto)]
    pub method: MethodName,
    /// Precision of amplitudes in the dense method
    #[arg(long, value_enum, default_value_t = PrecisionName::Double)]
    pub precision: PrecisionName,
    /// Largest bond of the mps method; what is above is cut off, and the error bound says how much
    #[arg(long, default_value_t = 64)]
    pub bond: usize,
    /// Threads to use [default: as many as there are processors]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Memory that may be used, such as 2G [default: what is available]
    #[arg(long, value_parser = bytes)]
    pub memory: Option<u64>,
    /// Expectation value to compute, such as "ZZ + 0.5*X0 X1"; may be repeated
    #[arg(long, value_name = "PAULIS")]
    pub observable: Vec<String>,
    /// Basis state whose amplitude to show, as bits with qubit 0 last; may be repeated
    #[arg(long, value_name = "BITS")]
    pub amplitude: Vec<String>,
    /// Show all amplitudes
    #[arg(long)]
    pub statevector: bool,
    /// Show the result of each shot
    #[arg(long)]
    pub per_shot: bool,
    /// Value of an input of the circuit; may be repeated
    #[arg(long, value_name = "NAME=NUMBER")]
    pub input: Vec<String>,
    /// Run once for each of COUNT values of an input from START to STOP, or for each point of a JSON file
    /// ([{"NAME": NUMBER}] or {"NAME": [NUMBER]}); may be repeated, inputs go through their values together
    #[arg(
        long,
        value_name = "NAME=START:STOP:COUNT|FILE",
        conflicts_with = "statevector"
    )]
    pub sweep: Vec<String>,
    /// Also derive each observable by each input of the circuit, which has to be gates alone
    #[arg(long, conflicts_with = "statevector")]
    pub gradient: bool,
    /// Noise after gates: [GATE:|qN:]CHANNEL=P with depolarizing, amplitude-damping, phase-damping,
    /// bit-flip or phase-flip; may be repeated
    #[arg(long, value_name = "CHANNEL=P")]
    pub noise: Vec<String>,
    /// Chances that readout shows 1 for 0 and 0 for 1
    #[arg(long, value_name = "P01,P10")]
    pub readout: Option<String>,
    /// Have quantumd run it, in a unit of its own; --threads and --memory are quantumd's choice then
    #[arg(long, conflicts_with_all = ["threads", "memory"])]
    pub service: bool,
    /// Leave the job with quantumd and print its path
    #[arg(long, requires = "service")]
    pub detach: bool,
}

/// Where a circuit is, and how it is written.
#[derive(Args, Debug)]
pub struct Source {
    /// OpenQASM 2 or 3, JSON, or stim's format; - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: String,
    /// How it is written
    #[arg(long, value_enum, default_value_t = FormatName::Auto)]
    pub format: FormatName,
}

/// Formats by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// Stim's if the file's name ends so, JSON if it starts with a brace, else OpenQASM
    Auto,
    /// OpenQASM 2 or 3
    Qasm,
    /// JSON
    Json,
    /// Stim's format
    Stim,
}

impl Source {
    /// Whether it is in stim's format.
    pub fn is_stim(&self) -> bool {
        match self.format {
            FormatName::Auto => self.file.ends_with(".stim"),
            format => format == FormatName::Stim,
        }
    }

    /// The format as the service has it.
    pub fn name(&self) -> &'static str {
        match self.format {
            _ if self.is_stim() => "stim",
            FormatName::Qasm => "qasm",
            FormatName::Json => "json",
            _ => "auto",
        }
    }
}

/// What to draw.
#[derive(Args, Debug)]
pub struct DrawArgs {
    #[command(flatten)]
    pub source: Source,
    /// Columns to fold at [default: those of the terminal, else 100]
    #[arg(long)]
    pub width: Option<usize>,
}

/// Methods by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum MethodName {
    /// Whatever suits the circuit
    Auto,
    /// Every amplitude
    Dense,
    /// Clifford circuits
    Stabilizer,
    /// A chain of tensors: shallow or one-dimensional circuits
    Mps,
    /// The amplitudes that are not zero
    Sparse,
}

impl MethodName {
    /// As the engine has it.
    pub fn choice(self) -> Choice {
        match self {
            Self::Auto => Choice::Auto,
            Self::Dense => Choice::Dense,
            Self::Stabilizer => Choice::Stabilizer,
            Self::Mps => Choice::Mps,
            Self::Sparse => Choice::Sparse,
        }
    }
}

/// Precisions by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PrecisionName {
    /// 32 bits
    Single,
    /// 64 bits
    Double,
}

impl RunArgs {
    /// The circuit with its inputs filled in.
    pub fn bound(&self, circuit: Circuit) -> Result<Circuit, Error> {
        let mut given = self.inputs()?;
        let values = circuit
            .parameters
            .iter()
            .map(|name| {
                given.remove(name).ok_or_else(|| {
                    Error::Usage(format!("input {name} needs a value: --input {name}=..."))
                })
            })
            .collect::<Result<Vec<f64>, _>>()?;
        if let Some(name) = given.keys().min() {
            return Err(Error::Usage(format!("the circuit has no input {name}")));
        }
        Ok(circuit.bind(&values)?)
    }

    /// Values of inputs, by name.
    pub fn inputs(&self) -> Result<HashMap<String, f64>, Error> {
        let mut given = HashMap::new();
        for input in &self.input {
            let (name, value) = pair(input)?;
            given.insert(name.to_owned(), value);
        }
        Ok(given)
    }

    /// The chances that readout is wrong.
    pub fn readout(&self) -> Result<Option<[f64; 2]>, Error> {
        let Some(text) = &self.readout else {
            return Ok(None);
        };
        let numbers: Vec<f64> = text
            .split(',')
            .filter_map(|n| n.trim().parse().ok())
            .collect();
        let both = <[f64; 2]>::try_from(numbers);
        both.map(Some)
            .map_err(|_| Error::Usage(format!("--readout {text}: two numbers expected")))
    }

    /// The request to the engine.
    pub fn request(&self, circuit: &Circuit) -> Result<Request, Error> {
        let amplitudes = self
            .amplitude
            .iter()
            .map(|text| basis_state(text, circuit.qubits))
            .collect::<Result<_, _>>()?;
        let observables = self
            .observable
            .iter()
            .map(|text| Observable::parse(text))
            .collect::<Result<_, _>>()?;
        Ok(Request {
            method: self.method.choice(),
            precision: match self.precision {
                PrecisionName::Single => Precision::Single,
                PrecisionName::Double => Precision::Double,
            },
            bond: self.bond.max(1),
            shots: self.shots.unwrap_or(1024),
            memory: self.per_shot,
            seed: self.seed.unwrap_or_else(random_seed),
            threads: self.threads.unwrap_or_else(processors).max(1),
            available: self.memory.map_or_else(available_memory, Ok)?,
            noise: self.noise()?,
            statevector: self.statevector,
            amplitudes,
            observables,
        })
    }

    fn noise(&self) -> Result<Noise, Error> {
        let mut noise = Noise::default();
        for text in &self.noise {
            noise.add(text)?;
        }
        noise.readout = self.readout()?.unwrap_or_default();
        Ok(noise)
    }
}

fn pair(text: &str) -> Result<(&str, f64), Error> {
    text.split_once('=')
        .and_then(|(name, value)| Some((name.trim(), value.trim().parse().ok()?)))
        .ok_or_else(|| Error::Usage(format!("{text}: NAME=NUMBER expected")))
}

/// `512M`, `2G`, or bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("unknown unit {unit}; K, M, G and T are known")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "a whole number expected".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "too large".to_owned())
}

pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the kernel says can be had without swapping.
pub(super) fn available_memory() -> Result<u64, Error> {
    let path = "/proc/meminfo";
    let text = std::fs::read_to_string(path).map_err(|source| Error::file(path, source))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("MemAvailable:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse()
                .ok()
        })
        .map(|kib: u64| kib * 1024)
        .ok_or_else(|| {
            Error::Usage("/proc/meminfo does not say what is available: use --memory".to_owned())
        })
}

pub(super) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // Short enough to type again.
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
        >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(bytes("2G"), Ok(2 << 30));
        assert_eq!(bytes("77"), Ok(77));
        for bad in ["G", "2X", "-1", "99999999999T"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}

//! The peers: each runs the same gates with the same threads in a process of its own; the ratio is to the
//! fastest of them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use quantumos_circuit::ir::{Circuit, Gate, Op};

use crate::{Failure, Print};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/circuits.py");
/// A peer that takes so many times as long as the fastest is asked once only.
const SLOW: f64 = 3.0;
/// From so many qubits on a peer is asked this often, and slow ones of the size before not at all.
const LARGE: (u32, usize) = (26, 3);

/// A row of the table.
pub struct Setting {
    pub name: &'static str,
    pub qubits: u32,
    pub threads: usize,
    pub precision: &'static str,
}

impl Setting {
    /// The name of the measure.
    pub fn title(&self) -> String {
        let Self {
            name,
            qubits,
            threads,
            precision,
        } = self;
        format!("circuits.{name}-{qubits}-{precision}-{threads}t")
    }

    fn is_large(&self) -> bool {
        self.qubits >= LARGE.0 && matches!(self.name, "qft" | "random-20")
    }
}

/// The Python that has the peers, and who was slow so far.
pub struct Peers {
    python: Option<String>,
    /// How many times as long as the fastest, by row (without the number of qubits) and peer.
    behind: HashMap<(&'static str, usize, &'static str, &'static str), f64>,
}

impl Peers {
    /// From `QUANTUMOS_PEERS`.
    pub fn new() -> Self {
        let python = std::env::var("QUANTUMOS_PEERS").ok();
        if python.is_none() {
            eprintln!("no peers: tests/bench/peers/install makes them, QUANTUMOS_PEERS names them");
        }
        Self {
            python,
            behind: HashMap::new(),
        }
    }

    /// Prints our time beside that of the fastest peer.
    pub fn compare(
        &mut self,
        print: Print<'_>,
        setting: &Setting,
        ours: f64,
        peers: &[&'static str],
        text: &str,
    ) {
        let name = setting.title();
        let mut times: Vec<(f64, &'static str)> = Vec::new();
        let fastest = |times: &[(f64, &'static str)]| {
            times.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0))
        };
        let place = |peer| (setting.name, setting.threads, setting.precision, peer);
        for &peer in self.python.as_ref().map_or(&[][..], |_| peers) {
            if let Some(behind) = self.behind.get(&place(peer))
                && setting.is_large()
                && *behind > SLOW
            {
                eprintln!("{name}: {peer} is left out: {behind:.1} times the fastest before");
                continue;
            }
            let limit = fastest(&times).map(|t| SLOW * t.0);
            let python = self.python.as_deref().unwrap_or_default();
            match ask(python, peer, setting, limit, text) {
                Ok((time, rounds)) => {
                    eprintln!("{name}: {peer} {time:.4} s ({rounds}), here {ours:.4} s");
                    times.push((time, peer));
                }
                Err(error) => eprintln!("{name}: {peer}: {error}"),
            }
        }
        let best = fastest(&times);
        for (time, peer) in times {
            if let Some((fastest, _)) = best {
                self.behind.insert(place(peer), time / fastest);
            }
        }
        match best {
            Some((time, peer)) => print(&name, ours, "s", peer, Some(time / ours)),
            None => print(&name, ours, "s", "", None),
        }
    }
}

/// The peer's seconds, and how they were found.
fn ask(
    python: &str,
    peer: &str,
    setting: &Setting,
    limit: Option<f64>,
    text: &str,
) -> Result<(f64, String), Failure> {
    let rounds = if setting.is_large() {
        LARGE.1
    } else {
        super::ROUNDS
    };
    let mut child = Command::new(python)
        .arg(SCRIPT)
        .arg(peer)
        .args([setting.qubits.to_string(), setting.threads.to_string()])
        .args([setting.precision, &rounds.to_string()])
        .env("BOND", setting.name.rsplit('-').next().unwrap_or_default())
        .env("LIMIT", limit.map_or_else(String::new, |l| l.to_string()))
        .env("WARM_UP", if setting.is_large() { "0" } else { "1" })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A peer that fails before it has read everything says why itself.
        let _ = input.write_all(text.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        return Err(format!("cannot be measured: {last}").into());
    }
    let text = String::from_utf8(output.stdout)?;
    let (time, asked) = text
        .trim()
        .split_once(' ')
        .ok_or("seconds and rounds expected")?;
    let how = match asked {
        "1" => format!("once: more than {SLOW} times the fastest"),
        many => format!("median of {many}"),
    };
    Ok((time.parse()?, how))
}

/// The gates as the script reads them.
pub fn listing(circuit: &Circuit) -> String {
    let mut text = String::new();
    for gate in gates(circuit) {
        text.push_str(&gate.name());
        for angle in gate.numbers() {
            let _ = write!(text, " {angle}");
        }
        text.push_str(" |");
        for qubit in &gate.qubits {
            let _ = write!(text, " {qubit}");
        }
        text.push('\n');
    }
    text
}

/// The gates of a circuit.
pub fn gates(circuit: &Circuit) -> impl Iterator<Item = &Gate> {
    circuit.ops.iter().filter_map(|op| match op {
        Op::Gate(gate) => Some(gate),
        _ => None,
    })
}

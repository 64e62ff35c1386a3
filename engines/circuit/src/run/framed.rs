//! Clifford circuits with Pauli noise, resets and measurements on the way, by Pauli frames: 1024 shots at
//! once, instead of a tableau a shot.

use std::collections::{BTreeMap, HashMap};

use super::results::{Outcome, text};
use super::shots::Shots;
use super::{Noise, Request};
use crate::frames::{self, Basis, Block, Clifford, Program, Step};
use crate::ir::{Channel, Circuit, Op};
use crate::rng::Rng;
use crate::stabilizer::Action;
use crate::{Error, Watch};

/// Random numbers of readout are apart from those of the frames.
const READOUT: u64 = 0x7265_6164_6f75_7421;

/// A circuit as a program of frames.
#[derive(Debug)]
pub struct Framed {
    program: Program,
    /// The bit that each measurement is written to.
    bits: Vec<u32>,
    /// Chances that readout is wrong, where they are not those of the program.
    readout: Option<[f64; 2]>,
}

impl Framed {
    /// The program of a circuit, if frames can follow it: Clifford gates on one or two qubits, Pauli noise,
    /// measurements and resets, and nothing that depends on an outcome.
    #[must_use]
    pub fn of(circuit: &Circuit, request: &Request) -> Option<Self> {
        let Noise {
            readout: [zero, one],
            ..
        } = request.noise;
        let even = zero.total_cmp(&one).is_eq();
        let mut known: HashMap<String, Clifford> = HashMap::new();
        let mut steps: Vec<Step> = Vec::with_capacity(circuit.ops.len());
        let mut bits = Vec::new();
        for op in &circuit.ops {
            match op {
                Op::Gate(gate) if gate.qubits.is_empty() => {}
                Op::Gate(gate) => {
                    let name = format!("{} {:?} {:?}", gate.name(), gate.base, gate.angles);
                    let clifford = match known.get(&name) {
                        Some(clifford) => clifford.clone(),
                        None => {
                            let clifford = Clifford::of_action(&Action::of(gate)?)?;
                            known.insert(name, clifford.clone());
                            clifford
                        }
                    };
                    match steps.last_mut() {
                        Some(Step::Gate(same, on)) if *same == clifford => {
                            on.extend_from_slice(&gate.qubits);
                        }
                        _ => steps.push(Step::Gate(clifford, gate.qubits.to_vec())),
                    }
                }
                Op::Measure { qubit, bit } => {
                    bits.push(*bit);
                    match steps.last_mut() {
                        Some(Step::Measure(_, _, on)) => on.push((*qubit, false)),
                        _ => {
                            let chance = if even { zero } else { 0.0 };
                            steps.push(Step::Measure(Basis::Z, chance, vec![(*qubit, false)]));
                        }
                    }
                }
                Op::Reset(qubit) => steps.push(Step::Reset(Basis::Z, vec![*qubit])),
                Op::Barrier(_) => {}
                Op::Noise(channel, on) => steps.push(Step::Noise(noise(channel)?, on.to_vec())),
                _ => return None,
            }
        }
        Some(Self {
            program: Program::new(steps).ok()?,
            bits,
            readout: (!even).then_some([zero, one]),
        })
    }

    fn request(&self, request: &Request) -> frames::Request {
        frames::Request {
            shots: request.shots,
            seed: request.seed,
            threads: request.threads,
            available: request.available,
            measurements: true,
        }
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self, request: &Request) -> u128 {
        frames::bytes_needed(&self.program, &self.request(request))
    }

    /// Samples it into counts (and shots, if asked for).
    pub fn run(
        &self,
        shots: &Shots<'_>,
        outcome: &mut Outcome,
        watch: &Watch,
    ) -> Result<(), Error> {
        let words = (shots.shown.bits as usize).div_ceil(64);
        let mut counts: BTreeMap<Vec<u64>, u64> = BTreeMap::new();
        let mut number = 0;
        let request = self.request(shots.request);
        frames::sample(&self.program, &request, watch, &mut |block| {
            for mut measured in self.shots(&block, words, number, request.seed) {
                if shots.request.memory {
                    let bit = |b: u32| measured[b as usize / 64] >> (b % 64) & 1 == 1;
                    outcome.memory.push(text(&shots.shown, bit));
                }
                *counts.entry(std::mem::take(&mut measured)).or_default() += 1;
            }
            number += block.shots;
            Ok(())
        })?;
        outcome.counts = shots.shown(counts);
        Ok(())
    }

    /// The bits of each shot of a block.
    fn shots(&self, block: &Block, words: usize, first: u64, seed: u64) -> Vec<Vec<u64>> {
        let mut all = vec![vec![0u64; words]; block.shots as usize];
        let mut streams: Vec<Rng> = match self.readout {
            Some(_) => (0..block.shots)
                .map(|i| Rng::stream(seed ^ READOUT, first + i))
                .collect(),
            None => Vec::new(),
        };
        for (row, &bit) in block.measurements.iter().zip(&self.bits) {
            let (word, mask) = (bit as usize / 64, 1u64 << (bit % 64));
            for (i, shot) in all.iter_mut().enumerate() {
                let mut one = Block::is_set(row, i as u64);
                if let Some(chances) = self.readout {
                    one ^= streams[i].unit() < chances[usize::from(one)];
                }
                // What is measured later into the same bit counts.
                shot[word] = if one {
                    shot[word] | mask
                } else {
                    shot[word] & !mask
                };
            }
        }
        all
    }
}

fn noise(channel: &Channel) -> Option<frames::Noise> {
    Some(match *channel {
        Channel::Pauli(chances) => frames::Noise::One(chances),
        Channel::Depolarizing(p) => frames::Noise::One([p / 3.0; 3]),
        Channel::Depolarizing2(p) => frames::Noise::Two([p / 15.0; 15]),
        Channel::AmplitudeDamping(_) | Channel::PhaseDamping(_) => return None,
    })
}

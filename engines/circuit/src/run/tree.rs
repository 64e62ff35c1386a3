//! Circuits with noise, branches or measurements on the way: a tree of shots. Those that have seen the same
//! so far share a state, and part where they draw differently; the sharing changes no result.

use std::collections::BTreeMap;

use super::program::{Step, steps};
use super::results::{Outcome, text};
use super::shots::{Shot, Shots};
use super::{Choice, Request};
use crate::ir::{Base, Channel, Gate};
use crate::kept::{Ended, Kept};
use crate::method::Method;
use crate::{Error, Watch};

/// After so many steps a branch looks whether it should stop, and says how far it is.
const TOLD: u64 = 16;
/// Steps of one shot before it counts as one that never ends.
const STEPS_MAX: u64 = 2_000_000;
/// States that may wait at once, whatever the memory.
const WAITING_MAX: u128 = 4096;

/// The least that a state takes, and what states that wait may take without being asked for.
const PAGE: u128 = 4096;
const WAIT: u128 = 256 << 20;

/// Bytes that a tree may take whose states take so many each.
pub(super) fn bytes(state: u128, request: &Request) -> u128 {
    let state = state.max(PAGE);
    let all = state * WAITING_MAX;
    all.min(WAIT.max(8 * state)).min(request.available.into())
}

/// Shots that share a state.
pub(super) struct Branch<M> {
    pub(super) state: M,
    at: usize,
    steps: u64,
    shots: Vec<Shot>,
}

impl<M> Branch<M> {
    pub(super) fn new(state: M, shots: Vec<Shot>) -> Self {
        Self {
            state,
            at: 0,
            steps: 0,
            shots,
        }
    }
}

/// Branches that wait, and what became of shots.
pub(super) struct Stack<M> {
    branches: Vec<Branch<M>>,
    /// Bytes of their states.
    bytes: u128,
    /// How many may wait, and with how many bytes.
    room: (usize, u128),
    /// Shots that found no room for a state of their own start over: their streams do, too.
    again: Vec<usize>,
    done: Vec<Ended>,
}

impl<M: Method> Stack<M> {
    pub(super) fn new(room: (usize, u128)) -> Self {
        Self {
            branches: Vec::new(),
            bytes: 0,
            room,
            again: Vec::new(),
            done: Vec::new(),
        }
    }

    fn takes(&self, state: &M) -> bool {
        self.branches.len() < self.room.0 && self.bytes + state.bytes().max(PAGE) <= self.room.1
    }

    fn push(&mut self, branch: Branch<M>) {
        self.bytes += branch.state.bytes().max(PAGE);
        self.branches.push(branch);
    }

    fn pop(&mut self) -> Option<Branch<M>> {
        let branch = self.branches.pop()?;
        self.bytes -= branch.state.bytes().max(PAGE);
        Some(branch)
    }
}

impl Shots<'_> {
    pub(super) fn run_tree<M: Method>(
        &self,
        fresh: &(impl Fn(usize) -> Result<M, Error> + Sync),
        outcome: &mut Outcome,
        watch: &Watch,
    ) -> Result<(), Error> {
        let program = steps(self.circuit);
        let shots = usize::try_from(self.request.shots).unwrap_or(usize::MAX);
        watch.expect_steps((program.len() as u64).saturating_mul(self.request.shots));
        // What an earlier run has done already.
        let words = (self.shown.bits as usize).div_ceil(64);
        let kept = watch.kept().filter(|_| Kept::takes(shots, words));
        let earlier = kept.map(|k| k.earlier(shots, words)).unwrap_or_default();
        watch.advance_steps((program.len() as u64).saturating_mul(earlier.len() as u64));
        let is_done = |number: usize| earlier.binary_search_by_key(&number, |e| e.0).is_ok();
        // Small states, and methods that know no threads: one thread a share of the shots. Else all threads on
        // each state.
        let bytes = u128::from(self.way.bytes.min(self.request.available));
        let state = u128::from(self.way.state).max(PAGE);
        let alone = self.way.method != Choice::Dense || self.circuit.qubits <= 16;
        let shares = if alone {
            let fit = usize::try_from(bytes / state / 2).unwrap_or(usize::MAX);
            self.request.threads.min(fit).clamp(1, shots.max(1))
        } else {
            1
        };
        let inner = if shares == 1 { self.request.threads } else { 1 };
        let room = (bytes / shares as u128).saturating_sub(state);
        let share = |first: usize| {
            let end = shots * (first + 1) / shares;
            self.tree(
                &program,
                (shots * first / shares..end)
                    .filter(|&n| !is_done(n))
                    .collect(),
                room,
                &|| fresh(inner),
                watch,
            )
        };
        let results: Vec<Result<Vec<Ended>, Error>> = if shares == 1 {
            vec![share(0)]
        } else {
            std::thread::scope(|scope| {
                let share = &share;
                let handles: Vec<_> = (0..shares).map(|i| scope.spawn(move || share(i))).collect();
                let lost = |_| Err(Error::Numeric("a thread"));
                handles
                    .into_iter()
                    .map(|h| h.join().unwrap_or_else(lost))
                    .collect()
            })
        };
        let mut all = Vec::with_capacity(shots);
        for part in results {
            all.extend(part?);
        }
        all.extend(earlier);
        all.sort_by_key(|s| s.0);
        let mut counts: BTreeMap<Vec<u64>, u64> = BTreeMap::new();
        for (_, bits, distance) in all {
            outcome.error_bound = outcome.error_bound.max(distance);
            if self.request.memory {
                let bit = |b: u32| bits[b as usize / 64] >> (b % 64) & 1 == 1;
                outcome.memory.push(text(&self.shown, bit));
            }
            *counts.entry(bits).or_default() += 1;
        }
        outcome.counts = self.shown(counts);
        outcome.bytes = state;
        Ok(())
    }

    /// Runs these shots.
    fn tree<M: Method>(
        &self,
        program: &[Step],
        shots: Vec<usize>,
        room: u128,
        fresh: &dyn Fn() -> Result<M, Error>,
        watch: &Watch,
    ) -> Result<Vec<Ended>, Error> {
        let mut stack = Stack::new((WAITING_MAX as usize, room));
        stack.again = shots;
        let kept = watch.kept();
        let kept = kept.filter(|_| {
            let words = (self.shown.bits as usize).div_ceil(64);
            Kept::takes(
                usize::try_from(self.request.shots).unwrap_or(usize::MAX),
                words,
            )
        });
        while !stack.again.is_empty() {
            let shots = stack.again.drain(..).map(|i| self.shot(i)).collect();
            let mut next = Some(Branch::new(fresh()?, shots));
            while let Some(mut branch) = next {
                watch.check()?;
                let before = stack.done.len();
                self.branch(program, &mut branch, &mut stack, watch)?;
                if let Some(kept) = kept {
                    kept.add(&stack.done[before..]);
                }
                next = stack.pop();
            }
        }
        Ok(stack.done)
    }

    /// Follows a branch to its end; those that part from it wait.
    pub(super) fn branch<M: Method>(
        &self,
        program: &[Step],
        branch: &mut Branch<M>,
        stack: &mut Stack<M>,
        watch: &Watch,
    ) -> Result<(), Error> {
        loop {
            branch.steps += 1;
            if branch.steps > STEPS_MAX {
                return Err(Error::Circuit(format!(
                    "a shot takes more than {STEPS_MAX} steps; does a loop of the circuit end?"
                )));
            }
            branch.state.within()?;
            let Some(step) = program.get(branch.at) else {
                break;
            };
            if branch.steps.is_multiple_of(TOLD) {
                watch.check()?;
                watch.advance_steps(TOLD * branch.shots.len() as u64);
            }
            branch.at += 1;
            // What each shot draws decides with which others it goes on.
            let groups = match step {
                Step::End => break,
                Step::Gates(gates) => {
                    branch
                        .state
                        .apply(&gates.iter().collect::<Vec<_>>(), watch)?;
                    continue;
                }
                Step::Jump(target) => {
                    branch.at = *target;
                    continue;
                }
                Step::Assign(start, width, value) => {
                    for shot in &mut branch.shots {
                        let value = value.value(&|b| shot.bit(b));
                        for i in 0..*width {
                            shot.set(start + i, i < 64 && value >> i & 1 == 1);
                        }
                    }
                    continue;
                }
                Step::JumpUnless(condition, _) => parted(&mut branch.shots, |s| {
                    usize::from(condition.value(&|b| s.bit(b)) == 0)
                }),
                Step::Measure(qubit, _) | Step::Reset(qubit) => {
                    let one = branch.state.one(*qubit);
                    parted(&mut branch.shots, |s| usize::from(s.rng.unit() < one))
                }
                Step::Noise(channel, on) => match channel.paulis() {
                    Some(paulis) => parted(&mut branch.shots, |s| drawn(&paulis, s.rng.unit())),
                    None => {
                        let (Channel::AmplitudeDamping(g) | Channel::PhaseDamping(g)) = channel
                        else {
                            continue;
                        };
                        let jump = g * branch.state.one(on[0]);
                        parted(&mut branch.shots, |s| usize::from(s.rng.unit() < jump))
                    }
                },
            };
            let mut groups: Vec<(usize, Vec<Shot>)> = groups.into_iter().collect();
            let Some((last, shots)) = groups.pop() else {
                break;
            };
            for (outcome, shots) in groups {
                if !stack.takes(&branch.state) {
                    stack.again.extend(shots.iter().map(|s| s.number));
                    continue;
                }
                let mut other = Branch {
                    state: branch.state.copied()?,
                    at: branch.at,
                    steps: branch.steps,
                    shots,
                };
                self.follow(step, outcome, &mut other, watch)?;
                stack.push(other);
            }
            branch.shots = shots;
            self.follow(step, last, branch, watch)?;
        }
        let (distance, shots) = (branch.state.discarded(), std::mem::take(&mut branch.shots));
        let ended = shots.into_iter().map(|s| (s.number, s.bits, distance));
        stack.done.extend(ended);
        Ok(())
    }

    /// What the outcome of a step does to the state and to the shots.
    fn follow<M: Method>(
        &self,
        step: &Step,
        outcome: usize,
        branch: &mut Branch<M>,
        watch: &Watch,
    ) -> Result<(), Error> {
        let gate = |base: Base, qubit: u32| Gate::new(base, &[], &[qubit]);
        match step {
            Step::JumpUnless(_, target) if outcome == 1 => branch.at = *target,
            Step::Measure(qubit, bit) => {
                branch.state.collapse(*qubit, outcome == 1);
                for shot in &mut branch.shots {
                    self.readout(shot, *bit, outcome == 1);
                }
            }
            Step::Reset(qubit) => {
                branch.state.collapse(*qubit, outcome == 1);
                if outcome == 1 {
                    branch.state.apply(&[&gate(Base::X, *qubit)], watch)?;
                }
            }
            Step::Noise(channel, on) => match (channel, channel.paulis()) {
                (_, Some(paulis)) => {
                    let Some((_, letters)) = outcome.checked_sub(1).and_then(|i| paulis.get(i))
                    else {
                        return Ok(());
                    };
                    for (&letter, &qubit) in letters.iter().zip(on) {
                        let base = match letter {
                            0 => continue,
                            1 => Base::X,
                            2 => Base::Y,
                            _ => Base::Z,
                        };
                        branch.state.apply(&[&gate(base, qubit)], watch)?;
                    }
                }
                (Channel::AmplitudeDamping(g) | Channel::PhaseDamping(g), None) => {
                    if outcome == 1 {
                        branch.state.collapse(on[0], true);
                        if matches!(channel, Channel::AmplitudeDamping(_)) {
                            branch.state.apply(&[&gate(Base::X, on[0])], watch)?;
                        }
                    } else {
                        let kept = 1.0 - g * branch.state.one(on[0]);
                        branch
                            .state
                            .damp(on[0], (1.0 - g).sqrt(), 1.0 / kept.sqrt())?;
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}

/// Shots by what they draw.
fn parted(
    shots: &mut Vec<Shot>,
    mut draw: impl FnMut(&mut Shot) -> usize,
) -> BTreeMap<usize, Vec<Shot>> {
    let mut groups: BTreeMap<usize, Vec<Shot>> = BTreeMap::new();
    for mut shot in shots.drain(..) {
        let outcome = draw(&mut shot);
        groups.entry(outcome).or_default().push(shot);
    }
    groups
}

/// Which of the Paulis a draw means, plus one; 0 for none.
fn drawn(paulis: &[(f64, [u8; 2])], draw: f64) -> usize {
    let mut sum = 0.0;
    for (i, (chance, _)) in paulis.iter().enumerate() {
        sum += chance;
        if draw < sum {
            return i + 1;
        }
    }
    0
}

//! A circuit at many values of its parameters. What does not depend on angles is done once, points whose gates
//! are of the same kinds share a plan, and points run side by side where memory and threads allow; every
//! point gives what a run of its own gives.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::analysis::kinds;
use super::choose::{Way, choose};
use super::reduce::Reduced;
use super::shots::Shots;
use super::{Choice, Outcome, Request, check_request, go};
use crate::ir::{Angle, Gate, Op};
use crate::{Circuit, Error, Watch};

/// Dense points together take no more than this: larger states are each run by all threads.
const TOGETHER: u64 = 256 << 20;

/// The values of the parameters at a point.
pub type Values<'a> = &'a (dyn Fn(usize) -> Vec<f64> + Sync);

/// A planned sweep.
#[derive(Debug)]
pub struct Sweep {
    /// With its noise, without what does not matter; parameters are open.
    circuit: Circuit,
    qubits: Vec<u32>,
    request: Request,
    ways: Vec<Way>,
    /// Bytes of the point that takes the most.
    pub bytes: u64,
    /// The methods that run; which one suits depends on the angles: at some a gate is Clifford.
    pub methods: Vec<&'static str>,
    /// Why the first point runs as it does.
    pub reason: String,
}

impl Sweep {
    /// Plans so many points.
    ///
    /// # Errors
    /// As [`super::explain`] at the first point that has an error.
    pub fn plan(
        circuit: &Circuit,
        request: &Request,
        count: usize,
        values: Values<'_>,
    ) -> Result<Self, Error> {
        circuit.check()?;
        check_request(circuit, request)?;
        let reduced = Reduced::of(circuit, request)?;
        let mut open: Vec<Gate> = Vec::new();
        reduced.circuit.each(&mut |op| match op {
            Op::Gate(gate) if is_open(gate) => open.push(gate.clone()),
            _ => {}
        });
        let mut sweep = Self {
            ways: Vec::with_capacity(count),
            bytes: 0,
            methods: Vec::new(),
            reason: String::new(),
            qubits: reduced.qubits,
            request: request.clone(),
            circuit: reduced.circuit.into_owned(),
        };
        let mut known: HashMap<Vec<u8>, Way> = HashMap::new();
        for point in 0..count {
            let values = values(point);
            let pattern = pattern(&open, &values);
            let way = match pattern.as_ref().and_then(|pattern| known.get(pattern)) {
                Some(way) => way.clone(),
                None => {
                    let mut chosen = choose(&sweep.circuit.bind(&values)?, request)?;
                    if point == 0 {
                        sweep.reason = chosen.reason;
                    }
                    if count > 1 {
                        // Programs of all points would take too much; each is made again.
                        chosen.way.framed = None;
                    }
                    if let (true, Some(pattern)) = (chosen.by_kinds, pattern) {
                        known.insert(pattern, chosen.way.clone());
                    }
                    chosen.way
                }
            };
            sweep.bytes = sweep.bytes.max(way.bytes);
            if !sweep.methods.contains(&way.method.name()) {
                sweep.methods.push(way.method.name());
            }
            sweep.ways.push(way);
        }
        Ok(sweep)
    }

    /// How many points run side by side if each takes so many bytes besides its plan's.
    #[must_use]
    pub fn together(&self, besides: u64) -> usize {
        let each = self.bytes.max(besides).max(1);
        let dense = self.ways.iter().any(|w| w.method == Choice::Dense);
        let room = match dense {
            true => self.request.available.min(TOGETHER),
            false => self.request.available,
        };
        let fit = usize::try_from(room / each).unwrap_or(usize::MAX);
        fit.min(self.request.threads).min(self.ways.len()).max(1)
    }

    /// Runs all points, that many side by side, but for those that are `known`, and makes something of each: `then`
    /// is given the point's number, its outcome, and the request with the point's share of threads and memory.
    ///
    /// # Errors
    /// That of the first point that has one, and what `then` says.
    pub fn each<T: Send>(
        &self,
        values: Values<'_>,
        together: usize,
        watch: &Watch,
        known: impl Fn(usize) -> Option<T> + Sync,
        then: impl Fn(usize, Outcome, &Request, &Watch) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let together = together.clamp(1, self.ways.len().max(1));
        let share = Request {
            threads: (self.request.threads / together).max(1),
            available: self.request.available / together as u64,
            ..self.request.clone()
        };
        watch.expect(self.ways.len() as u64);
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Result<T, Error>)>> = Mutex::default();
        let work = || {
            loop {
                let point = next.fetch_add(1, Ordering::Relaxed);
                if point >= self.ways.len() {
                    break;
                }
                let part = watch.part();
                let run = || {
                    let outcome = self.one(point, &values(point), &share, &part)?;
                    then(point, outcome, &share, &part)
                };
                let result = part
                    .check()
                    .and_then(|()| known(point).map_or_else(run, Ok));
                if result.is_err() {
                    // Points before this one are under way already, those after it do not matter.
                    next.store(self.ways.len(), Ordering::Relaxed);
                }
                watch.advance(1);
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push((point, result));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..together {
                scope.spawn(work);
            }
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(point, _)| *point);
        done.into_iter().map(|(_, result)| result).collect()
    }

    /// Runs one point by itself.
    ///
    /// # Errors
    /// As [`super::run`].
    pub fn point(&self, point: usize, values: &[f64], watch: &Watch) -> Result<Outcome, Error> {
        self.one(point, values, &self.request, watch)
    }

    fn one(
        &self,
        point: usize,
        values: &[f64],
        request: &Request,
        watch: &Watch,
    ) -> Result<Outcome, Error> {
        let way = self.ways.get(point).ok_or(Error::Numeric("a sweep"))?;
        let bound = self.circuit.bind(values)?;
        go(
            Shots::new(way.clone(), &self.qubits, &bound, request),
            watch,
        )
    }
}

fn is_open(gate: &Gate) -> bool {
    let open = |angle: &Angle| matches!(angle, Angle::Parameter { .. });
    gate.angles.iter().any(open)
}

/// The kinds of the gates with parameters, at these values; nothing where a value is missing or no number.
fn pattern(open: &[Gate], values: &[f64]) -> Option<Vec<u8>> {
    let of = |gate: &Gate| {
        let mut bound = gate.clone();
        for angle in &mut bound.angles {
            *angle = Angle::Value(angle.value(values).filter(|value| value.is_finite())?);
        }
        let (clifford, monomial) = kinds(&bound);
        Some(u8::from(clifford) | u8::from(monomial) << 1)
    };
    open.iter().map(of).collect()
}

/// Runs a circuit once for each set of parameter values.
///
/// # Errors
/// As [`super::run`], and for sets of the wrong size.
pub fn sweep(
    circuit: &Circuit,
    values: &[Vec<f64>],
    request: &Request,
    watch: &Watch,
) -> Result<Vec<Outcome>, Error> {
    let at = |point: usize| values.get(point).cloned().unwrap_or_default();
    let sweep = Sweep::plan(circuit, request, values.len(), &at)?;
    let done = |_, outcome, _: &Request, _: &Watch| Ok(outcome);
    sweep.each(&at, sweep.together(0), watch, |_| None, done)
}

//! The points of a sweep: which value each input of the circuit has in each run. Without a sweep there is
//! one point.

use std::collections::BTreeMap;

use crate::run::{Request, Sweep};
use crate::{Circuit, Error};

/// The most points of a sweep.
pub const POINTS_MAX: usize = 10_000;
/// The most operations of a circuit, times the points it is run at.
pub const OPERATIONS_MAX: u64 = 20_000_000;
/// The most amplitudes (two each), expectation values and derivatives of an answer.
pub const NUMBERS_MAX: u64 = 10_000_000;

/// A value of each parameter for each run.
#[derive(Debug)]
pub(super) struct Points {
    /// By parameter, in the order of the circuit: one value, or one for each point.
    columns: Vec<Vec<f64>>,
    count: usize,
    swept: bool,
}

impl Points {
    /// Checks that every parameter has a value, once.
    pub(super) fn of(
        circuit: &Circuit,
        inputs: &BTreeMap<String, f64>,
        sweep: &BTreeMap<String, Vec<f64>>,
    ) -> Result<Self, Error> {
        let wrong = |message: String| Err(Error::Circuit(message));
        let mut given = inputs.keys().chain(sweep.keys());
        if let Some(name) = given.find(|name| !circuit.parameters.contains(name)) {
            return wrong(format!("the circuit has no input {name}"));
        }
        if let Some(name) = sweep.keys().find(|name| inputs.contains_key(*name)) {
            return wrong(format!(
                "input {name} has a value and is swept: one of them"
            ));
        }
        let count = match sweep.iter().next() {
            None => 1,
            Some((first, list)) => {
                if let Some((other, its)) = sweep.iter().find(|(_, l)| l.len() != list.len()) {
                    return wrong(format!(
                        "the sweep has {} values of {first} and {} of {other}: inputs are swept together",
                        list.len(),
                        its.len()
                    ));
                }
                if list.is_empty() {
                    return wrong(format!("the sweep has no values of {first}"));
                }
                list.len()
            }
        };
        if count > POINTS_MAX {
            return Err(Error::Limit {
                what: "points of the sweep",
                got: count as u128,
                limit: POINTS_MAX as u128,
            });
        }
        let column = |name: &String| match (inputs.get(name), sweep.get(name)) {
            (Some(value), _) => Ok(vec![*value]),
            (None, Some(list)) => Ok(list.clone()),
            (None, None) => Err(Error::Circuit(format!("input {name} needs a value"))),
        };
        let columns = circuit.parameters.iter().map(column);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for (name, column) in circuit.parameters.iter().zip(&columns) {
            if let Some(place) = column.iter().position(|value| !value.is_finite()) {
                return wrong(format!("input {name}: value {place} is no finite number"));
            }
        }
        Ok(Self {
            columns,
            count,
            swept: !sweep.is_empty(),
        })
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether a sweep was asked for, be it of one point.
    pub(super) fn swept(&self) -> bool {
        self.swept
    }

    /// The values at a point.
    pub(super) fn values(&self, point: usize) -> Vec<f64> {
        let at = |column: &Vec<f64>| column.get(point).or(column.first()).copied();
        self.columns.iter().filter_map(at).collect()
    }

    /// Plans them.
    pub(super) fn plan(&self, circuit: &Circuit, request: &Request) -> Result<Sweep, Error> {
        Sweep::plan(circuit, request, self.count, &|point| self.values(point))
    }
}

//! Sweeps of a circuit's inputs, and gradients: where the values come from, runs in this process, and the
//! table of what came out.

use std::collections::HashMap;
use std::time::Instant;

use quantumos_circuit::Watch;
use quantumos_circuit::task::{Answer, Format, POINTS_MAX, Task};
use serde::Deserialize;

use super::args::{FormatName, PrecisionName, RunArgs, available_memory, processors, random_seed};
use super::model::{Point, Swept};
use super::{render, service};
use crate::error::Error;
use crate::output::Output;

/// The longest file of points.
const FILE_MAX: usize = 16 << 20;
/// The most points that a table shows.
const LINES: usize = 200;
/// Columns of a number in a table.
const NUMBER: usize = 12;

/// A file of points: one by one, or by input.
#[derive(Deserialize)]
#[serde(untagged)]
enum Points {
    Rows(Vec<HashMap<String, f64>>),
    Columns(HashMap<String, Vec<f64>>),
}

/// The values of each input that is swept.
pub fn columns(sweeps: &[String]) -> Result<HashMap<String, Vec<f64>>, Error> {
    let mut columns = HashMap::new();
    for sweep in sweeps {
        let list = match sweep.split_once('=') {
            Some((name, range)) => vec![(name.trim().to_owned(), values(sweep, range)?)],
            None => file(sweep, &super::text(sweep, FILE_MAX)?)?,
        };
        for (name, values) in list {
            if columns.insert(name.clone(), values).is_some() {
                return Err(Error::Usage(format!("--sweep: {name} is swept twice")));
            }
        }
    }
    Ok(columns)
}

/// `START:STOP:COUNT`, both ends among the values.
fn values(sweep: &str, range: &str) -> Result<Vec<f64>, Error> {
    let wrong = |what: &str| Error::Usage(format!("--sweep {sweep}: {what}"));
    let parts: Vec<&str> = range.split(':').map(str::trim).collect();
    let [start, stop, count] = parts[..] else {
        return Err(wrong("NAME=START:STOP:COUNT expected"));
    };
    let number = |text: &str| {
        let number = text.parse().ok().filter(|n: &f64| n.is_finite());
        number.ok_or_else(|| wrong(&format!("{text:?} is no number")))
    };
    let (start, stop) = (number(start)?, number(stop)?);
    let count = count.parse().ok().filter(|c| (1..=POINTS_MAX).contains(c));
    let count = count.ok_or_else(|| wrong(&format!("COUNT is from 1 to {POINTS_MAX}")))?;
    let step = |i: usize| i as f64 / (count - 1).max(1) as f64;
    // Both ends exactly; weights, because the difference of two numbers may be too large for one.
    Ok((0..count)
        .map(|i| start * (1.0 - step(i)) + stop * step(i))
        .collect())
}

fn file(path: &str, text: &str) -> Result<Vec<(String, Vec<f64>)>, Error> {
    let wrong = |what: String| Error::Usage(format!("{path}: {what}"));
    if text.len() > FILE_MAX {
        return Err(wrong(format!("more than {FILE_MAX} bytes of points")));
    }
    let points = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            wrong("[{\"NAME\": NUMBER}] or {\"NAME\": [NUMBER]} expected".to_owned())
        }
        _ => wrong(error.to_string()),
    })?;
    let rows = match points {
        Points::Columns(columns) if columns.is_empty() => {
            return Err(wrong("no points".to_owned()));
        }
        Points::Columns(columns) => return Ok(columns.into_iter().collect()),
        Points::Rows(rows) => rows,
    };
    let Some(first) = rows.first().filter(|row| !row.is_empty()) else {
        return Err(wrong("no points".to_owned()));
    };
    if let Some(i) = rows.iter().position(|row| row.len() != first.len()) {
        return Err(wrong(format!("point {i} has other inputs than point 0")));
    }
    let column = |name: &String| {
        let values = rows.iter().enumerate().map(|(i, row)| {
            let missing = || wrong(format!("point {i} has no value of {name}"));
            row.get(name).copied().ok_or_else(missing)
        });
        Ok((name.clone(), values.collect::<Result<_, Error>>()?))
    };
    first.keys().map(column).collect()
}

/// Runs a sweep, or a gradient, here.
pub fn run(output: &Output, args: &RunArgs) -> Result<(), Error> {
    super::not_stim(&args.source)?;
    let task = task(args)?;
    let memory = args.memory.map_or_else(available_memory, Ok)?;
    let threads = args.threads.unwrap_or_else(processors).max(1);
    let start = Instant::now();
    let ready = task.ready(threads, memory)?;
    let Answer::Document(document) = ready.run(&Watch::default())? else {
        return Err(Error::Answer("amplitudes alone".to_owned()));
    };
    let seconds = start.elapsed().as_secs_f64();
    let bytes = document.to_string().into_bytes();
    if args.sweep.is_empty() {
        let result = service::document(&bytes, seconds)?;
        return output.document(&result, |r| {
            render::result(r, output.columns(), &output.style)
        });
    }
    let swept = read(&bytes, seconds)?;
    output.document(&swept, |s| table(s, &args.observable, output))
}

fn task(args: &RunArgs) -> Result<Task, Error> {
    Ok(Task {
        circuit: super::text(&args.source.file, quantumos_circuit::qasm::TEXT_MAX)?,
        format: match args.source.format {
            FormatName::Json => Format::Json,
            FormatName::Qasm => Format::Qasm,
            FormatName::Auto | FormatName::Stim => Format::Auto,
        },
        method: args.method.choice(),
        precision: match args.precision {
            PrecisionName::Single => quantumos_circuit::run::Precision::Single,
            PrecisionName::Double => quantumos_circuit::run::Precision::Double,
        },
        bond: Some(u32::try_from(args.bond).unwrap_or(u32::MAX)),
        shots: args.shots,
        seed: args.seed.unwrap_or_else(random_seed),
        per_shot: args.per_shot,
        statevector: false,
        amplitudes: args.amplitude.clone(),
        observables: args.observable.clone(),
        inputs: args.inputs()?.into_iter().collect(),
        sweep: columns(&args.sweep)?.into_iter().collect(),
        gradient: args.gradient,
        noise: args.noise.clone(),
        readout: args.readout()?,
    })
}

/// The answer of the engine, here or from quantumd.
pub fn read(bytes: &[u8], seconds: f64) -> Result<Swept, Error> {
    let answer = |error: serde_json::Error| Error::Answer(error.to_string());
    let mut swept: Swept = serde_json::from_slice(bytes).map_err(answer)?;
    if let Some((method, reason)) = swept.method.split_once(": ") {
        (swept.method, swept.reason) = (method.to_owned(), reason.to_owned());
    }
    swept.seconds = seconds;
    Ok(swept)
}

/// A line for each point: inputs, then expectation values and derivatives, or the result that came most.
pub fn table(swept: &Swept, observables: &[String], output: &Output) -> String {
    let names = swept.points.first().map(|p| p.inputs.keys());
    let names: Vec<&String> = names.into_iter().flatten().collect();
    let mut heads: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
    for observable in observables {
        heads.push(observable.clone());
        if swept
            .points
            .first()
            .is_some_and(|p| !p.gradients.is_empty())
        {
            heads.extend(names.iter().map(|name| format!("by {name}")));
        }
    }
    let head = heads.iter().map(|head| format!("{:>NUMBER$}", cut(head)));
    let mut line = head.collect::<Vec<_>>().join("  ");
    if observables.is_empty() {
        line += "  most often";
    }
    let mut out = format!("{}\n", output.style.bold(&line));
    for point in swept.points.iter().take(LINES) {
        let mut numbers: Vec<f64> = point.inputs.values().copied().collect();
        for (i, value) in point.expectations.iter().enumerate() {
            numbers.push(*value);
            numbers.extend(
                point
                    .gradients
                    .get(i)
                    .into_iter()
                    .flat_map(|by| by.values()),
            );
        }
        let cells = numbers.into_iter().map(|n| {
            let text = render::unsigned_zero(format!("{n:.6}"));
            format!("{text:>NUMBER$}")
        });
        out += &cells.collect::<Vec<_>>().join("  ");
        if observables.is_empty() {
            out += &most(point, swept.shots);
        }
        out.push('\n');
    }
    let more = swept.points.len().saturating_sub(LINES);
    if more > 0 {
        out += &format!("... and {more} more points (--json shows all)\n");
    }
    let error = swept
        .points
        .iter()
        .map(|p| p.error_bound)
        .fold(0.0, f64::max);
    let note = format!(
        "{} ({}), {} shots each, seed {}, {}, {}, {:.3} s",
        swept.method,
        swept.reason,
        swept.shots,
        swept.seed,
        render::bound(error),
        render::size(swept.bytes),
        swept.seconds,
    );
    out + &render::lines(&note, output.columns(), &output.style)
}

/// The result that came most often, and its share.
fn most(point: &Point, shots: u64) -> String {
    // Of equal ones the first by name.
    let most = point.counts.iter().rev().max_by_key(|(_, count)| **count);
    most.map_or_else(String::new, |(key, count)| {
        let share = *count as f64 / shots.max(1) as f64 * 100.0;
        format!("  {} {share:.1} %", render::folded(key))
    })
}

/// As much of a head as a column holds.
fn cut(text: &str) -> String {
    if text.chars().count() <= NUMBER {
        return text.to_owned();
    }
    let start: String = text.chars().take(NUMBER - 1).collect();
    start + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_both_ends_and_files_rows_or_columns() {
        assert_eq!(values("", "0:1:5").unwrap(), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(values("", "-2:7:1").unwrap(), [-2.0]);
        let ends = values("", "-1e308:1e308:3").unwrap();
        assert_eq!(ends, [-1e308, 0.0, 1e308]);
        for bad in [
            "1",
            "0:1",
            "0:1:0",
            "0:1:10001",
            "a:1:3",
            "0:inf:3",
            "0:1:3:4",
            "0:1:2.5",
        ] {
            assert!(values("t=", bad).is_err(), "{bad}");
        }
        for text in [
            "[{\"a\":1,\"b\":2},{\"b\":4,\"a\":3}]",
            "{\"a\":[1,3],\"b\":[2,4]}",
        ] {
            let mut columns = file("f", text).unwrap();
            columns.sort_by(|x, y| x.0.cmp(&y.0));
            let wanted = [
                ("a".to_owned(), vec![1.0, 3.0]),
                ("b".to_owned(), vec![2.0, 4.0]),
            ];
            assert_eq!(columns, wanted);
        }
        for (text, words) in [
            ("[]", "no points"),
            ("[{}]", "no points"),
            ("{}", "no points"),
            ("[{\"a\":1},{\"b\":1}]", "point 1 has no value of a"),
            ("[{\"a\":1},{\"a\":1,\"b\":1}]", "point 1 has other inputs"),
            ("[1]", "expected"),
            ("{\"a\":", "line 1"),
        ] {
            let error = file("f", text).unwrap_err().to_string();
            assert!(error.starts_with("f: ") && error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_head_fits_its_column() {
        assert_eq!(cut("ZZ"), "ZZ");
        assert_eq!(cut("0.5*X0 X1 + ZZ").chars().count(), NUMBER);
    }
}

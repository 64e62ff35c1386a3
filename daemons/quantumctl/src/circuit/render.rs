//! Results as text: histogram, explanation.

use super::model::{Explanation, Result as RunResult};
use crate::text::fit::{self, Columns};
use crate::text::style::Style;

/// The most lines of a histogram or of a list of amplitudes.
const LINES: usize = 32;
const BAR: usize = 40;

pub fn result(result: &RunResult, columns: Columns, style: &Style) -> String {
    let mut out = histogram(result);
    let list = |name: &str, values: Vec<String>, out: &mut String| {
        let more = values.len().saturating_sub(LINES);
        for value in values.into_iter().take(LINES) {
            out.push_str(&format!("{name} {value}\n"));
        }
        if more > 0 {
            out.push_str(&format!("... and {more} more (--json shows all)\n"));
        }
    };
    let slopes = result.gradients.iter().enumerate();
    let slopes = slopes.flat_map(|(i, by)| by.iter().map(move |(name, d)| (i, name, d)));
    let several = result.gradients.len() > 1;
    let complex = |a: &[f64; 2]| format!("{:+.6} {:+.6}i", a[0], a[1]);
    list(
        "expectation",
        result.expectations.iter().map(|e| number(*e)).collect(),
        &mut out,
    );
    list(
        "derivative",
        slopes
            .map(|(i, name, slope)| match several {
                true => format!("of {i} by {name} {}", number(*slope)),
                false => format!("by {name} {}", number(*slope)),
            })
            .collect(),
        &mut out,
    );
    list(
        "amplitude",
        result.amplitudes.iter().map(complex).collect(),
        &mut out,
    );
    let states = result.statevector.iter().enumerate();
    list(
        "",
        states
            .map(|(i, a)| format!("{i:>8} {}", complex(a)))
            .collect(),
        &mut out,
    );
    list("shot", result.per_shot.clone(), &mut out);
    let note = format!(
        "{} ({}), {} shots, seed {}, {}, {}, {:.3} s",
        result.method,
        result.reason,
        result.shots,
        result.seed,
        bound(result.error_bound),
        size(result.bytes),
        result.seconds,
    );
    out + &lines(&note, columns, style)
}

/// A note in lines that the terminal does not have to break.
pub fn lines(note: &str, columns: Columns, style: &Style) -> String {
    let lines = fit::lines(note, columns, 0).into_iter();
    lines.map(|line| style.dim(&line) + "\n").collect()
}

/// Ten digits, and no sign where all of them are zero.
fn number(value: f64) -> String {
    unsigned_zero(format!("{value:.10}"))
}

/// A number as it is, but zero without its sign.
pub fn unsigned_zero(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|c| matches!(c, b'0' | b'.')) => rest.to_owned(),
        _ => text,
    }
}

pub fn bound(error: f64) -> String {
    if error == 0.0 {
        "exact".to_owned()
    } else {
        format!("error below {error:.1e}")
    }
}

/// Bits with each run of eight or more equal ones as `0{COUNT}`, so that a line holds wide registers.
pub fn folded(bits: &str) -> String {
    let mut out = String::new();
    let mut rest = bits;
    while let Some(first) = rest.chars().next() {
        let after = rest.trim_start_matches(first);
        let count = (rest.len() - after.len()) / first.len_utf8();
        if count < 8 {
            out.push_str(&rest[..rest.len() - after.len()]);
        } else {
            out.push_str(&format!("{first}{{{count}}}"));
        }
        rest = after;
    }
    out
}

fn histogram(result: &RunResult) -> String {
    let mut counts: Vec<(&String, u64)> = result.counts.iter().map(|(k, c)| (k, *c)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let most = counts.first().map_or(1, |c| c.1).max(1);
    let digits = most.to_string().len();
    let keys = counts.iter().take(LINES).map(|(key, _)| folded(key));
    let width = keys.map(|key| key.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (key, count) in counts.iter().take(LINES) {
        let key = folded(key);
        // Eighths of a column.
        let eighths = (*count as f64 / most as f64 * (BAR * 8) as f64).round() as usize;
        let mut bar = "█".repeat(eighths / 8);
        bar.extend(
            ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
                .get(eighths % 8)
                .copied(),
        );
        let share = *count as f64 / result.shots.max(1) as f64 * 100.0;
        out.push_str(&format!(
            "{key:<width$}  {count:>digits$}  {share:5.1} %  {bar}\n"
        ));
    }
    if counts.len() > LINES {
        let rest: u64 = counts[LINES..].iter().map(|c| c.1).sum();
        out.push_str(&format!(
            "... and {} more results in {rest} shots\n",
            counts.len() - LINES
        ));
    }
    out
}

pub fn explanation(e: &Explanation, style: &Style) -> String {
    let mut out = format!("{}: {}\n", style.bold(&e.method), e.reason);
    out.push_str(&format!(
        "memory     {} of {}\n",
        size(e.bytes),
        size(e.available)
    ));
    out.push_str(&format!(
        "qubits     {} needed of {}\n",
        e.qubits_needed, e.qubits
    ));
    out.push_str(&format!(
        "gates      {} needed, {} outside of the light cone, {} not Clifford\n",
        e.gates, e.gates_dropped, e.gates_not_clifford
    ));
    let shown: Vec<String> = e.groups.iter().take(8).map(u32::to_string).collect();
    let more = if e.groups.len() > 8 { ", ..." } else { "" };
    out.push_str(&format!(
        "groups     {}{more} qubits that meet\n",
        shown.join(", ")
    ));
    for method in &e.methods {
        let mark = if method.fits { "can   " } else { "cannot" };
        let bytes = method.bytes.map_or_else(|| "unknown".to_owned(), size);
        out.push_str(&format!(
            "{:<10} {mark} {}, {bytes}\n",
            method.name, method.reason
        ));
    }
    out
}

/// Bytes in a unit that leaves few digits.
pub fn size(bytes: u64) -> String {
    if bytes == u64::MAX {
        return "more than 16 EiB".to_owned();
    }
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1024.0 {
            let digits = usize::from(value.fract() != 0.0 && value < 100.0);
            return format!("{value:.digits$} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} EiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_counted_and_short_ones_stay() {
        for (bits, wanted) in [
            ("", ""),
            ("0000000", "0000000"),
            ("00000000", "0{8}"),
            ("1010", "1010"),
            ("000000000 11111111101", "0{9} 1{9}01"),
        ] {
            assert_eq!(folded(bits), wanted);
        }
    }

    #[test]
    fn notes_break_between_words_and_zero_has_no_sign() {
        let style = Style::PLAIN;
        assert_eq!(
            lines("dense (2^4), seed 1, exact", Some(20), &style),
            "dense (2^4), seed 1,\nexact\n"
        );
        assert_eq!(lines("a, b", None, &style), "a, b\n");
        assert_eq!(number(-1e-17), "0.0000000000");
        assert_eq!(number(-0.25), "-0.2500000000");
    }

    #[test]
    fn no_error_is_called_exact() {
        assert_eq!(bound(0.0), "exact");
        assert_eq!(bound(1.5e-7), "error below 1.5e-7");
    }

    #[test]
    fn sizes_have_few_digits() {
        for (bytes, wanted) in [
            (0, "0 B"),
            (1536, "1.5 KiB"),
            (16 << 30, "16 GiB"),
            (u64::MAX, "more than 16 EiB"),
        ] {
            assert_eq!(size(bytes), wanted);
        }
    }
}

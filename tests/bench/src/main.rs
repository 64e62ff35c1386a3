//! Prints figures: one line a measure on standard output, progress and failures on standard error.

use std::process::ExitCode;

use quantumos_bench::SETS;

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "all".to_owned());
    let mut sets = SETS
        .iter()
        .filter(|(name, _)| is_wanted(name, &wanted))
        .peekable();
    if sets.peek().is_none() {
        let names: Vec<&str> = SETS.iter().map(|(name, _)| *name).collect();
        eprintln!("no set {wanted}; there are: all {}", names.join(" "));
        return ExitCode::from(2);
    }
    let mut code = ExitCode::SUCCESS;
    for (name, measure) in sets {
        eprintln!("measuring {name} ...");
        let mut print = |name: &str, value: f64, unit: &str, peer: &str, ratio: Option<f64>| {
            println!("{}", line(name, value, unit, peer, ratio));
        };
        // The other sets can still be measured.
        if let Err(error) = measure(&mut print) {
            eprintln!("{name} could not be measured: {error}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn is_wanted(name: &str, wanted: &str) -> bool {
    let group = name.split('.').next().unwrap_or(name);
    [name, group, "all"].contains(&wanted)
}

fn line(name: &str, value: f64, unit: &str, peer: &str, ratio: Option<f64>) -> String {
    let or_dash = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    let ratio = ratio.map(number).unwrap_or_default();
    [
        name.to_owned(),
        number(value),
        unit.to_owned(),
        or_dash(peer.to_owned()),
        or_dash(ratio),
    ]
    .join("\t")
}

/// Three digits where there is a fraction to show.
fn number(value: f64) -> String {
    if value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_wanted_by_its_name_its_group_or_with_all() {
        for (wanted, yes) in [
            ("all", true),
            ("security", true),
            ("security.storm", true),
            ("security.", false),
            ("storm", false),
            ("idle", false),
        ] {
            assert_eq!(is_wanted("security.storm", wanted), yes, "{wanted}");
        }
    }

    #[test]
    fn a_line_has_five_fields() {
        for (line, wanted) in [
            (line("a", 1.5, "s", "", None), "a\t1.500\ts\t-\t-"),
            (
                line("b", 12345.6, "1/s", "raw", Some(0.25)),
                "b\t12346\t1/s\traw\t0.250",
            ),
        ] {
            assert_eq!(line, wanted);
        }
    }
}

//! Value modifiers: how `Field|contains|all: [a, b]` becomes tests.
//!
//! Modifiers are applied in the order written, as the specification says: first those that change the values
//! (`wide`, `base64offset`, `windash`), then the one that says how to compare, then `all`.
//! A modifier that isn't known is an error; guessing would make a rule that silently never fires.

use crate::encoding::{base64, base64_at, dashes, utf16};
use crate::error::{Place, RuleError};
use crate::expand::{self, Placeholders};
use crate::field::Field;
use crate::pattern::{Part, Wildcard};
use crate::rule::Selection;
use crate::yaml::{Node, short};
use regex::bytes::{Regex, RegexBuilder};
use std::net::IpAddr;

/// The most memory a compiled regular expression may take, in bytes.
const REGEX_LIMIT: usize = 1 << 20;
/// The longest value, in bytes.
const MAX_VALUE: usize = 16 * 1024;

/// One test of one field. An empty field name means: any text of the event (a keyword).
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) field: String,
    pub(crate) predicate: Predicate,
}

/// What a field is tested for.
#[derive(Debug, Clone)]
pub(crate) enum Predicate {
    Like {
        pattern: Wildcard,
        cased: bool,
    },
    Regex {
        regex: Regex,
        flags: [bool; 3],
    },
    Cidr {
        network: IpAddr,
        prefix: u8,
    },
    Compare(Comparison, i64),
    /// Another field holds the same.
    SameAs {
        other: String,
        field: Option<Field>,
        mode: Mode,
        cased: bool,
    },
    Exists,
    /// Absent or empty.
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    Whole,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Copy, PartialEq)]
enum Compare {
    Text(Mode),
    Regex {
        ignore_case: bool,
        multi_line: bool,
        dot_all: bool,
    },
    Cidr,
    Number(Comparison),
    Exists,
    FieldReference(Mode),
}

/// Turns `Field|modifiers` and its values into tests.
pub(crate) fn apply(
    key: &str,
    at: Place,
    values: &[&Node],
    placeholders: &mut Placeholders<'_>,
) -> Result<Selection, RuleError> {
    let mut words = key.split('|');
    let field = words.next().unwrap_or_default();
    if field.len() > 128 || field.chars().any(char::is_control) {
        return Err(RuleError::new(
            at,
            format!("`{}` is not a field's name", short(field)),
        ));
    }
    // Keywords are looked for anywhere in the text.
    let mut how = Compare::Text(if field.is_empty() {
        Mode::Contains
    } else {
        Mode::Whole
    });
    let (mut all, mut cased, mut negated, mut expanded) = (false, false, false, false);
    let mut changes = Vec::new();
    for word in words {
        let text_mode = |how: Compare, mode: Mode| match how {
            Compare::FieldReference(_) => Compare::FieldReference(mode),
            _ => Compare::Text(mode),
        };
        match word {
            "contains" => how = text_mode(how, Mode::Contains),
            "startswith" => how = text_mode(how, Mode::StartsWith),
            "endswith" => how = text_mode(how, Mode::EndsWith),
            "all" => all = true,
            "cased" => cased = true,
            "neq" => negated = true,
            "re" => {
                how = Compare::Regex {
                    ignore_case: false,
                    multi_line: false,
                    dot_all: false,
                }
            }
            "i" | "m" | "s" => match &mut how {
                Compare::Regex {
                    ignore_case,
                    multi_line,
                    dot_all,
                } => match word {
                    "i" => *ignore_case = true,
                    "m" => *multi_line = true,
                    _ => *dot_all = true,
                },
                _ => {
                    return Err(RuleError::new(
                        at,
                        format!("the modifier `{word}` must follow `re`"),
                    ));
                }
            },
            "cidr" => how = Compare::Cidr,
            "lt" => how = Compare::Number(Comparison::Less),
            "lte" => how = Compare::Number(Comparison::LessOrEqual),
            "gt" => how = Compare::Number(Comparison::Greater),
            "gte" => how = Compare::Number(Comparison::GreaterOrEqual),
            "exists" => how = Compare::Exists,
            "fieldref" => {
                let mode = if let Compare::Text(mode) = how {
                    mode
                } else {
                    Mode::Whole
                };
                how = Compare::FieldReference(mode);
            }
            "base64" | "base64offset" | "windash" | "wide" | "utf16" | "utf16le" | "utf16be" => {
                changes.push(word)
            }
            "expand" => expanded = true,
            other => {
                return Err(RuleError::new(
                    at,
                    format!("unknown modifier `{}`", short(other)),
                ));
            }
        }
    }
    if !changes.is_empty() && !matches!(how, Compare::Text(_)) {
        return Err(RuleError::new(
            at,
            format!("`{}` needs a text comparison", changes.join("|")),
        ));
    }
    if all && values.len() < 2 && !field.is_empty() {
        // `all` over one value is harmless; the specification only advises against it.
        all = false;
    }
    let filled;
    let values = if expanded {
        filled = expand::fill(values, placeholders)?;
        &filled.iter().collect::<Vec<_>>()[..]
    } else {
        values
    };
    let mut tests = Vec::new();
    for value in values {
        tests.push(test(field, value, how, cased, &changes)?);
    }
    let together = match tests.len() {
        1 => tests.swap_remove(0),
        _ if all => Selection::All(tests),
        _ => Selection::Any(tests),
    };
    Ok(if negated {
        Selection::Not(Box::new(together))
    } else {
        together
    })
}

fn test(
    field: &str,
    value: &Node,
    how: Compare,
    cased: bool,
    changes: &[&str],
) -> Result<Selection, RuleError> {
    let leaf = |predicate| {
        Selection::Test(Test {
            field: field.to_string(),
            predicate,
        })
    };
    let Some(text) = value.text() else {
        return Err(RuleError::new(
            value.at,
            format!("a value must be a single value, not {}", value.kind()),
        ));
    };
    if text.len() > MAX_VALUE {
        return Err(RuleError::new(
            value.at,
            format!("a value of {} bytes; the limit is {MAX_VALUE}", text.len()),
        ));
    }
    let wrong = |reason: String| RuleError::new(value.at, reason);
    if value.is_null() {
        return match how {
            Compare::Text(Mode::Whole) if changes.is_empty() && !field.is_empty() => {
                Ok(leaf(Predicate::Null))
            }
            _ => Err(wrong("null can only be compared as a whole".into())),
        };
    }
    match how {
        Compare::Text(Mode::Contains) if field.is_empty() && value.is_number() => {
            Ok(leaf(word(text)))
        }
        Compare::Text(mode) => {
            let mut patterns = vec![Wildcard::parse(text)];
            for change in changes {
                patterns = changed(change, patterns).map_err(wrong)?;
            }
            let mut tests: Vec<Selection> = patterns
                .into_iter()
                .map(|pattern| {
                    leaf(Predicate::Like {
                        pattern: mode.open(pattern),
                        cased,
                    })
                })
                .collect();
            Ok(if tests.len() == 1 {
                tests.swap_remove(0)
            } else {
                Selection::Any(tests)
            })
        }
        Compare::Regex {
            ignore_case,
            multi_line,
            dot_all,
        } => {
            // Bytes, not characters, unless the pattern itself is more than ASCII: paths needn't be UTF-8.
            let regex = RegexBuilder::new(text)
                .unicode(!text.is_ascii())
                .case_insensitive(ignore_case)
                .multi_line(multi_line)
                .dot_matches_new_line(dot_all)
                .size_limit(REGEX_LIMIT)
                .dfa_size_limit(REGEX_LIMIT)
                .nest_limit(64)
                .build();
            let regex = regex.map_err(|error| {
                wrong(format!(
                    "regular expression: {}",
                    last_line(&error.to_string())
                ))
            })?;
            Ok(leaf(Predicate::Regex {
                regex,
                flags: [ignore_case, multi_line, dot_all],
            }))
        }
        Compare::Cidr => {
            let (network, prefix) = cidr(text).ok_or_else(|| {
                wrong(format!(
                    "`{}` is not a network like 10.0.0.0/8",
                    short(text)
                ))
            })?;
            Ok(leaf(Predicate::Cidr { network, prefix }))
        }
        Compare::Number(comparison) => {
            let number = text
                .trim()
                .parse()
                .map_err(|_| wrong(format!("`{}` is not a whole number", short(text))))?;
            Ok(leaf(Predicate::Compare(comparison, number)))
        }
        Compare::Exists => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" => Ok(leaf(Predicate::Exists)),
            "false" | "no" => Ok(Selection::Not(Box::new(leaf(Predicate::Exists)))),
            _ => Err(wrong("`exists` takes true or false".into())),
        },
        Compare::FieldReference(mode) => Ok(leaf(Predicate::SameAs {
            other: text.to_string(),
            field: Field::from_name(text),
            mode,
            cased,
        })),
    }
}

/// A number as a keyword: a word of its own, since digits stand in nearly every text.
fn word(digits: &str) -> Predicate {
    let pattern = format!("(?:^|[^0-9A-Za-z]){digits}(?:$|[^0-9A-Za-z])");
    match RegexBuilder::new(&pattern).unicode(false).build() {
        Ok(regex) => Predicate::Regex {
            regex,
            flags: [false; 3],
        },
        // Digits make no wrong expression; were it one, the text itself would be looked for.
        Err(_) => Predicate::Like {
            pattern: Mode::Contains.open(Wildcard::literal(digits)),
            cased: false,
        },
    }
}

impl Mode {
    fn open(self, pattern: Wildcard) -> Wildcard {
        match self {
            Mode::Whole => pattern,
            Mode::Contains => pattern.open(true, true),
            Mode::StartsWith => pattern.open(false, true),
            Mode::EndsWith => pattern.open(true, false),
        }
    }
}

fn changed(change: &str, patterns: Vec<Wildcard>) -> Result<Vec<Wildcard>, String> {
    let mut out = Vec::new();
    for mut pattern in patterns {
        match change {
            "windash" => out.extend(dashes(&pattern)),
            "wide" | "utf16le" => {
                each_literal(&mut pattern, |bytes| utf16(bytes, u16::to_le_bytes))?;
                out.push(pattern);
            }
            "utf16be" => {
                each_literal(&mut pattern, |bytes| utf16(bytes, u16::to_be_bytes))?;
                out.push(pattern);
            }
            "utf16" => {
                let mark = vec![0xff, 0xfe];
                let whole = pattern.as_literal().ok_or("`utf16` takes no wildcard")?;
                out.push(Wildcard::literal(
                    [mark, utf16(whole, u16::to_le_bytes)?].concat(),
                ));
            }
            "base64" => out.push(Wildcard::literal(base64(
                pattern.as_literal().ok_or("`base64` takes no wildcard")?,
            ))),
            _ => {
                let bytes = pattern
                    .as_literal()
                    .ok_or("`base64offset` takes no wildcard")?;
                out.extend((0..3).map(|offset| Wildcard::literal(base64_at(bytes, offset))));
            }
        }
    }
    Ok(out)
}

fn each_literal(
    pattern: &mut Wildcard,
    change: impl Fn(&[u8]) -> Result<Vec<u8>, String>,
) -> Result<(), String> {
    for part in pattern.parts_mut() {
        if let Part::Literal(bytes) = part {
            *bytes = change(bytes)?;
        }
    }
    Ok(())
}

/// `10.0.0.0/8`, `2001:db8::/32`, or a single address.
pub(crate) fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, prefix.parse().ok()?),
        None => {
            let address = text.parse::<IpAddr>().ok()?;
            (address, if address.is_ipv4() { 32 } else { 128 })
        }
    };
    (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, prefix))
}

/// Whether an address lies in a network.
pub(crate) fn in_network(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let shift = width - u32::from(prefix).min(width);
        shift == width || (a >> shift) == (b >> shift)
    };
    match (address.to_canonical(), network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => same(u32::from(a).into(), u32::from(n).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => same(a.into(), n.into(), 128),
        _ => false,
    }
}

fn last_line(text: &str) -> &str {
    text.lines()
        .last()
        .unwrap_or(text)
        .trim_start_matches("error: ")
}

impl Comparison {
    pub(crate) fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("::1/128", "::1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
            ("::/0", "10.0.0.1", false),
        ];
        for (network, address, expected) in cases {
            let (n, p) = cidr(network).unwrap();
            assert_eq!(
                in_network(address.parse().unwrap(), n, p),
                expected,
                "{network} {address}"
            );
        }
        for wrong in ["10.0.0.0/33", "10.0.0/8", "x", "::/129", "10.0.0.0/"] {
            assert_eq!(cidr(wrong), None, "{wrong}");
        }
    }
}

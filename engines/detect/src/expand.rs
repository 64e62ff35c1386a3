//! Placeholders: `%name%` in the values of a field with the modifier `expand`, filled from the configuration.
//! A placeholder with several values makes several values; one that the configuration doesn't know makes none, and
//! its name is kept, so that the rule can say why it doesn't apply.

use crate::error::RuleError;
use crate::yaml::{Data, Node};
use std::collections::BTreeMap;

/// The most values that one field may have after filling in.
const MAX_VALUES: usize = 10_000;

/// The configuration's placeholders, and those that a rule wanted and it doesn't have.
pub(crate) struct Placeholders<'a> {
    known: &'a BTreeMap<String, Vec<String>>,
    unfilled: Vec<String>,
}

impl<'a> Placeholders<'a> {
    pub(crate) fn new(known: &'a BTreeMap<String, Vec<String>>) -> Self {
        Self {
            known,
            unfilled: Vec::new(),
        }
    }

    pub(crate) fn take_unfilled(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unfilled)
    }
}

/// The values with their placeholders filled in.
pub(crate) fn fill(
    values: &[&Node],
    placeholders: &mut Placeholders<'_>,
) -> Result<Vec<Node>, RuleError> {
    let mut out: Vec<Node> = Vec::new();
    for value in values {
        let Some(text) = value.text() else {
            out.push((*value).clone());
            continue;
        };
        let mut texts = vec![String::new()];
        for (n, piece) in text.split('%').enumerate() {
            let placeholder = n % 2 == 1 && is_name(piece);
            let with: &[String] = match placeholders.known.get(piece) {
                Some(values) if placeholder => values,
                None if placeholder => {
                    let name = format!("%{piece}%");
                    if !placeholders.unfilled.contains(&name) {
                        placeholders.unfilled.push(name);
                    }
                    &[]
                }
                _ if n % 2 == 1 => return Err(unclosed(value)),
                _ => &[piece.to_string()],
            };
            if texts.len().saturating_mul(with.len()) > MAX_VALUES {
                return Err(RuleError::new(
                    value.at,
                    format!("placeholders make more than {MAX_VALUES} values"),
                ));
            }
            texts = texts
                .iter()
                .flat_map(|start| with.iter().map(move |end| format!("{start}{end}")))
                .collect();
        }
        if text.matches('%').count() % 2 == 1 {
            return Err(unclosed(value));
        }
        out.extend(texts.into_iter().map(|text| Node {
            at: value.at,
            data: Data::Scalar { text, plain: false },
        }));
        if out.len() > MAX_VALUES {
            return Err(RuleError::new(
                value.at,
                format!("placeholders make more than {MAX_VALUES} values"),
            ));
        }
    }
    Ok(out)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn unclosed(value: &Node) -> RuleError {
    RuleError::new(
        value.at,
        "`expand` takes placeholders written as %name%; this `%` starts none",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;

    fn scalar(text: &str) -> Node {
        Node {
            at: Place::default(),
            data: Data::Scalar {
                text: text.into(),
                plain: true,
            },
        }
    }

    #[test]
    fn fills_in_every_value() {
        let known = BTreeMap::from([
            ("admins".to_string(), vec!["ann".to_string(), "bob".into()]),
            ("host".to_string(), vec!["h".to_string()]),
        ]);
        type Case<'a> = (&'a str, Result<&'a [&'a str], ()>, &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            ("plain", Ok(&["plain"]), &[]),
            ("%admins%", Ok(&["ann", "bob"]), &[]),
            ("x-%admins%@%host%", Ok(&["x-ann@h", "x-bob@h"]), &[]),
            ("%nobody%", Ok(&[]), &["%nobody%"]),
            ("50% of %host%", Err(()), &[]),
            ("%admins", Err(()), &[]),
            ("%%", Err(()), &[]),
        ];
        for (text, expected, unfilled) in cases {
            let mut placeholders = Placeholders::new(&known);
            let filled = fill(&[&scalar(text)], &mut placeholders);
            let texts = filled.as_ref().map(|nodes| {
                nodes
                    .iter()
                    .map(|node| node.text().unwrap())
                    .collect::<Vec<_>>()
            });
            match expected {
                Ok(expected) => assert_eq!(texts.unwrap(), *expected, "{text}"),
                Err(()) => assert!(texts.is_err(), "{text}"),
            }
            assert_eq!(placeholders.take_unfilled(), *unfilled, "{text}");
        }
    }

    #[test]
    fn refuses_to_unfold_without_end() {
        let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let known = BTreeMap::from([("n".to_string(), many)]);
        let mut placeholders = Placeholders::new(&known);
        assert!(fill(&[&scalar("%n%%n%%n%")], &mut placeholders).is_err());
    }
}

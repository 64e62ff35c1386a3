//! YAML as a small tree with a place for every node, within hard limits.
//!
//! Rule files come from strangers: aliases are refused (so a few lines cannot unfold into gigabytes), as are
//! duplicate keys, deep nesting and files over [`MAX_BYTES`]. Scalars keep whether they were quoted, because
//! `null`, `5` and `'5'` mean different things in a rule.

use crate::error::{Place, RuleError};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// The largest rule file accepted, in bytes.
pub(crate) const MAX_BYTES: usize = 512 * 1024;
/// The most nodes (scalars, lists, maps) accepted in one file.
const MAX_NODES: usize = 50_000;
/// The deepest nesting accepted. The deepest form Sigma defines needs five levels.
const MAX_DEPTH: usize = 24;

/// One node with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) data: Data,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    /// Text, and whether it was written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// Entries in file order; keys are unique.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether this is YAML's null: nothing, `~` or `null` without quotes.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Whether this is a whole number without quotes or sign.
    pub(crate) fn is_number(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, plain: true } if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
    }

    /// The value of a key in a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.data {
            Data::Map(entries) => entries
                .iter()
                .find(|(k, _)| k.text() == Some(key))
                .map(|(_, v)| v),
            _ => None,
        }
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar { .. } if self.is_null() => "nothing",
            Data::Scalar { .. } => "a single value",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }
}

/// Every document of a file.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, RuleError> {
    if text.len() > MAX_BYTES {
        let reason = format!(
            "the file has {} bytes; the limit is {MAX_BYTES}",
            text.len()
        );
        return Err(RuleError::new(Place { line: 1, column: 1 }, reason));
    }
    // The scanner takes a NUL for the end of its input: what follows would be dropped without a word.
    if let Some(position) = text.bytes().position(|b| b == 0) {
        let line = text.as_bytes()[..position]
            .iter()
            .filter(|&&b| b == b'\n')
            .count() as u32
            + 1;
        return Err(RuleError::new(
            Place { line, column: 1 },
            "the file holds a NUL byte",
        ));
    }
    let mut loader = Loader::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|e| RuleError::new(place_of(e.marker()), e.info()))?;
        loader.take(event, span)?;
    }
    Ok(loader.documents)
}

fn place_of(marker: &saphyr_parser::Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: number(marker.line()),
        column: number(marker.col().saturating_add(1)),
    }
}

/// A list or map that is still open.
enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<(Node, Node)>, Option<Node>),
}

#[derive(Default)]
struct Loader {
    documents: Vec<Node>,
    open: Vec<Open>,
    nodes: usize,
}

impl Loader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), RuleError> {
        let at = place_of(&span.start);
        match event {
            Event::Alias(_) => Err(RuleError::new(
                at,
                "aliases (*name) are not accepted in rules",
            )),
            Event::Scalar(text, style, _, _) => {
                let plain = style == ScalarStyle::Plain;
                self.add(Node {
                    at,
                    data: Data::Scalar {
                        text: text.into_owned(),
                        plain,
                    },
                })
            }
            Event::SequenceStart(..) => self.enter(at, Open::List(at, Vec::new())),
            Event::MappingStart(..) => self.enter(at, Open::Map(at, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(at, items)) => self.add(Node {
                    at,
                    data: Data::List(items),
                }),
                Some(Open::Map(at, entries, None)) => self.add(Node {
                    at,
                    data: Data::Map(entries),
                }),
                Some(Open::Map(_, _, Some(key))) => {
                    Err(RuleError::new(key.at, "a key without a value"))
                }
                None => Err(RuleError::new(at, "an end without a start")),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn enter(&mut self, at: Place, open: Open) -> Result<(), RuleError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(RuleError::new(
                at,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.open.push(open);
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), RuleError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(RuleError::new(
                node.at,
                format!("more than {MAX_NODES} values in one file"),
            ));
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let Some(text) = node.text() else {
                        return Err(RuleError::new(
                            node.at,
                            format!("a key must be text, not {}", node.kind()),
                        ));
                    };
                    if let Some((first, _)) = entries.iter().find(|(k, _)| k.text() == Some(text)) {
                        let reason = format!(
                            "the key `{}` is already on line {}",
                            short(text),
                            first.at.line
                        );
                        return Err(RuleError::new(node.at, reason));
                    }
                    *key = Some(node);
                }
            },
        }
        Ok(())
    }
}

/// At most 60 characters of a text, for messages.
pub(crate) fn short(text: &str) -> String {
    let mut out: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_hurt_and_names_the_line() {
        let deep = format!("a: {}{}", "[".repeat(60), "]".repeat(60));
        let wide = format!("a: [{}]", "1,".repeat(MAX_NODES + 1));
        let large = "a".repeat(MAX_BYTES + 1);
        let cases: &[(&str, u32, &str)] = &[
            ("a: &x [1]\nb: [*x, *x]\n", 2, "aliases"),
            ("a: 1\nb: 2\na: 3\n", 3, "already on line 1"),
            (&deep, 1, "deeper"),
            (&wide, 1, "more than"),
            (&large, 1, "bytes"),
            ("a: 1\nb: [1, 2\n", 3, ""),
            ("a: 1\n? [x]\n: 2\n", 2, "key must be text"),
            ("a: 1\nb: \"\0\"\n", 2, "NUL"),
        ];
        for (text, line, reason) in cases {
            let error = parse(text).expect_err(&short(text));
            assert!(error.reason.contains(reason), "{error}");
            assert_eq!(error.line, *line, "{error}");
        }
    }

    #[test]
    fn keeps_documents_quotes_and_places() {
        let documents = parse("a: null\nb: 'null'\n---\n- 1\n").unwrap();
        assert_eq!(documents.len(), 2);
        assert!(documents[0].get("a").unwrap().is_null());
        let b = documents[0].get("b").unwrap();
        assert!(!b.is_null());
        assert_eq!(b.at, Place { line: 2, column: 4 });
        assert_eq!(documents[1].kind(), "a list");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[\\PC\\n\\t]{0,200}") { let _ = parse(&text); }

        #[test]
        fn never_panics_on_yaml_like_text(text in "([a-c]: |- |\\n|  |[\\[\\]{},&*!|>'\"#%@-]|x){0,60}") { let _ = parse(&text); }
    }
}

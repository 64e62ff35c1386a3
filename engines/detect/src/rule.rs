//! One Sigma rule, read from its YAML: what it is called, what it is about and what it looks for.
//! Unknown top-level keys are kept out without a word, as Sigma allows custom ones; everything under `detection` is strict.

use crate::condition::{self, Condition};
use crate::correlation::{self, Correlation};
use crate::error::{Place, RuleError};
use crate::expand::Placeholders;
use crate::logsource::LogSource;
use crate::modifier::{self, Test};
use crate::yaml::{Data, Node, short};
use std::collections::BTreeMap;

/// The most tests (field, modifier, value) in one rule.
const MAX_TESTS: usize = 10_000;

/// How bad it is when a rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing.
    Informational,
    /// Rarely matters alone.
    Low,
    /// Should be looked at.
    Medium,
    /// Should be looked at soon.
    High,
    /// An incident.
    Critical,
}

impl Level {
    const ALL: [Level; 5] = [
        Level::Informational,
        Level::Low,
        Level::Medium,
        Level::High,
        Level::Critical,
    ];

    /// Sigma's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// The level of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// What a rule says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id, usually a UUID; where the file has none, the title stands in.
    pub id: String,
    /// What correlations call it, besides its id.
    pub name: Option<String>,
    /// Its title.
    pub title: String,
    /// What it detects, in a sentence or more. May be empty.
    pub description: String,
    /// How bad it is. `medium` where the rule doesn't say.
    pub level: Level,
    /// Tags as written: `attack.t1059.004`, …
    pub tags: Vec<String>,
    /// What else may look like this.
    pub false_positives: Vec<String>,
    /// What it is about.
    pub log_source: LogSource,
}

/// What a rule looks for.
#[derive(Debug, Clone)]
pub(crate) struct Detection {
    pub(crate) selections: Vec<Selection>,
    /// The rule matches when any of these does.
    pub(crate) conditions: Vec<Condition>,
    /// Placeholders that the configuration doesn't fill.
    pub(crate) unfilled: Vec<String>,
}

/// A search identifier's tree of tests.
#[derive(Debug, Clone)]
pub(crate) enum Selection {
    All(Vec<Selection>),
    Any(Vec<Selection>),
    Not(Box<Selection>),
    Test(Test),
}

/// What one YAML document is.
pub(crate) enum Document {
    Rule(Box<Rule>, Detection),
    Correlation(Box<Rule>, Correlation),
    /// A kind of document that is valid but not evaluated: title and why.
    Other(String, String),
}

/// Reads one document.
pub(crate) fn read(
    node: &Node,
    placeholders: &BTreeMap<String, Vec<String>>,
) -> Result<Document, RuleError> {
    if !matches!(node.data, Data::Map(_)) {
        return Err(RuleError::new(
            node.at,
            format!("a rule is a map, not {}", node.kind()),
        ));
    }
    let title = required_text(node, "title", 256)?;
    if node.get("filter").is_some() {
        let why =
            "Sigma filters are not applied; a rule of the same name in /etc takes a rule's place";
        return Ok(Document::Other(title, why.into()));
    }
    let correlation = node.get("correlation").map(correlation::read).transpose()?;
    if let Some(action) = node.get("action") {
        return Err(RuleError::new(
            action.at,
            "`action` collections were removed from Sigma; write whole rules",
        ));
    }
    let id = match optional_text(node, "id", 64)? {
        Some(id)
            if id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !id.is_empty() =>
        {
            id
        }
        Some(id) => {
            let at = node.get("id").map_or(node.at, |n| n.at);
            return Err(RuleError::new(
                at,
                format!(
                    "the id `{}` has other characters than letters, digits, - _ .",
                    short(&id)
                ),
            ));
        }
        None => title.clone(),
    };
    let level = match node.get("level") {
        None => Level::Medium,
        Some(node) => Level::from_name(&text_of(node, "level", 32)?).ok_or_else(|| {
            RuleError::new(
                node.at,
                "level is one of informational, low, medium, high, critical",
            )
        })?,
    };
    let rule = Rule {
        id,
        level,
        description: optional_text(node, "description", 8192)?
            .unwrap_or_default()
            .trim()
            .to_string(),
        tags: texts(node, "tags")?,
        false_positives: texts(node, "falsepositives")?,
        log_source: match correlation {
            Some(_) => LogSource::default(),
            None => log_source(required(node, "logsource")?)?,
        },
        name: optional_text(node, "name", 256)?,
        title,
    };
    if let Some(correlation) = correlation {
        return Ok(Document::Correlation(Box::new(rule), correlation));
    }
    let mut placeholders = Placeholders::new(placeholders);
    let detection = detection(required(node, "detection")?, &mut placeholders)?;
    Ok(Document::Rule(Box::new(rule), detection))
}

fn required<'a>(node: &'a Node, key: &str) -> Result<&'a Node, RuleError> {
    node.get(key)
        .ok_or_else(|| RuleError::new(node.at, format!("`{key}` is missing")))
}

fn required_text(node: &Node, key: &str, limit: usize) -> Result<String, RuleError> {
    let text = text_of(required(node, key)?, key, limit)?;
    if text.trim().is_empty() {
        return Err(RuleError::new(
            required(node, key)?.at,
            format!("`{key}` is empty"),
        ));
    }
    Ok(text)
}

fn optional_text(node: &Node, key: &str, limit: usize) -> Result<Option<String>, RuleError> {
    node.get(key)
        .filter(|n| !n.is_null())
        .map(|n| text_of(n, key, limit))
        .transpose()
}

fn text_of(node: &Node, key: &str, limit: usize) -> Result<String, RuleError> {
    let text = node.text().ok_or_else(|| {
        RuleError::new(
            node.at,
            format!("`{key}` must be text, not {}", node.kind()),
        )
    })?;
    if text.len() > limit {
        return Err(RuleError::new(
            node.at,
            format!("`{key}` has {} bytes; the limit is {limit}", text.len()),
        ));
    }
    Ok(text.to_string())
}

fn texts(node: &Node, key: &str) -> Result<Vec<String>, RuleError> {
    match node.get(key) {
        None => Ok(Vec::new()),
        Some(node) if node.is_null() => Ok(Vec::new()),
        Some(Node {
            data: Data::List(items),
            ..
        }) => items
            .iter()
            .take(64)
            .map(|item| text_of(item, key, 512))
            .collect(),
        Some(node) => Ok(vec![text_of(node, key, 512)?]),
    }
}

fn log_source(node: &Node) -> Result<LogSource, RuleError> {
    if !matches!(node.data, Data::Map(_)) {
        return Err(RuleError::new(
            node.at,
            format!("`logsource` must be a map, not {}", node.kind()),
        ));
    }
    Ok(LogSource {
        product: optional_text(node, "product", 64)?,
        category: optional_text(node, "category", 64)?,
        service: optional_text(node, "service", 64)?,
        definition: optional_text(node, "definition", 64 * 1024)?,
    })
}

fn detection(node: &Node, placeholders: &mut Placeholders<'_>) -> Result<Detection, RuleError> {
    let Data::Map(entries) = &node.data else {
        return Err(RuleError::new(
            node.at,
            format!("`detection` must be a map, not {}", node.kind()),
        ));
    };
    let mut names = Vec::new();
    let mut selections = Vec::new();
    let mut tests = 0;
    for (key, value) in entries {
        match key.text().unwrap_or_default() {
            "condition" => {}
            "timeframe" => {
                return Err(RuleError::new(
                    key.at,
                    "`timeframe` was removed from Sigma; use a correlation rule",
                ));
            }
            name => {
                names.push(name);
                selections.push(selection(value, &mut tests, placeholders)?);
            }
        }
    }
    if names.is_empty() {
        return Err(RuleError::new(node.at, "`detection` has no selection"));
    }
    let condition = required(node, "condition")?;
    let written: Vec<&Node> = match &condition.data {
        Data::List(items) if items.is_empty() => {
            return Err(RuleError::new(condition.at, "`condition` is an empty list"));
        }
        Data::List(items) => items.iter().collect(),
        _ => vec![condition],
    };
    let mut conditions = Vec::new();
    for node in written {
        let text = node.text().ok_or_else(|| {
            RuleError::new(
                node.at,
                format!("`condition` must be text, not {}", node.kind()),
            )
        })?;
        conditions.push(condition::parse(text, &names, node.at)?);
    }
    Ok(Detection {
        selections,
        conditions,
        unfilled: placeholders.take_unfilled(),
    })
}

/// A map means all of its fields, a list means any of its items, a single value is a keyword.
fn selection(
    node: &Node,
    tests: &mut usize,
    placeholders: &mut Placeholders<'_>,
) -> Result<Selection, RuleError> {
    match &node.data {
        Data::Map(entries) if entries.is_empty() => {
            Err(RuleError::new(node.at, "an empty selection"))
        }
        Data::Map(entries) => {
            let all: Result<Vec<_>, _> = entries
                .iter()
                .map(|(key, value)| field(key, value, tests, placeholders))
                .collect();
            Ok(Selection::All(all?))
        }
        Data::List(items) if items.is_empty() => Err(RuleError::new(node.at, "an empty selection")),
        Data::List(items) => {
            let any: Result<Vec<_>, _> = items
                .iter()
                .map(|item| match &item.data {
                    Data::List(_) => Err(RuleError::new(item.at, "a list inside a list")),
                    _ => selection(item, tests, placeholders),
                })
                .collect();
            Ok(Selection::Any(any?))
        }
        Data::Scalar { .. } => {
            let place = Node {
                at: node.at,
                data: Data::Scalar {
                    text: String::new(),
                    plain: false,
                },
            };
            field(&place, node, tests, placeholders)
        }
    }
}

/// `Field|modifier|modifier: value` or a list of values.
fn field(
    key: &Node,
    value: &Node,
    tests: &mut usize,
    placeholders: &mut Placeholders<'_>,
) -> Result<Selection, RuleError> {
    let values: Vec<&Node> = match &value.data {
        Data::List(items) if items.is_empty() => {
            return Err(RuleError::new(value.at, "an empty list of values"));
        }
        Data::List(items) => items.iter().collect(),
        Data::Map(_) => {
            return Err(RuleError::new(
                value.at,
                "a field's value must be a value or a list, not a map",
            ));
        }
        Data::Scalar { .. } => vec![value],
    };
    *tests += values.len();
    if *tests > MAX_TESTS {
        return Err(RuleError::new(
            value.at,
            format!("more than {MAX_TESTS} tests in one rule"),
        ));
    }
    modifier::apply(
        key.text().unwrap_or_default(),
        key.at,
        &values,
        placeholders,
    )
}

/// The place of a document, for errors found later.
pub(crate) fn place(node: &Node) -> Place {
    node.at
}

//! Correlation rules: how often, with how many values, or in which company other rules match, within a time and for
//! each group of values. This reads them and ties them to the rules they are about; [`crate::Correlator`] counts.

use crate::class::Class;
use crate::error::RuleError;
use crate::field::Field;
use crate::yaml::{Data, Node, short};

/// The highest count that may be asked for.
const MAX_COUNT: u64 = 10_000;
/// The most rules, and the most fields to group by.
const MAX_MEMBERS: usize = 64;
/// The longest time, in days.
const MAX_DAYS: u64 = 366;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Matches.
    Events,
    /// Different values of a field.
    Values,
    /// Rules that match, in any order.
    Together,
    /// Rules that match one after the other.
    InOrder,
}

/// Bounds of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// A correlation as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Correlation {
    pub(crate) kind: Kind,
    /// Names or ids of the rules.
    pub(crate) rules: Vec<String>,
    group_by: Vec<String>,
    /// Microseconds.
    pub(crate) span: u64,
    pub(crate) bounds: Bounds,
    field: Option<String>,
    /// Whether the rules raise alerts of their own as well.
    pub(crate) generate: bool,
    /// Alias, rule, the rule's field.
    aliases: Vec<(String, String, String)>,
}

/// A rule of a correlation, with the fields that count there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) rule: u32,
    pub(crate) group_by: Vec<Field>,
    pub(crate) field: Option<Field>,
}

/// A correlation tied to its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tied {
    /// Its own number among the rules.
    pub(crate) number: u32,
    /// Its id, by which counts survive a reload.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) members: Vec<Member>,
    pub(crate) span: u64,
    pub(crate) bounds: Bounds,
}

/// Reads the value of `correlation`.
pub(crate) fn read(node: &Node) -> Result<Correlation, RuleError> {
    let Data::Map(entries) = &node.data else {
        return Err(RuleError::new(node.at, "`correlation` must be a map"));
    };
    for (key, _) in entries {
        let name = key.text().unwrap_or_default();
        let known = [
            "type",
            "rules",
            "group-by",
            "timespan",
            "condition",
            "generate",
            "aliases",
        ];
        if !known.contains(&name) {
            return Err(RuleError::new(
                key.at,
                format!("`{}` is no key of a correlation", short(name)),
            ));
        }
    }
    let kind_at = required(node, "type")?;
    let kind = match kind_at.text() {
        Some("event_count") => Kind::Events,
        Some("value_count") => Kind::Values,
        Some("temporal") => Kind::Together,
        Some("temporal_ordered") => Kind::InOrder,
        _ => {
            return Err(RuleError::new(
                kind_at.at,
                "the type is one of event_count, value_count, temporal, temporal_ordered",
            ));
        }
    };
    let rules = list(required(node, "rules")?)?;
    if rules.is_empty() {
        return Err(RuleError::new(node.at, "a correlation needs a rule"));
    }
    let group_by = node.get("group-by").map(list).transpose()?;
    let (bounds, field) = match kind {
        Kind::Events | Kind::Values => condition(required(node, "condition")?, kind)?,
        Kind::Together | Kind::InOrder => {
            if let Some(condition) = node.get("condition") {
                return Err(RuleError::new(
                    condition.at,
                    "a temporal correlation takes no condition: all of its rules must match",
                ));
            }
            let all = Bounds {
                least: rules.len() as u64,
                most: u64::MAX,
            };
            (all, None)
        }
    };
    let generate = match node.get("generate").map(|n| (n.at, n.text())) {
        None | Some((_, Some("false"))) => false,
        Some((_, Some("true"))) => true,
        Some((at, _)) => return Err(RuleError::new(at, "`generate` is true or false")),
    };
    Ok(Correlation {
        kind,
        rules,
        group_by: group_by.unwrap_or_default(),
        span: span(required(node, "timespan")?)?,
        bounds,
        field,
        generate,
        aliases: node
            .get("aliases")
            .map(aliases)
            .transpose()?
            .unwrap_or_default(),
    })
}

impl Correlation {
    /// Ties it to its rules: `find` gives for a name the number of the rule and the classes that it is about.
    /// The error says why it does not apply.
    pub(crate) fn tie(
        &self,
        number: u32,
        id: &str,
        find: impl Fn(&str) -> Option<(u32, Vec<Class>)>,
    ) -> Result<Tied, String> {
        let mut members = Vec::new();
        for name in &self.rules {
            let (rule, classes) =
                find(name).ok_or_else(|| format!("its rule {} is not loaded", short(name)))?;
            let field_of = |wanted: &String| {
                let aliased = self
                    .aliases
                    .iter()
                    .find(|(alias, of, _)| alias == wanted && of == name);
                let written = aliased.map_or(wanted, |(_, _, field)| field);
                Field::from_name(written)
                    .filter(|field| classes.iter().any(|class| class.carries(*field)))
                    .ok_or_else(|| {
                        format!(
                            "the events of its rule {} carry no {}",
                            short(name),
                            short(written)
                        )
                    })
            };
            let group_by: Result<Vec<Field>, String> = self.group_by.iter().map(field_of).collect();
            members.push(Member {
                rule,
                group_by: group_by?,
                field: self.field.as_ref().map(field_of).transpose()?,
            });
        }
        Ok(Tied {
            number,
            id: id.to_string(),
            kind: self.kind,
            members,
            span: self.span,
            bounds: self.bounds,
        })
    }
}

fn required<'a>(node: &'a Node, key: &str) -> Result<&'a Node, RuleError> {
    node.get(key)
        .ok_or_else(|| RuleError::new(node.at, format!("`correlation` has no `{key}`")))
}

fn text(node: &Node) -> Result<String, RuleError> {
    match node.text() {
        Some(text) if !text.is_empty() && text.len() <= 256 => Ok(text.to_string()),
        _ => Err(RuleError::new(
            node.at,
            format!(
                "1 to 256 bytes of text are expected here, not {}",
                node.kind()
            ),
        )),
    }
}

/// One text or a list of them, without repetition.
fn list(node: &Node) -> Result<Vec<String>, RuleError> {
    let items = match &node.data {
        Data::List(items) => items.iter().map(text).collect::<Result<Vec<_>, _>>()?,
        _ => vec![text(node)?],
    };
    if items.len() > MAX_MEMBERS {
        return Err(RuleError::new(
            node.at,
            format!("more than {MAX_MEMBERS} in one correlation"),
        ));
    }
    Ok(items)
}

/// `30s`, `5m`, `2h`, `1d`, `1w`, `1M`, `1y` in microseconds.
fn span(node: &Node) -> Result<u64, RuleError> {
    let wrong = || RuleError::new(node.at, "a timespan is a number with s, m, h, d, w, M or y");
    let written = node.text().ok_or_else(wrong)?;
    let unit = written.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'M' => 30 * 86_400,
        'y' => 365 * 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = written[..written.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    let seconds = number.saturating_mul(seconds);
    if number == 0 || seconds > MAX_DAYS * 86_400 {
        return Err(RuleError::new(
            node.at,
            format!("a timespan lies between a second and {MAX_DAYS} days"),
        ));
    }
    Ok(seconds * 1_000_000)
}

fn condition(node: &Node, kind: Kind) -> Result<(Bounds, Option<String>), RuleError> {
    let Data::Map(entries) = &node.data else {
        return Err(RuleError::new(
            node.at,
            "the condition of a correlation is a map such as {gte: 5}",
        ));
    };
    let mut bounds = Bounds {
        least: 0,
        most: u64::MAX,
    };
    let mut field = None;
    for (key, value) in entries {
        let name = key.text().unwrap_or_default();
        if name == "field" {
            field = Some(text(value)?);
            continue;
        }
        let number: u64 = value
            .text()
            .and_then(|text| text.parse().ok())
            .filter(|number| *number <= MAX_COUNT)
            .ok_or_else(|| {
                RuleError::new(value.at, format!("a count lies between 0 and {MAX_COUNT}"))
            })?;
        match name {
            "gte" => bounds.least = bounds.least.max(number),
            "gt" => bounds.least = bounds.least.max(number + 1),
            "lte" => bounds.most = bounds.most.min(number),
            "lt" if number > 0 => bounds.most = bounds.most.min(number - 1),
            "eq" => {
                bounds = Bounds {
                    least: number,
                    most: number,
                };
            }
            _ => {
                return Err(RuleError::new(
                    key.at,
                    format!("`{}` is not gt, gte, lt, lte or eq", short(name)),
                ));
            }
        }
    }
    if bounds.least == 0 {
        return Err(RuleError::new(
            node.at,
            "a correlation fires when a count is reached: gt, gte or eq with at least 1 is needed",
        ));
    }
    if bounds.most < bounds.least {
        return Err(RuleError::new(node.at, "no count is within these bounds"));
    }
    match (kind, &field) {
        (Kind::Values, None) => Err(RuleError::new(
            node.at,
            "value_count needs the `field` whose values are counted",
        )),
        (Kind::Events, Some(_)) => Err(RuleError::new(
            node.at,
            "event_count counts events; with a `field` it is value_count",
        )),
        _ => Ok((bounds, field)),
    }
}

fn aliases(node: &Node) -> Result<Vec<(String, String, String)>, RuleError> {
    let wrong = |at| RuleError::new(at, "aliases are maps: alias, rule, field");
    let Data::Map(entries) = &node.data else {
        return Err(wrong(node.at));
    };
    let mut out = Vec::new();
    for (alias, of) in entries {
        let Data::Map(rules) = &of.data else {
            return Err(wrong(of.at));
        };
        for (rule, field) in rules {
            out.push((text(alias)?, text(rule)?, text(field)?));
        }
    }
    Ok(out)
}

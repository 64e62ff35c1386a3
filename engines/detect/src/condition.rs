//! Sigma's condition language: `selection and not 1 of filter_*`, in full.
//!
//! Grammar, loosest first: `or`, `and`, `not`, then a name, a group in parentheses, or a quantity
//! (`1 of`, `all of`, `3 of`, `any of`) over a name pattern or `them`. Words are case-insensitive, names are not.

use crate::error::{Place, RuleError};
use crate::yaml::short;

/// The longest condition accepted, in bytes.
const MAX_LENGTH: usize = 8 * 1024;
/// The deepest nesting accepted.
const MAX_DEPTH: usize = 64;

/// How many of a group of selections must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// At least so many.
    AtLeast(u32),
    /// Every one.
    All,
}

/// A condition over selections, which are given by their position in the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// One selection matches.
    Selection(usize),
    /// So many of these selections match.
    Of(Quantity, Vec<usize>),
    /// All match.
    And(Vec<Condition>),
    /// At least one matches.
    Or(Vec<Condition>),
    /// It doesn't match.
    Not(Box<Condition>),
}

/// Reads a condition over the given selection names.
pub(crate) fn parse(text: &str, names: &[&str], at: Place) -> Result<Condition, RuleError> {
    if text.len() > MAX_LENGTH {
        return Err(RuleError::new(
            at,
            format!(
                "the condition has {} bytes; the limit is {MAX_LENGTH}",
                text.len()
            ),
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text, at)?,
        next: 0,
        names,
        at,
    };
    let condition = parser.or(0)?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(parser.error(format!("`{}` is not expected here", short(token)))),
    }
}

fn tokens(text: &str, at: Place) -> Result<Vec<&str>, RuleError> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' => 1,
            '|' => {
                let reason =
                    "aggregations after `|` were removed from Sigma; use a correlation rule";
                return Err(RuleError::new(at, reason));
            }
            c if is_name(c) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
            c => {
                return Err(RuleError::new(
                    at,
                    format!("`{}` in the condition", c.escape_default()),
                ));
            }
        };
        let (token, after) = rest.split_at(length);
        out.push(token);
        rest = after.trim_start();
    }
    Ok(out)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '?')
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    next: usize,
    names: &'a [&'a str],
    at: Place,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self
            .peek()
            .is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn error(&self, reason: impl Into<String>) -> RuleError {
        RuleError::new(self.at, format!("condition: {}", reason.into()))
    }

    fn or(&mut self, depth: usize) -> Result<Condition, RuleError> {
        let mut parts = vec![self.and(depth)?];
        while self.take("or") {
            parts.push(self.and(depth)?);
        }
        Ok(single(parts, Condition::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Condition, RuleError> {
        let mut parts = vec![self.not(depth)?];
        while self.take("and") {
            parts.push(self.not(depth)?);
        }
        Ok(single(parts, Condition::And))
    }

    fn not(&mut self, depth: usize) -> Result<Condition, RuleError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        if self.take("not") {
            return Ok(Condition::Not(Box::new(self.not(depth + 1)?)));
        }
        self.primary(depth)
    }

    fn primary(&mut self, depth: usize) -> Result<Condition, RuleError> {
        let Some(token) = self.peek() else {
            return Err(self.error("it ends where a name is expected"));
        };
        self.next += 1;
        match token {
            "(" => {
                let inner = self.or(depth + 1)?;
                if self.take(")") {
                    Ok(inner)
                } else {
                    Err(self.error("a `(` is not closed"))
                }
            }
            ")" => Err(self.error("a `)` without `(`")),
            _ if self
                .peek()
                .is_some_and(|next| next.eq_ignore_ascii_case("of"))
                && quantity(token).is_some() =>
            {
                self.next += 1;
                self.group(token)
            }
            word if ["and", "or", "of"]
                .iter()
                .any(|w| word.eq_ignore_ascii_case(w)) =>
            {
                Err(self.error(format!("`{word}` where a name is expected")))
            }
            name => self.named(name).map(Condition::Selection),
        }
    }

    fn named(&self, name: &str) -> Result<usize, RuleError> {
        let found = self.names.iter().position(|n| *n == name);
        found.ok_or_else(|| self.error(format!("there is no selection `{}`", short(name))))
    }

    fn group(&mut self, how_many: &str) -> Result<Condition, RuleError> {
        let Some(target) = self.peek() else {
            return Err(self.error("`of` needs a name pattern or `them`"));
        };
        self.next += 1;
        let all = self.names.iter().enumerate();
        let members: Vec<usize> = if target.eq_ignore_ascii_case("them") {
            all.filter(|(_, name)| !name.starts_with('_'))
                .map(|(at, _)| at)
                .collect()
        } else {
            let pattern = crate::pattern::Wildcard::parse(target);
            all.filter(|(_, name)| pattern.matches(name.as_bytes(), true))
                .map(|(at, _)| at)
                .collect()
        };
        if members.is_empty() {
            return Err(self.error(format!("no selection is called `{}`", short(target))));
        }
        match quantity(how_many) {
            Some(Quantity::AtLeast(0)) => Err(self.error("`0 of` always matches")),
            Some(Quantity::AtLeast(n)) if n as usize > members.len() => Err(self.error(format!(
                "{n} of `{}`, but there are only {}",
                short(target),
                members.len()
            ))),
            Some(quantity) => Ok(Condition::Of(quantity, members)),
            None => Err(self.error(format!("`{}` is not a quantity", short(how_many)))),
        }
    }
}

fn quantity(token: &str) -> Option<Quantity> {
    match token.to_ascii_lowercase().as_str() {
        "all" => Some(Quantity::All),
        "any" => Some(Quantity::AtLeast(1)),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().ok().map(Quantity::AtLeast)
        }
        _ => None,
    }
}

fn single(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: &[&str] = &["sel_a", "sel_b", "filter", "_hidden", "not_this"];

    fn shown(text: &str) -> Result<String, String> {
        fn show(c: &Condition) -> String {
            let list = |parts: &[Condition], word: &str| {
                format!(
                    "({})",
                    parts.iter().map(show).collect::<Vec<_>>().join(word)
                )
            };
            match c {
                Condition::Selection(n) => NAMES[*n].to_string(),
                Condition::Of(Quantity::All, m) => format!("all{m:?}"),
                Condition::Of(Quantity::AtLeast(n), m) => format!("{n}{m:?}"),
                Condition::And(parts) => list(parts, " & "),
                Condition::Or(parts) => list(parts, " | "),
                Condition::Not(inner) => format!("!{}", show(inner)),
            }
        }
        parse(text, NAMES, Place::default())
            .map(|c| show(&c))
            .map_err(|e| e.reason)
    }

    #[test]
    fn reads_the_grammar() {
        let cases = [
            ("sel_a", "sel_a"),
            ("sel_a and not filter", "(sel_a & !filter)"),
            ("sel_a or sel_b and filter", "(sel_a | (sel_b & filter))"),
            ("(sel_a or sel_b) and filter", "((sel_a | sel_b) & filter)"),
            ("NOT sel_a AND sel_b", "(!sel_a & sel_b)"),
            ("not not sel_a", "!!sel_a"),
            ("1 of sel_*", "1[0, 1]"),
            ("all of sel_*", "all[0, 1]"),
            ("2 of sel*", "2[0, 1]"),
            ("any of them", "1[0, 1, 2, 4]"),
            ("All Of Them", "all[0, 1, 2, 4]"),
            ("1 of *a*", "1[0]"),
            ("1 of filter", "1[2]"),
            ("not 1 of sel_* and(filter)", "(!1[0, 1] & filter)"),
            ("not_this", "not_this"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let deep = format!("{}sel_a{}", "(".repeat(100), ")".repeat(100));
        let nots = format!("{}sel_a", "not ".repeat(100));
        let long = "sel_a or ".repeat(2000);
        let cases = [
            ("", "ends"),
            ("sel_a and", "ends"),
            ("sel_a sel_b", "not expected"),
            ("(sel_a", "not closed"),
            ("sel_a)", "not expected"),
            (")", "without"),
            ("nothing", "no selection `nothing`"),
            ("1 of nothing*", "no selection is called"),
            ("3 of sel_*", "only 2"),
            ("0 of sel_*", "always"),
            ("and sel_a", "`and` where"),
            ("sel_a | count() > 5", "correlation"),
            ("sel_a & sel_b", "`&`"),
            (&deep, "deeper"),
            (&nots, "deeper"),
            (&long, "limit"),
        ];
        for (text, reason) in cases {
            let error = shown(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}") { let _ = shown(&text); }

        #[test]
        fn never_panics_on_words(text in "((and|or|not|1|all|of|them|sel_a|sel_\\*|\\(|\\)) ?){0,30}") { let _ = shown(&text); }
    }
}

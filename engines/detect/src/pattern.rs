//! Sigma's string patterns: text with the wildcards `*` and `?`, escaped by a backslash.
//! A pattern is a list of literals and wildcards; matching is linear in the text for each wildcard, never exponential.

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    Literal(Vec<u8>),
    /// `?`: exactly one byte.
    One,
    /// `*`: any number of bytes.
    Many,
}

/// A pattern over a whole value. Letters match without regard to ASCII case unless the rule says `cased`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wildcard {
    parts: Vec<Part>,
}

/// Where a literal must stand in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anchor {
    /// It is the whole value.
    Whole,
    /// The value starts with it.
    Start,
    /// The value ends with it.
    End,
    /// The value contains it.
    Anywhere,
}

impl Wildcard {
    /// Reads a value as Sigma writes it: `*` and `?` are wildcards, `\*`, `\?` and `\\` stand for the character,
    /// and a backslash before anything else is itself.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let wildcard = match byte {
                b'*' => Part::Many,
                b'?' => Part::One,
                b'\\' => {
                    let escaped = bytes.next_if(|next| matches!(next, b'*' | b'?' | b'\\'));
                    literal.push(escaped.unwrap_or(b'\\'));
                    continue;
                }
                other => {
                    literal.push(other);
                    continue;
                }
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(wildcard);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Self { parts }.normalised()
    }

    /// A pattern of plain bytes.
    #[must_use]
    pub fn literal(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self {
            parts: if bytes.is_empty() {
                Vec::new()
            } else {
                vec![Part::Literal(bytes)]
            },
        }
    }

    /// The same with anything before and (or) after it.
    #[must_use]
    pub fn open(mut self, before: bool, after: bool) -> Self {
        if before {
            self.parts.insert(0, Part::Many);
        }
        if after {
            self.parts.push(Part::Many);
        }
        self.normalised()
    }

    /// The plain text, where the pattern has no wildcard.
    #[must_use]
    pub fn as_literal(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(b""),
            [Part::Literal(bytes)] => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn parts_mut(&mut self) -> &mut Vec<Part> {
        &mut self.parts
    }

    /// One `*` in a row is enough, and it comes after the `?`s beside it.
    fn normalised(mut self) -> Self {
        let mut out: Vec<Part> = Vec::with_capacity(self.parts.len());
        for part in self.parts.drain(..) {
            match (out.last(), &part) {
                (Some(Part::Many), Part::Many) => {}
                (Some(Part::Many), Part::One) => {
                    let at = out.len() - 1;
                    out.insert(at, part);
                }
                _ => out.push(part),
            }
        }
        Self { parts: out }
    }

    /// The single literal of a pattern without inner wildcards, and where it must stand.
    pub(crate) fn anchored(&self) -> Option<(Anchor, &[u8])> {
        match self.parts.as_slice() {
            [] => Some((Anchor::Whole, b"")),
            [Part::Literal(l)] => Some((Anchor::Whole, l)),
            [Part::Literal(l), Part::Many] => Some((Anchor::Start, l)),
            [Part::Many, Part::Literal(l)] => Some((Anchor::End, l)),
            [Part::Many, Part::Literal(l), Part::Many] => Some((Anchor::Anywhere, l)),
            [Part::Many] => Some((Anchor::Anywhere, b"")),
            _ => None,
        }
    }

    /// The longest literal: a text without it cannot match.
    pub(crate) fn longest_literal(&self) -> Option<&[u8]> {
        let literals = self.parts.iter().filter_map(|part| match part {
            Part::Literal(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        literals.max_by_key(|bytes| bytes.len())
    }

    /// Whether the whole text matches. Letters compare without regard to ASCII case unless `cased`.
    #[must_use]
    pub fn matches(&self, text: &[u8], cased: bool) -> bool {
        let same = |part: Option<&[u8]>, literal: &[u8]| {
            part.is_some_and(|part| part == literal || !cased && part.eq_ignore_ascii_case(literal))
        };
        match self.anchored() {
            Some((Anchor::Whole, literal)) => same(Some(text), literal),
            Some((Anchor::Start, literal)) => same(text.get(..literal.len()), literal),
            Some((Anchor::End, literal)) => {
                let from = text.len().checked_sub(literal.len());
                same(from.map(|from| &text[from..]), literal)
            }
            Some((Anchor::Anywhere, literal)) => {
                let Some(first) = literal.first() else {
                    return true;
                };
                let starts =
                    |byte: &u8| byte == first || !cased && byte.eq_ignore_ascii_case(first);
                let last = text.len().saturating_sub(literal.len());
                text.len() >= literal.len()
                    && text[..=last]
                        .iter()
                        .zip(0..)
                        .filter(|(byte, _)| starts(byte))
                        .any(|(_, at)| same(text.get(at..at + literal.len()), literal))
            }
            None => self.walk(text, cased),
        }
    }

    fn walk(&self, text: &[u8], cased: bool) -> bool {
        // The classic two-cursor walk: on a mismatch go back to the last `*` and let it take one byte more.
        let mut cursor = Cursor { part: 0, offset: 0 };
        let mut position = 0;
        let mut retry: Option<(Cursor, usize)> = None;
        loop {
            match self.step(&mut cursor, text.get(position), cased) {
                Step::End if position == text.len() => return true,
                Step::Advance => {
                    position += 1;
                    continue;
                }
                Step::Star => {
                    cursor = Cursor {
                        part: cursor.part + 1,
                        offset: 0,
                    };
                    if cursor.part == self.parts.len() {
                        return true;
                    }
                    retry = Some((cursor, position));
                    continue;
                }
                Step::End | Step::Mismatch => {}
            }
            match &mut retry {
                Some((at, from)) if *from < text.len() => {
                    *from += 1;
                    position = *from;
                    cursor = *at;
                }
                _ => return false,
            }
        }
    }

    fn step(&self, cursor: &mut Cursor, byte: Option<&u8>, cased: bool) -> Step {
        match (self.parts.get(cursor.part), byte) {
            (None, _) => Step::End,
            (Some(Part::Many), _) => Step::Star,
            (Some(_), None) => Step::Mismatch,
            (Some(Part::One), Some(_)) => {
                cursor.part += 1;
                Step::Advance
            }
            (Some(Part::Literal(literal)), Some(byte)) => {
                let want = literal[cursor.offset];
                if !(want == *byte || (!cased && want.eq_ignore_ascii_case(byte))) {
                    return Step::Mismatch;
                }
                cursor.offset += 1;
                if cursor.offset == literal.len() {
                    *cursor = Cursor {
                        part: cursor.part + 1,
                        offset: 0,
                    };
                }
                Step::Advance
            }
        }
    }
}

impl std::fmt::Display for Wildcard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Part::One => f.write_str("?"),
            Part::Many => f.write_str("*"),
        })
    }
}

#[derive(Clone, Copy)]
struct Cursor {
    part: usize,
    offset: usize,
}

enum Step {
    Advance,
    Star,
    End,
    Mismatch,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_escapes_as_the_specification_says() {
        let literal = |text: &str| Part::Literal(text.as_bytes().to_vec());
        let cases: &[(&str, Vec<Part>)] = &[
            ("", vec![]),
            (r"a\b", vec![literal(r"a\b")]),
            (r"a\*b", vec![literal("a*b")]),
            (r"a\?b", vec![literal("a?b")]),
            (r"a\\b", vec![literal(r"a\b")]),
            (r"a\\*b", vec![literal(r"a\"), Part::Many, literal("b")]),
            (r"a\\\*b", vec![literal(r"a\*b")]),
            (r"a\", vec![literal(r"a\")]),
            (
                "*a**?b*",
                vec![
                    Part::Many,
                    literal("a"),
                    Part::One,
                    Part::Many,
                    literal("b"),
                    Part::Many,
                ],
            ),
        ];
        for (text, parts) in cases {
            assert_eq!(Wildcard::parse(text).parts, *parts, "{text}");
        }
    }

    #[test]
    fn matches_whole_values() {
        let cases: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?", "", false),
            ("abc", "ABC", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*/etc/*.conf", "cat /etc/ssl/x.conf", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*ab*ab", "ab ab ab", true),
            ("*aab", "aaaab", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Wildcard::parse(pattern).matches(text.as_bytes(), false),
                *expected,
                "{pattern} {text}"
            );
        }
        assert!(!Wildcard::parse("abc").matches(b"ABC", true));
    }

    /// The textbook definition, exponential but plainly right.
    fn naive(parts: &[Part], text: &[u8]) -> bool {
        match parts {
            [] => text.is_empty(),
            [Part::Many, rest @ ..] => (0..=text.len()).any(|n| naive(rest, &text[n..])),
            [Part::One, rest @ ..] => !text.is_empty() && naive(rest, &text[1..]),
            [Part::Literal(l), rest @ ..] => text.starts_with(l) && naive(rest, &text[l.len()..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in r"[ab*?\\]{0,10}", text in "[ab]{0,12}") {
            let wildcard = Wildcard::parse(&pattern);
            prop_assert_eq!(wildcard.matches(text.as_bytes(), true), naive(&wildcard.parts, text.as_bytes()));
        }
    }
}

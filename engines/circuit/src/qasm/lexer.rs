//! Text to tokens, each with its line and column.

use crate::Error;

/// A place in the text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    /// An error here.
    pub fn error(self, message: impl Into<String>) -> Error {
        Error::at(self.line, self.column, message)
    }
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Name(String),
    Integer(u128),
    /// A whole number that is larger than that, as digits: what a long register may be compared with.
    Large(String),
    Float(f64),
    /// A number with a unit of time behind it.
    Duration,
    Text(String),
    Symbol(&'static str),
    End,
}

impl Kind {
    /// As an error message shows it.
    pub fn shown(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Integer(value) => format!("`{value}`"),
            Self::Large(digits) => format!("`{digits}`"),
            Self::Float(value) => format!("`{value}`"),
            Self::Duration => "a duration".to_owned(),
            Self::Text(text) => format!("\"{text}\""),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end of the text".to_owned(),
        }
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub kind: Kind,
    pub place: Place,
}

/// The most digits of a whole number.
const DIGITS_MAX: usize = 10_000;

/// The longest first where one starts with another.
const SYMBOLS: &[&str] = &[
    "<<=", ">>=", "**=", "->", "==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "**", "++", "+=",
    "-=", "*=", "/=", "%=", "&=", "|=", "^=", "(", ")", "[", "]", "{", "}", ";", ",", ":", "=",
    "+", "-", "*", "/", "%", "<", ">", "!", "&", "|", "^", "~", "@", "#", ".",
];

struct Cursor<'a> {
    rest: &'a str,
    place: Place,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.place.line += 1;
            self.place.column = 1;
        } else {
            self.place.column += 1;
        }
        Some(c)
    }

    fn take(&mut self, fits: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|&c| fits(c)) {
            taken.push(c);
            self.skip();
        }
        taken
    }
}

/// All tokens of a text; the last is the end.
pub fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut cursor = Cursor {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        place: Place { line: 1, column: 1 },
    };
    let mut tokens = Vec::new();
    loop {
        blank(&mut cursor)?;
        let place = cursor.place;
        let Some(c) = cursor.peek() else {
            tokens.push(Token {
                kind: Kind::End,
                place,
            });
            return Ok(tokens);
        };
        let kind = if c.is_alphabetic() || c == '_' {
            Kind::Name(cursor.take(|c| c.is_alphanumeric() || c == '_'))
        } else if c == '$' {
            cursor.skip();
            Kind::Name(format!("${}", cursor.take(|c| c.is_ascii_digit())))
        } else if c.is_ascii_digit() || (c == '.' && follows_digit(cursor.rest)) {
            number(&mut cursor, place)?
        } else if c == '"' || c == '\'' {
            cursor.skip();
            let text = cursor.take(|x| x != c && x != '\n');
            if cursor.skip() != Some(c) {
                return Err(place.error("a string that does not end on its line"));
            }
            Kind::Text(text)
        } else if let Some(&symbol) = SYMBOLS.iter().find(|s| cursor.rest.starts_with(**s)) {
            for _ in symbol.chars() {
                cursor.skip();
            }
            Kind::Symbol(symbol)
        } else {
            return Err(place.error(format!("no token starts with {c:?}")));
        };
        if matches!(&kind, Kind::Name(name) if name == "pragma") {
            cursor.take(|c| c != '\n');
            continue;
        }
        tokens.push(Token { kind, place });
    }
}

fn follows_digit(rest: &str) -> bool {
    rest[1..].starts_with(|c: char| c.is_ascii_digit())
}

/// Skips white space, comments and annotations.
fn blank(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    loop {
        cursor.take(char::is_whitespace);
        let place = cursor.place;
        if cursor.rest.starts_with("//") || cursor.rest.starts_with("#pragma") {
            cursor.take(|c| c != '\n');
        } else if cursor.rest.starts_with("/*") {
            cursor.skip();
            cursor.skip();
            while !cursor.rest.starts_with("*/") {
                if cursor.skip().is_none() {
                    return Err(place.error("a comment that does not end"));
                }
            }
            cursor.skip();
            cursor.skip();
        } else {
            return Ok(());
        }
    }
}

fn number(cursor: &mut Cursor<'_>, place: Place) -> Result<Kind, Error> {
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8)] {
        if cursor.rest.starts_with(prefix) {
            cursor.skip();
            cursor.skip();
            let digits = cursor.take(|c| c.is_ascii_alphanumeric() || c == '_');
            return u128::from_str_radix(&digits.replace('_', ""), radix)
                .map(Kind::Integer)
                .map_err(|_| place.error(format!("{prefix}{digits} is no number")));
        }
    }
    let mut text = cursor.take(|c| c.is_ascii_digit() || c == '_');
    let mut float = false;
    if cursor.peek() == Some('.') {
        float = true;
        cursor.skip();
        text.push('.');
        text += &cursor.take(|c| c.is_ascii_digit() || c == '_');
    }
    let mut ahead = cursor.rest.chars();
    if matches!(ahead.next(), Some('e' | 'E')) {
        let mut next = ahead.next();
        if matches!(next, Some('+' | '-')) {
            next = ahead.next();
        }
        if next.is_some_and(|c| c.is_ascii_digit()) {
            float = true;
            text.push('e');
            cursor.skip();
            if let Some(sign) = cursor.peek().filter(|c| matches!(c, '+' | '-')) {
                text.push(sign);
                cursor.skip();
            }
            text += &cursor.take(|c| c.is_ascii_digit());
        }
    }
    let unit = cursor.take(|c| c.is_alphabetic() || c == '_');
    if ["dt", "ns", "us", "µs", "μs", "ms", "s"].contains(&unit.as_str()) {
        return Ok(Kind::Duration);
    }
    if !unit.is_empty() {
        return Err(place.error(format!("{text}{unit} is no number")));
    }
    let digits = text.replace('_', "");
    if float {
        let value: f64 = digits
            .parse()
            .map_err(|_| place.error(format!("{text} is no number")))?;
        if value.is_finite() {
            return Ok(Kind::Float(value));
        }
    } else if let Ok(value) = digits.parse() {
        return Ok(Kind::Integer(value));
    } else if digits.len() <= DIGITS_MAX {
        return Ok(Kind::Large(digits));
    }
    Err(place.error(format!("{text} is out of range")))
}

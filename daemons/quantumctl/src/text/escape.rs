//! Strings from the bus are untrusted: a process may call itself anything, escape sequences
//! included. Here they are made safe to print on a terminal, and cut to a width without
//! splitting a character.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Escapes every character that could move the cursor, change colours, reorder text or hide it:
/// C0 and C1 controls, DEL, bidirectional controls, zero-width characters and separators.
/// A backslash stays as it is, since unit names are full of them; `--json` is for who must
/// tell it from an escape.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if is_hidden(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// Whether `c` is invisible or changes how its neighbours are shown.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            u32::from(c),
            0x00ad
                | 0x061c
                | 0x180e
                | 0x200b..=0x200f
                | 0x2028..=0x202e
                | 0x2060..=0x206f
                | 0xfe00..=0xfe0f
                | 0xfeff
                | 0xfff9..=0xfffb
                | 0xe0000..=0xe0fff
        )
}

/// Columns that `text` takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` cut to at most `columns`, with `…` in place of what was cut.
pub fn shorten(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > columns.saturating_sub(1) {
            break;
        }
        used += w;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// `text` followed by blanks up to `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = text.to_owned();
    out.extend(std::iter::repeat_n(
        ' ',
        columns.saturating_sub(width(text)),
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_become_visible() {
        for (raw, shown) in [
            ("plain — ünïcode 漢字", "plain — ünïcode 漢字"),
            ("\x1b[2J\x1b]0;gone\x07", "\\x1b[2J\\x1b]0;gone\\x07"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("a\\x2db.service", "a\\x2db.service"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("a\u{200b}b", "a\\u{200b}b"),
            ("\x7f\0", "\\x7f\\x00"),
            ("line\u{2028}sep", "line\\u{2028}sep"),
        ] {
            assert_eq!(escape(raw), shown, "{raw:?}");
        }
    }

    #[test]
    fn nothing_that_is_escaped_is_a_control() {
        for n in 0..=0x10_ffffu32 {
            let Some(c) = char::from_u32(n) else { continue };
            let shown = escape(&c.to_string());
            assert!(!shown.chars().any(char::is_control), "{n:x}");
        }
    }

    #[test]
    fn cutting_counts_columns() {
        for (text, columns, cut) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("漢字漢字", 5, "漢字…"),
            ("漢字漢字", 4, "漢…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(shorten(text, columns), cut);
            assert!(width(cut) <= columns);
        }
        assert_eq!(pad("漢", 4), "漢  ");
        assert_eq!(pad("abcde", 4), "abcde");
    }
}

//! Text fitted into the columns of a terminal: lines broken at words, columns of a table made narrower.
//! No limit (`None`) is for what is no terminal: there nothing is broken or cut. Text must be escaped already; the
//! colours of [`super::style`] may be in it.

use unicode_width::UnicodeWidthChar;

/// Columns of a line; none: no limit.
pub type Columns = Option<usize>;

/// Blanks between the columns of a table.
pub const GAP: usize = 2;

/// No column of a table gets narrower than this.
const NARROWEST: usize = 4;

/// `text` in lines of at most `columns`, those after the first indented by `hanging`. Blanks where a line is broken
/// are left out; a word longer than a line is broken where the line ends.
pub fn lines(text: &str, columns: Columns, hanging: usize) -> Vec<String> {
    let Some(columns) = columns else {
        return vec![text.trim_end().to_owned()];
    };
    let columns = columns.max(1);
    let hanging = hanging.min(columns / 2);
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    let mut next = |line: &mut String, used: &mut usize| {
        lines.push(
            std::mem::replace(line, " ".repeat(hanging))
                .trim_end()
                .to_owned(),
        );
        *used = hanging;
    };
    let mut rest = text;
    while !rest.is_empty() {
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let (gap, after) = rest.split_at(blanks);
        let (word, after) = after.split_at(after.find(' ').unwrap_or(after.len()));
        rest = after;
        if word.is_empty() {
            break;
        }
        let long = visible(word);
        if used + gap.len() + long <= columns {
            line.push_str(gap);
            line.push_str(word);
            used += gap.len() + long;
            continue;
        }
        if hanging + long <= columns || used + gap.len() >= columns {
            next(&mut line, &mut used);
        } else {
            line.push_str(gap);
            used += gap.len();
        }
        for (piece, wide) in pieces(word) {
            if used + wide > columns && used > hanging {
                next(&mut line, &mut used);
            }
            line.push_str(piece);
            used += wide;
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// The lines of [`lines`], each ended by a newline.
pub fn paragraph(text: &str, columns: Columns, hanging: usize) -> String {
    let lines = lines(text, columns, hanging);
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Columns that `text` takes, colours not counted.
fn visible(text: &str) -> usize {
    pieces(text).map(|(_, wide)| wide).sum()
}

/// The characters of `text` with their columns; a colour is a piece without any.
fn pieces(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let c = rest.chars().next()?;
        let colour = rest.strip_prefix("\x1b[").and_then(|_| rest.find('m'));
        let (end, wide) = match colour {
            Some(end) => (end + 1, 0),
            None => (c.len_utf8(), c.width().unwrap_or(0)),
        };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some((piece, wide))
    })
}

/// The columns of a line with cells of these widths.
pub fn total<'a>(widths: impl Iterator<Item = &'a usize>) -> usize {
    let (count, sum) = widths.fold((0usize, 0), |(count, sum), width| (count + 1, sum + width));
    sum + GAP * count.saturating_sub(1)
}

/// The widths of a table's columns within `columns`; none for a column that is left out. `least` are the columns that
/// may be narrower than their cells, and how narrow; `omit` those that are left out, in this order, while even so all do
/// not fit. The widest gives first.
pub fn widths(
    natural: &[usize],
    least: &[(usize, usize)],
    omit: &[usize],
    columns: Columns,
) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = natural.iter().copied().map(Some).collect();
    let Some(columns) = columns else {
        return widths;
    };
    let total = |widths: &[Option<usize>]| total(widths.iter().flatten());
    let mut narrow = widths.clone();
    for &(i, least) in least {
        for widths in [(&mut narrow, least), (&mut widths, columns.max(NARROWEST))] {
            if let (Some(Some(width)), limit) = (widths.0.get_mut(i), widths.1) {
                *width = limit.min(*width);
            }
        }
    }
    for &i in omit {
        if total(&narrow) <= columns {
            break;
        }
        for widths in [&mut narrow, &mut widths] {
            if let Some(width) = widths.get_mut(i) {
                *width = None;
            }
        }
    }
    // Where even that is too much, all of them give what they can.
    for floor in [None, Some(NARROWEST)] {
        while total(&widths) > columns {
            let given = least
                .iter()
                .filter_map(|&(i, least)| {
                    Some((widths.get(i).copied()??, i, floor.unwrap_or(least)))
                })
                .filter(|(width, _, floor)| width > floor)
                .max();
            let Some((_, i, _)) = given else { break };
            if let Some(Some(width)) = widths.get_mut(i) {
                *width -= 1;
            }
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{escape::width, style::Style};

    #[test]
    fn lines_break_at_words() {
        for (text, columns, hanging, wanted) in [
            ("one two three", None, 4, vec!["one two three"]),
            ("one two three", Some(7), 0, vec!["one two", "three"]),
            ("one two three", Some(8), 2, vec!["one two", "  three"]),
            ("  one two", Some(6), 3, vec!["  one", "   two"]),
            ("a  b   c", Some(4), 0, vec!["a  b", "c"]),
            ("abcdefgh", Some(4), 2, vec!["abcd", "  ef", "  gh"]),
            ("x abcdefgh", Some(4), 0, vec!["x ab", "cdef", "gh"]),
            ("漢字漢字", Some(5), 0, vec!["漢字", "漢字"]),
            ("漢", Some(1), 0, vec!["漢"]),
            ("", Some(5), 2, vec![""]),
            ("ab   ", Some(3), 0, vec!["ab"]),
            ("ab   ", None, 0, vec!["ab"]),
        ] {
            assert_eq!(lines(text, columns, hanging), wanted, "{text:?}");
        }
    }

    #[test]
    fn no_line_is_too_long_and_nothing_is_lost() {
        let text = "The shell /usr/bin/bash of a-very-long-service-name@with-an-instance.service 漢字漢字 \
                    said   something to 192.0.2.1";
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        for columns in 4..100 {
            for hanging in [0, 2, 25] {
                let lines = lines(text, Some(columns), hanging);
                assert!(lines.iter().all(|line| width(line) <= columns), "{lines:?}");
                assert_eq!(letters(&lines.concat()), letters(text));
            }
        }
    }

    #[test]
    fn colours_take_no_columns() {
        let bold = Style { colour: true }.bold("two three");
        assert_eq!(visible(&bold), 9);
        assert_eq!(
            lines(&format!("one {bold} four"), Some(8), 0),
            ["one \x1b[1mtwo", "three\x1b[0m", "four"].map(str::to_owned)
        );
    }

    #[test]
    fn the_widest_gives_first_and_some_are_left_out() {
        let natural = [3, 10, 40, 60];
        let least = [(2, 20), (3, 10)];
        for (columns, wanted) in [
            (None, [Some(3), Some(10), Some(40), Some(60)]),
            (Some(119), [Some(3), Some(10), Some(40), Some(60)]),
            (Some(118), [Some(3), Some(10), Some(40), Some(59)]),
            (Some(98), [Some(3), Some(10), Some(40), Some(39)]),
            (Some(49), [Some(3), Some(10), Some(20), Some(10)]),
            (Some(48), [Some(3), None, Some(21), Some(20)]),
            (Some(20), [Some(3), None, Some(7), Some(6)]),
            (Some(1), [Some(3), None, Some(4), Some(4)]),
        ] {
            assert_eq!(
                widths(&natural, &least, &[1], columns),
                wanted,
                "{columns:?}"
            );
        }
    }
}

//! Columns aligned by what characters take on a terminal, not by how many bytes they have, and fitted into its width.
//! The last column is never padded, so that lines have no trailing blanks.

use super::{
    escape::{pad, shorten, width},
    fit::{self, Columns, GAP},
};

/// Blanks before what goes below its row.
const BELOW: usize = 6;

/// Rows of cells under a heading. Cells must already be escaped.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
    least: Vec<(usize, usize)>,
    wrapped: Vec<usize>,
    omit: Vec<usize>,
    below: bool,
    within: Columns,
}

impl Table {
    /// A table with these column titles.
    pub fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|title| (*title).to_owned()).collect(),
            rows: Vec::new(),
            right: Vec::new(),
            least: Vec::new(),
            wrapped: Vec::new(),
            omit: Vec::new(),
            below: false,
            within: None,
        }
    }

    /// Aligns these columns (from 0) to the right: numbers.
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Fits the lines into this many columns of the terminal, as far as the next four allow.
    pub fn within(mut self, columns: Columns) -> Self {
        self.within = columns;
        self
    }

    /// Cells of these columns may be cut, with an ellipsis: each column and its least width.
    pub fn cut(mut self, columns: &[(usize, usize)]) -> Self {
        self.least.extend(columns);
        self
    }

    /// Cells of these columns may be broken into lines, at words: each column and its least width.
    pub fn wrap(mut self, columns: &[(usize, usize)]) -> Self {
        self.least.extend(columns);
        self.wrapped
            .extend(columns.iter().map(|(column, _)| column));
        self
    }

    /// These columns are left out, in this order, where all do not fit.
    pub fn omit(mut self, columns: &[usize]) -> Self {
        self.omit = columns.to_vec();
        self
    }

    /// The last column goes below its row, broken at words, where all do not fit: for sentences.
    pub fn below(mut self) -> Self {
        self.below = true;
        self
    }

    /// Adds a row.
    pub fn row<I, S>(&mut self, cells: I)
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines, each ended by a newline; heading first. `paint` may colour a cell after it has
    /// been aligned: it gets the column, the cell and the aligned text.
    pub fn render(&self, paint: impl Fn(usize, &str, &str) -> String) -> String {
        let mut natural: Vec<usize> = self.head.iter().map(|cell| width(cell)).collect();
        for row in &self.rows {
            for (i, cell) in row.iter().enumerate() {
                match natural.get_mut(i) {
                    Some(w) => *w = (*w).max(width(cell)),
                    None => natural.push(width(cell)),
                }
            }
        }
        let too_wide = |columns| fit::total(natural.iter()) > columns;
        let below = self.below && self.within.is_some_and(too_wide);
        if below {
            natural.pop();
        }
        let widths = fit::widths(&natural, &self.least, &self.omit, self.within);
        let mut out = self.lines(&self.head, &widths, |_, _, aligned| aligned.to_owned());
        for row in &self.rows {
            out.push_str(&self.lines(row, &widths, &paint));
            if let (true, Some(text)) = (
                below,
                row.get(natural.len()).filter(|text| !text.is_empty()),
            ) {
                let indented = format!("{}{text}", " ".repeat(BELOW));
                out.push_str(&fit::paragraph(&indented, self.within, BELOW));
            }
        }
        out
    }

    /// A row as lines: as many as its longest broken cell has.
    fn lines(
        &self,
        row: &[String],
        widths: &[Option<usize>],
        paint: impl Fn(usize, &str, &str) -> String,
    ) -> String {
        let shown = row.iter().zip(widths).enumerate();
        let cells: Vec<(usize, usize, &String, Vec<String>)> = shown
            .filter_map(|(i, (cell, columns))| {
                let columns = (*columns)?;
                let lines = if self.wrapped.contains(&i) {
                    fit::lines(cell, self.within.and(Some(columns)), 0)
                } else {
                    vec![shorten(cell, columns)]
                };
                Some((i, columns, cell, lines))
            })
            .collect();
        let count = cells.iter().map(|(.., lines)| lines.len()).max();
        let mut out = String::new();
        for n in 0..count.unwrap_or(0) {
            let mut texts = Vec::new();
            for (at, (i, columns, cell, lines)) in cells.iter().enumerate() {
                let text = lines.get(n).map_or("", String::as_str);
                let aligned = if self.right.contains(i) {
                    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
                } else if at + 1 == cells.len() {
                    text.to_owned()
                } else {
                    pad(text, *columns)
                };
                texts.push(paint(*i, cell, &aligned));
            }
            out.push_str(texts.join(&" ".repeat(GAP)).trim_end());
            out.push('\n');
        }
        out
    }

    /// The lines without colour.
    pub fn plain(&self) -> String {
        self.render(|_, _, aligned| aligned.to_owned())
    }
}

/// Name and value in two columns, no heading.
pub fn pairs(rows: &[(&str, String)]) -> String {
    pairs_within(rows, None)
}

/// The same within this many columns: values are broken at words.
pub fn pairs_within(rows: &[(&str, String)], columns: Columns) -> String {
    let names = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0) + 1;
    rows.iter()
        .map(|(name, value)| {
            let line = format!("{}  {value}", pad(&format!("{name}:"), names));
            fit::paragraph(&line, columns, names + GAP)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_width() {
        let mut table = Table::new(&["NAME", "COUNT", "NOTE"]).right(&[1]);
        table.row(["漢字", "7", "wide"]);
        table.row(["plain", "1234567", ""]);
        assert_eq!(
            table.plain(),
            "NAME     COUNT  NOTE\n漢字         7  wide\nplain  1234567\n"
        );
    }

    #[test]
    fn colour_does_not_move_columns() {
        let mut table = Table::new(&["A", "B"]);
        table.row(["x", "y"]);
        table.row(["xxx", "y"]);
        let coloured = table.render(|i, _, text| {
            if i == 0 {
                format!("\x1b[1m{text}\x1b[0m")
            } else {
                text.to_owned()
            }
        });
        assert_eq!(
            coloured,
            "A    B\n\x1b[1mx  \x1b[0m  y\n\x1b[1mxxx\x1b[0m  y\n"
        );
    }

    #[test]
    fn pairs_align() {
        assert_eq!(
            pairs(&[("Id", "1".into()), ("Owner", "root".into())]),
            "Id:     1\nOwner:  root\n"
        );
    }

    /// A table whose columns may be cut, broken and left out.
    fn fitted(columns: Columns) -> Table {
        let mut table = Table::new(&["ID", "UNIT", "TITLE", "REASON"])
            .within(columns)
            .cut(&[(2, 10)])
            .wrap(&[(3, 12)])
            .omit(&[1]);
        table.row([
            "1",
            "a.service",
            "Shell of a service",
            "it talks to the network",
        ]);
        table.row(["22", "b", "漢字漢字漢字漢字", ""]);
        table
    }

    #[test]
    fn tables_fit() {
        let whole = "\
ID  UNIT       TITLE               REASON
1   a.service  Shell of a service  it talks to the network
22  b          漢字漢字漢字漢字
";
        for (columns, lines) in [
            (None, whole),
            (Some(58), whole),
            (
                Some(46),
                "\
ID  UNIT       TITLE            REASON
1   a.service  Shell of a ser…  it talks to
                                the network
22  b          漢字漢字漢字漢…
",
            ),
            (
                Some(29),
                "\
ID  TITLE        REASON
1   Shell of a…  it talks to
                 the network
22  漢字漢字漢…
",
            ),
        ] {
            assert_eq!(fitted(columns).plain(), lines, "{columns:?}");
        }
    }

    #[test]
    fn sentences_go_below() {
        assert_eq!(fitted(Some(58)).below().plain(), fitted(None).plain());
        assert_eq!(
            fitted(Some(36)).below().plain(),
            "\
ID  UNIT       TITLE
1   a.service  Shell of a service
      it talks to the network
22  b          漢字漢字漢字漢字
"
        );
        assert_eq!(
            fitted(Some(20)).below().plain(),
            "\
ID  TITLE
1   Shell of a serv…
      it talks to
      the network
22  漢字漢字漢字漢字
"
        );
    }

    #[test]
    fn values_break_under_themselves() {
        let rows = [("Id", "1".into()), ("Why", "one two three four".into())];
        assert_eq!(
            pairs_within(&rows, Some(16)),
            "Id:   1\nWhy:  one two\n      three four\n"
        );
        assert_eq!(
            pairs_within(&rows, None),
            "Id:   1\nWhy:  one two three four\n"
        );
    }
}

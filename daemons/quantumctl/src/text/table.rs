//! Columns aligned by what characters take on a terminal, not by how many bytes they have.
//! The last column is never padded, so that lines have no trailing blanks.

use super::escape::{pad, width};

/// Rows of cells under a heading. Cells must already be escaped.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table with these column titles.
    pub fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|title| (*title).to_owned()).collect(),
            rows: Vec::new(),
            right: Vec::new(),
        }
    }

    /// Aligns these columns (from 0) to the right: numbers.
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
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
        let mut widths: Vec<usize> = self.head.iter().map(|cell| width(cell)).collect();
        for row in &self.rows {
            for (i, cell) in row.iter().enumerate() {
                match widths.get_mut(i) {
                    Some(w) => *w = (*w).max(width(cell)),
                    None => widths.push(width(cell)),
                }
            }
        }
        let line = |row: &[String], head: bool| {
            let last = row.len().saturating_sub(1);
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(i, cell)| {
                    let columns = widths.get(i).copied().unwrap_or(0);
                    let blanks = " ".repeat(columns.saturating_sub(width(cell)));
                    let aligned = if self.right.contains(&i) {
                        format!("{blanks}{cell}")
                    } else if i == last {
                        cell.clone()
                    } else {
                        pad(cell, columns)
                    };
                    if head {
                        aligned
                    } else {
                        paint(i, cell, &aligned)
                    }
                })
                .collect();
            let mut text = cells.join("  ").trim_end().to_owned();
            text.push('\n');
            text
        };
        let mut out = line(&self.head, true);
        for row in &self.rows {
            out.push_str(&line(row, false));
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
    let columns = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    rows.iter()
        .map(|(name, value)| {
            format!("{}  {value}", pad(&format!("{name}:"), columns + 1))
                .trim_end()
                .to_owned()
                + "\n"
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
}

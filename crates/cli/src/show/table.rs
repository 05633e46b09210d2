//! Rows under a head, as wide as the terminal and no wider.

use std::io::{self, IsTerminal as _};

use anyhow::Result;
use rustix::termios::tcgetwinsize;

use super::{clean, line};

/// Between two columns.
const GAP: usize = 2;
/// A column is not made narrower than this.
const WIDTH_MIN: usize = 4;

/// A table that is being put together.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these words over the columns.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&word| word.to_owned()).collect()] }
    }

    /// One more row; its cells may come from anywhere.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell).replace('\t', " ")).collect());
    }

    /// Prints it: to a terminal so that no line is wrapped, elsewhere whole.
    pub(crate) fn print(&self) -> Result<()> {
        let width = if io::stdout().is_terminal() { terminal_size().0 } else { usize::MAX };
        self.lines(width).iter().try_for_each(|text| line(text))
    }

    /// The lines, at most `width` characters each.
    pub(crate) fn lines(&self, width: usize) -> Vec<String> {
        let widths = fitted(self.widths(), width);
        self.rows.iter().map(|row| cells(row, &widths)).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let cell = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
        (0..columns).map(|column| self.rows.iter().map(|row| cell(row, column)).max().unwrap_or_default()).collect()
    }
}

/// How many columns and lines the terminal has.
pub(crate) fn terminal_size() -> (usize, usize) {
    let size = tcgetwinsize(io::stdout()).ok().filter(|size| 0 < size.ws_col && 0 < size.ws_row);
    size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()))
}

/// Takes from the widest column until all of it fits.
fn fitted(mut widths: Vec<usize>, width: usize) -> Vec<usize> {
    let gaps = GAP * widths.len().saturating_sub(1);
    while width < widths.iter().sum::<usize>() + gaps {
        let Some(widest) = widths.iter_mut().max().filter(|widest| WIDTH_MIN < **widest) else { break };
        *widest -= 1;
    }
    widths
}

fn cells(row: &[String], widths: &[usize]) -> String {
    let cell = |(cell, width): (&String, &usize)| format!("{:<width$}", cut(cell, *width), width = width + GAP);
    row.iter().zip(widths).map(cell).collect::<String>().trim_end().to_owned()
}

fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    cell.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: usize, expected: &[&str]) {
        let mut table = Table::new(&["ID", "LABELS"]);
        table.row(["sbx_1".to_owned(), "team=blue stage=\x1bdraft".to_owned()]);
        table.row(["sbx_22".to_owned(), String::new()]);
        assert_eq!(table.lines(width), expected);
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        check(usize::MAX, &["ID      LABELS", "sbx_1   team=blue stage=\u{fffd}draft", "sbx_22"]);
    }

    #[test]
    fn the_widest_column_gives_way_first() {
        check(20, &["ID      LABELS", "sbx_1   team=blue s…", "sbx_22"]);
        check(3, &["ID    LAB…", "sbx…  tea…", "sbx…"]);
    }
}

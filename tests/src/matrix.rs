//! What one suite found out, fact by fact and engine by engine, and how it is printed.
//!
//! The closing line is the one that every test runner of this workspace ends with, so that whoever counts tests
//! counts these too. A cell that was not tried is never a pass: it is printed with its reason.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::ExitCode,
    time::Duration,
};

/// What became of one row in one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// It is as it should be.
    Pass,
    /// It is not, and how.
    Fail(String),
    /// It was not tried, and why.
    Skipped(String),
    /// It is as it should be, but not simply so: in a word, and why.
    Noted(&'static str, String),
}

/// Rows in the order in which they are to be read, each with a cell per column.
#[derive(Debug)]
pub struct Matrix {
    title: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    group: String,
    name: String,
    cells: BTreeMap<&'static str, Cell>,
}

/// Why a row was not tried. As an error, so that a row can give up from anywhere with `?`.
#[derive(Debug)]
pub struct Skip(pub String);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

impl From<crate::Fact> for Cell {
    fn from(fact: crate::Fact) -> Self {
        match fact {
            Ok(()) => Self::Pass,
            Err(error) => match error.downcast_ref::<Skip>() {
                Some(skip) => Self::Skipped(skip.0.clone()),
                None => Self::Fail(format!("{}\n{error:#}", error.root_cause())),
            },
        }
    }
}

impl Cell {
    const fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "FAIL",
            Self::Skipped(_) => "skipped",
            Self::Noted(word, _) => word,
        }
    }
}

impl Matrix {
    /// An empty table.
    pub const fn new(title: &'static str, columns: Vec<&'static str>) -> Self {
        Self { title, columns, rows: Vec::new() }
    }

    /// A row whose cells are not known yet.
    pub fn announce(&mut self, group: &str, name: &str) {
        if !self.rows.iter().any(|row| row.is(group, name)) {
            self.rows.push(Row { group: group.to_owned(), name: name.to_owned(), cells: BTreeMap::new() });
        }
    }

    /// Fills in a cell and says so at once, for whoever watches.
    #[expect(clippy::too_many_arguments, reason = "a cell of a table: where, what and how long")]
    pub fn set(&mut self, group: &str, name: &str, column: &'static str, cell: Cell, took: Option<Duration>) {
        self.announce(group, name);
        let seconds = took.map_or_else(String::new, |took| format!(" ({:.1} s)", took.as_secs_f64()));
        let detail = match &cell {
            Cell::Pass => String::new(),
            Cell::Noted(_, why) if why.is_empty() => String::new(),
            Cell::Fail(why) | Cell::Skipped(why) | Cell::Noted(_, why) => {
                format!(": {}", why.lines().next().unwrap_or_default())
            }
        };
        say(&format!("{} {column}: {group}: {name} ... {}{seconds}{detail}", self.title, cell.word()));
        for row in self.rows.iter_mut().filter(|row| row.is(group, name)) {
            row.cells.insert(column, cell.clone());
        }
    }

    /// The same for a cell that may be filled in already, and is left alone then.
    pub fn set_if_unknown(&mut self, group: &str, name: &str, column: &'static str, cell: Cell) {
        let is_known = self.rows.iter().any(|row| row.is(group, name) && row.cells.contains_key(column));
        if !is_known {
            self.set(group, name, column, cell, None);
        }
    }

    /// Prints the table, what was skipped, what failed and the closing line. A cell that nobody filled in has failed.
    pub fn close(mut self, took: Duration) -> ExitCode {
        self.fill_gaps();
        say("");
        for line in self.lines() {
            say(&line);
        }
        for note in self.notes() {
            say(&format!("{} | {note}", self.title));
        }
        for (reason, count) in self.skipped() {
            say(&format!("SKIPPED: {}: {count} cells: {reason}", self.title));
        }
        let failures = self.failures();
        for failure in &failures {
            say(&format!("\nFAILED {failure}"));
        }
        let skipped = self.cells().filter(|(_, _, cell)| matches!(cell, Cell::Skipped(_))).count();
        let passed = self.cells().count() - skipped - failures.len();
        let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
        say(&format!(
            "\ntest result: {verdict}. {passed} passed; {} failed; {skipped} ignored; 0 measured; 0 filtered out; finished in {:.2}s\n",
            failures.len(),
            took.as_secs_f64()
        ));
        if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn fill_gaps(&mut self) {
        for row in &mut self.rows {
            for column in &self.columns {
                row.cells.entry(column).or_insert_with(|| Cell::Fail("nobody tried it".to_owned()));
            }
        }
    }

    /// Every line begins with the title, so that the table can be found again in a long log.
    fn lines(&self) -> Vec<String> {
        let labels: Vec<String> = self.rows.iter().map(|row| format!("{}: {}", row.group, row.name)).collect();
        let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
        let line = |label: &str, cells: Vec<&str>| {
            let cells = cells.iter().fold(String::new(), |line, cell| format!("{line} {cell:<8}"));
            format!("{} | {label:<width$} |{}", self.title, cells).trim_end().to_owned()
        };
        let head = line("", self.columns.clone());
        let body = self.rows.iter().zip(&labels).map(|(row, label)| {
            let words = self.columns.iter().map(|column| row.cells.get(column).map_or("-", Cell::word));
            line(label, words.collect())
        });
        std::iter::once(head).chain(body).collect()
    }

    fn cells(&self) -> impl Iterator<Item = (&Row, &'static str, &Cell)> {
        self.rows.iter().flat_map(|row| row.cells.iter().map(move |(column, cell)| (row, *column, cell)))
    }

    /// What is behind the words that are not simply a pass, each once.
    fn notes(&self) -> BTreeSet<String> {
        let noted = |(_, _, cell): (&Row, &'static str, &Cell)| match cell {
            Cell::Noted(word, why) if !why.is_empty() => Some(format!("{word} = {why}")),
            Cell::Noted(..) | Cell::Pass | Cell::Fail(_) | Cell::Skipped(_) => None,
        };
        self.cells().filter_map(noted).collect()
    }

    fn skipped(&self) -> BTreeMap<String, usize> {
        let mut reasons = BTreeMap::new();
        for (_, column, cell) in self.cells() {
            if let Cell::Skipped(why) = cell {
                *reasons.entry(format!("{column}: {why}")).or_default() += 1;
            }
        }
        reasons
    }

    fn failures(&self) -> Vec<String> {
        let failed = |(row, column, cell): (&Row, &'static str, &Cell)| match cell {
            Cell::Fail(why) => Some(format!("{}: {column}: {}: {}\n  {why}", self.title, row.group, row.name)),
            Cell::Pass | Cell::Skipped(_) | Cell::Noted(..) => None,
        };
        self.cells().filter_map(failed).collect()
    }
}

impl Row {
    fn is(&self, group: &str, name: &str) -> bool {
        self.group == group && self.name == name
    }
}

/// On standard output, past every capture. Nobody to read it is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Matrix {
        let mut matrix = Matrix::new("proof", vec!["gvisor", "native"]);
        matrix.set("boot", "it boots", "gvisor", Cell::Pass, None);
        matrix.set("boot", "it boots", "native", Cell::Skipped("no engine".to_owned()), None);
        matrix.set("files", "they come back", "native", Cell::Fail("they do not".to_owned()), None);
        matrix
    }

    #[test]
    fn a_table_shows_every_row_in_every_column() {
        let lines = matrix().lines();
        assert_eq!(lines[0], "proof |                       | gvisor   native");
        assert_eq!(lines[1], "proof | boot: it boots        | pass     skipped");
        assert_eq!(lines[2], "proof | files: they come back | -        FAIL");
    }

    #[test]
    fn what_nobody_tried_has_failed() {
        let mut matrix = matrix();
        matrix.fill_gaps();
        assert_eq!(matrix.failures().len(), 2);
        assert_eq!(matrix.skipped().len(), 1);
    }

    #[test]
    fn a_skip_is_told_from_a_failure_however_it_is_wrapped() {
        let skip = anyhow::Error::new(Skip("no root".to_owned())).context("while trying");
        assert_eq!(Cell::from(Err(skip)), Cell::Skipped("no root".to_owned()));
        let broken = anyhow::anyhow!("broken").context("while trying");
        assert_eq!(Cell::from(Err(broken)), Cell::Fail("broken\nwhile trying: broken".to_owned()));
        assert_eq!(Cell::from(Ok(())), Cell::Pass);
    }
}

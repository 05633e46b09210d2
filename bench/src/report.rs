//! The table, as text for a terminal and as markdown for `docs/performance.md`.

use std::fmt::Write;

use crate::{machine::Machine, options::command_line, samples::Samples};

/// One measurement.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// Of what the numbers are.
    pub(crate) unit: &'static str,
    /// Ours.
    pub(crate) ours: Samples,
    /// The peer's name and numbers.
    pub(crate) peer: Option<(String, Samples)>,
    /// What is to be reached.
    pub(crate) target: Target,
}

/// What is to be reached. Ratios are of medians.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// Ours takes at most so much of what the peer takes.
    AtMostOfPeer(f64),
    /// Ours takes at most so much more than the peer, in the row's unit.
    AtMostOverPeer(f64),
    /// The peer takes at least so many times what ours takes.
    TimesFaster(f64),
    /// Ours is at least so much of the peer's, where more is better.
    AtLeastOfPeer(f64),
    /// Ours is below this.
    Below(f64),
    /// Said, not judged.
    ForInformation,
}

/// All measurements of a run.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Machine,
    rows: Vec<Row>,
}

const HEADINGS: [&str; 6] = ["measurement", "SENTINAL median (p95)", "peer median (p95)", "ratio", "target", "met"];

impl Report {
    /// Without any measurement yet.
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, rows: Vec::new() }
    }

    /// One more measurement.
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// More measurements.
    pub(crate) fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    /// In columns, for a terminal.
    pub(crate) fn as_text(&self) -> String {
        let rows = self.cells();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let mut text = format!("{}\n{}\n\n", command_line(), self.machine.describe());
        for row in &rows {
            let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column)));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// As a table of markdown.
    pub(crate) fn as_markdown(&self) -> String {
        let mut text = format!("`{}` on {}\n\n", command_line(), self.machine.describe());
        for (index, row) in self.cells().iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if index == 0 {
                text.push_str("|---|---|---|---|---|---|\n");
            }
        }
        text
    }

    fn cells(&self) -> Vec<[String; 6]> {
        let headings = HEADINGS.map(str::to_owned);
        std::iter::once(headings).chain(self.rows.iter().map(Row::cells)).collect()
    }
}

impl Row {
    fn cells(&self) -> [String; 6] {
        let peer = self
            .peer
            .as_ref()
            .map_or_else(String::new, |(name, samples)| format!("{} ({name})", figures(samples, self.unit)));
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let met = match self.is_met() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        [self.what.clone(), figures(&self.ours, self.unit), peer, ratio, self.target.to_string(), met.to_owned()]
    }

    /// In the direction that the target has; otherwise ours to the peer's.
    fn ratio(&self) -> Option<f64> {
        let (_, peer) = self.peer.as_ref()?;
        let (ours, peer) = (self.ours.median(), peer.median());
        Some(if matches!(self.target, Target::TimesFaster(_)) { peer / ours } else { ours / peer })
    }

    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::AtMostOfPeer(bound) => Some(self.ratio()? <= bound),
            Target::TimesFaster(bound) | Target::AtLeastOfPeer(bound) => Some(self.ratio()? >= bound),
            Target::AtMostOverPeer(bound) => {
                self.peer.as_ref().map(|(_, peer)| self.ours.median() <= peer.median() + bound)
            }
            Target::Below(bound) => Some(self.ours.median() < bound),
            Target::ForInformation => None,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMostOfPeer(bound) => write!(f, "<= {bound}"),
            Self::AtMostOverPeer(bound) => write!(f, "<= peer + {bound}"),
            Self::TimesFaster(bound) => write!(f, ">= {bound} x faster"),
            Self::AtLeastOfPeer(bound) => write!(f, ">= {bound}"),
            Self::Below(bound) => write!(f, "< {bound}"),
            Self::ForInformation => Ok(()),
        }
    }
}

fn figures(samples: &Samples, unit: &str) -> String {
    let (median, p95) = (samples.median(), samples.p95());
    let digits = usize::from(median < 1000.0);
    format!("{median:.digits$} ({p95:.digits$}) {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, peer: f64, target: Target) -> Row {
        let samples = |value| {
            let mut samples = Samples::default();
            samples.add(value);
            samples
        };
        Row {
            what: "x".to_owned(),
            unit: "ms",
            ours: samples(ours),
            peer: Some(("y".to_owned(), samples(peer))),
            target,
        }
    }

    #[test]
    fn a_target_is_judged_in_its_own_direction() {
        assert_eq!(row(10.0, 30.0, Target::TimesFaster(2.5)).is_met(), Some(true));
        assert_eq!(row(30.0, 10.0, Target::TimesFaster(2.5)).is_met(), Some(false));
        assert_eq!(row(11.0, 10.0, Target::AtMostOfPeer(1.15)).is_met(), Some(true));
        assert_eq!(row(12.0, 10.0, Target::AtMostOfPeer(1.15)).is_met(), Some(false));
        assert_eq!(row(4.0, 10.0, Target::AtLeastOfPeer(0.4)).is_met(), Some(true));
        assert_eq!(row(3.0, 10.0, Target::AtLeastOfPeer(0.4)).is_met(), Some(false));
        assert_eq!(row(12.9, 10.0, Target::AtMostOverPeer(3.0)).is_met(), Some(true));
        assert_eq!(row(13.1, 10.0, Target::AtMostOverPeer(3.0)).is_met(), Some(false));
        assert_eq!(row(48.0, 1.0, Target::Below(48.0)).is_met(), Some(false));
        assert_eq!(row(1.0, 1.0, Target::ForInformation).is_met(), None);
    }

    #[test]
    fn what_could_not_be_measured_is_not_met() {
        assert_eq!(row(f64::NAN, 1.0, Target::AtMostOfPeer(1.0)).is_met(), Some(false));
    }
}

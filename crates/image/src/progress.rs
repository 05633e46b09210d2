//! How a build says how far it is: to a bar on a terminal, as plain lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The steps of a build, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Which package sources are Debian's?
    Sources,
    /// Packages are downloaded and unpacked.
    Packages,
    /// What their installation scripts would have done is done.
    Root,
    /// Python's library is compiled, the linker's cache written.
    Compile,
    /// The root folder becomes one file.
    Pack,
    /// The file gets its place in the store.
    Install,
}

impl Step {
    /// One word for a line of progress.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Packages => "packages",
            Self::Root => "root",
            Self::Compile => "compile",
            Self::Pack => "pack",
            Self::Install => "install",
        }
    }
}

/// One report of a build.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is being done.
    pub step: Step,
    /// How much of the whole build lies behind, from 0 to 1; never less than before.
    pub fraction: f64,
    /// A few words for people.
    pub message: &'a str,
}

/// Hears how far a build is. Called some twenty times per build, from the task that builds.
pub trait ProgressSink: Send + Sync {
    /// Takes note. Must not block for long.
    fn report(&self, progress: Progress<'_>);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl ProgressSink for Silent {
    fn report(&self, _progress: Progress<'_>) {}
}

/// A bar on standard error if that is a terminal, otherwise a line per report.
#[derive(Debug)]
pub struct TerminalProgress {
    view: View,
}

#[derive(Debug)]
enum View {
    Bar(ProgressBar),
    Lines { last: Mutex<String> },
}

const BAR_STEPS: u32 = 1000;

impl TerminalProgress {
    /// A bar or lines, whichever suits standard error.
    pub fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self { view: View::Lines { last: Mutex::default() } };
        }
        let bar = ProgressBar::with_draw_target(Some(BAR_STEPS.into()), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {elapsed:>4} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { view: View::Bar(bar) }
    }

    /// Takes the bar away, so that what is printed next stands alone.
    pub fn finish(&self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

impl Default for TerminalProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl ProgressSink for TerminalProgress {
    fn report(&self, progress: Progress<'_>) {
        let line = format!("{}: {}", progress.step.as_str(), progress.message);
        match &self.view {
            View::Bar(bar) => {
                bar.set_position(per_mille(progress.fraction));
                bar.set_message(line);
            }
            View::Lines { last } => print_new(last, line),
        }
    }
}

/// Prints `line` unless it was the last one. A closed standard error is no reason to fail a build.
fn print_new(last: &Mutex<String>, line: String) {
    let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if *last != line {
        let _ = writeln!(io::stderr().lock(), "{line}");
        *last = line;
    }
}

fn per_mille(fraction: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1000 just before")]
    let position = (fraction * f64::from(BAR_STEPS)).clamp(0.0, f64::from(BAR_STEPS)) as u64;
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_outside_its_range_does_not_break_the_bar() {
        for (fraction, position) in [(0.0, 0), (0.5, 500), (1.0, 1000), (7.0, 1000), (-1.0, 0), (f64::NAN, 0)] {
            assert_eq!(per_mille(fraction), position, "{fraction}");
        }
    }
}

//! Simulates one seed and tells its story, or many seeds and tells which went wrong.
//!
//! A seed is the same story in every process. That takes some care: the runtime chooses among tasks that wait for the
//! same thing by random numbers of its own, which it seeds from the standard library's randomness and from how many
//! runtimes there were before. So each seed has a thread of its own, in which that randomness is fixed (`sys.rs`), and
//! its turn in its process, which is made up for where earlier seeds were not simulated.

mod chunk;
mod many;
mod sys;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Parser;
use sentinal_sim::{Case, Sabotage};

/// The real controller, scheduler, store and node under a seed.
#[derive(Debug, Parser)]
struct Options {
    /// The seed to simulate, or the first of many.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds; one of them is told.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Simulates many in this process alone, for another one that counts.
    #[arg(long, hide = true)]
    chunk: bool,
    /// Breaks a part on purpose: a number from 0 on.
    #[arg(long)]
    sabotage: Option<usize>,
    /// Adds what controller and node log, for example `debug`.
    #[arg(long)]
    log: Option<String>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if let Some(filter) = &options.log {
        let filter = tracing_subscriber::EnvFilter::try_new(filter).context("not a filter of logs")?;
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(io::stderr).init();
    }
    let seeds = options.seed..options.seed.saturating_add(options.seeds);
    if options.chunk {
        chunk::simulate(seeds)?;
        return Ok(ExitCode::SUCCESS);
    }
    if 1 < options.seeds { many::simulate(seeds) } else { tell(&options) }
}

fn tell(options: &Options) -> Result<ExitCode> {
    let sabotage = options.sabotage.and_then(|number| Sabotage::ALL.get(number).copied()).unwrap_or_default();
    let report = chunk::run(Case { seed: options.seed, sabotage, tell: true, sqlite: false })?;
    let mut out = io::stdout().lock();
    for line in &report.story {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "seed {}: hash {:016x}, {:?}, {:?}", options.seed, report.hash, report.counts, report.answers)?;
    match report.wrong {
        Some(wrong) => {
            writeln!(out, "WRONG: {wrong}")?;
            Ok(ExitCode::FAILURE)
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

//! Seeds one after the other in one process, each of which is what it would be alone. The last of each chunk keeps its
//! rows in a real database.

use std::{
    io::{self, Write as _},
    ops::Range,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use sentinal_sim::{Case, Report, prepare};

use crate::sys;

/// Seeds of one process: few enough to be made up for, many enough to be worth the process.
pub(crate) const SEEDS: u64 = 64;

/// How long one seed may take on the real clock. Most take a thousandth of it.
const SEED_DEADLINE_S: u64 = 120;

/// Simulations and what stood in for one, in this process.
static TURN: AtomicU64 = AtomicU64::new(0);

/// What came of a chunk, as it crosses from one process to another.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) seeds: u64,
    pub(crate) instances: u64,
    pub(crate) programs: u64,
    pub(crate) answered: u64,
    pub(crate) asked: u64,
}

/// Simulates seeds of one chunk, tells each that went wrong, and counts.
pub(crate) fn simulate(seeds: Range<u64>) -> Result<()> {
    let mut counts = Counts::default();
    let now = watch_over();
    for seed in seeds {
        now.store(seed, Relaxed);
        let report = run_in_turn(Case { seed, ..Case::default() })?;
        if let Some(wrong) = &report.wrong {
            writeln!(io::stdout(), "wrong {seed} {}", wrong.replace('\n', " "))?;
        }
        counts.add(&report);
    }
    let Counts { seeds, instances, programs, answered, asked } = counts;
    writeln!(io::stdout(), "counts {seeds} {instances} {programs} {answered} {asked}")?;
    Ok(())
}

/// Simulates one seed.
pub(crate) fn run(case: Case) -> Result<Report> {
    let now = watch_over();
    now.store(case.seed, Relaxed);
    run_in_turn(case)
}

fn run_in_turn(mut case: Case) -> Result<Report> {
    prepare()?;
    // Those start runtimes of their own, which must not be counted in another seed's turn.
    case.sqlite = case.seed % SEEDS == SEEDS - 1;
    while TURN.load(Relaxed) < case.seed % SEEDS {
        TURN.fetch_add(1, Relaxed);
        in_a_thread(|| {
            tokio::runtime::Builder::new_current_thread().build()?.block_on(async {});
            Ok(())
        })?;
    }
    TURN.fetch_add(1, Relaxed);
    in_a_thread(move || sentinal_sim::run(case))
}

fn in_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let work = || {
        sys::fix_randomness();
        work()
    };
    thread::spawn(work).join().ok().context("the simulation itself panicked")?
}

/// Ends the process when a seed does not come to its end. Answers where the seed of the moment is to be noted.
fn watch_over() -> Arc<AtomicU64> {
    let now = Arc::new(AtomicU64::new(u64::MAX));
    let watched = Arc::clone(&now);
    thread::spawn(move || {
        let (mut before, mut seconds) = (u64::MAX, 0);
        loop {
            thread::park_timeout(Duration::from_secs(1));
            let seed = watched.load(Relaxed);
            seconds = if seed == before { seconds + 1 } else { 0 };
            before = seed;
            if SEED_DEADLINE_S < seconds {
                // Nobody is left to tell if that fails.
                let _ = writeln!(io::stdout(), "wrong {seed} it is not over after {SEED_DEADLINE_S} s");
                process::abort();
            }
        }
    });
    now
}

impl Counts {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.programs += report.counts.0;
        self.instances += report.counts.1;
        self.answered += report.answers.get("yes").copied().unwrap_or_default();
        self.asked += report.answers.values().sum::<u64>();
    }
}

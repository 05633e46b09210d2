//! Many seeds, on all cores: a process for each chunk of them, as many at once as there are cores.

use std::{
    env,
    io::{self, Write as _},
    ops::Range,
    process::{Command, ExitCode, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::chunk::{self, Counts};

/// Failures after which no more chunks are begun.
const FAILURES_MAX: usize = 10;

/// How often the work so far is told.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What came of all chunks so far.
struct Work {
    left: Range<u64>,
    counts: Counts,
    failures: Vec<(u64, String)>,
    began: Instant,
    told: Instant,
}

/// Simulates every seed of a range.
pub(crate) fn simulate(seeds: Range<u64>) -> Result<ExitCode> {
    let now = Instant::now();
    let work = Work { left: seeds, counts: Counts::default(), failures: Vec::new(), began: now, told: now };
    let work = Mutex::new(work);
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let outcomes: Vec<Result<()>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| keep_working(&work))).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
    });
    outcomes.into_iter().collect::<Result<()>>()?;
    let work = work.into_inner().unwrap_or_else(PoisonError::into_inner);
    work.tell()?;
    let too_little = work.failures.is_empty() && work.counts.is_too_little();
    if too_little {
        writeln!(io::stdout(), "too little happens in these seeds to prove anything")?;
    }
    Ok(if work.failures.is_empty() && !too_little { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn keep_working(work: &Mutex<Work>) -> Result<()> {
    let lock = || work.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(seeds) = { lock().take() } {
        let lines = in_a_process(&seeds)?;
        lock().add(&seeds, &lines)?;
    }
    Ok(())
}

/// Everything that a process says which simulates these seeds.
fn in_a_process(seeds: &Range<u64>) -> Result<String> {
    let (first, count) = (seeds.start.to_string(), (seeds.end - seeds.start).to_string());
    let mut command = Command::new(env::current_exe().context("this program is nowhere")?);
    let command = command.args(["--chunk", "--seed", &first, "--seeds", &count]).stderr(Stdio::inherit());
    let output = command.output().context("no process for a chunk of seeds")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Work {
    /// The next chunk.
    fn take(&mut self) -> Option<Range<u64>> {
        if self.left.is_empty() || FAILURES_MAX <= self.failures.len() {
            return None;
        }
        let first = self.left.start;
        let next = (first - first % chunk::SEEDS).saturating_add(chunk::SEEDS).min(self.left.end);
        self.left.start = next;
        Some(first..next)
    }

    fn add(&mut self, seeds: &Range<u64>, lines: &str) -> Result<()> {
        let (mut counted, mut failed) = (false, false);
        for line in lines.lines() {
            match line.split_once(' ') {
                Some(("wrong", rest)) => {
                    failed = true;
                    self.fail(rest)?;
                }
                Some(("counts", rest)) => counted = self.counts.read(rest),
                Some(_) | None => bail!("a chunk said {line:?}"),
            }
        }
        if !counted && !failed {
            bail!("the process of seeds {seeds:?} died and said only {lines:?}");
        }
        if TELL_EVERY < self.told.elapsed() {
            self.told = Instant::now();
            self.tell()?;
        }
        Ok(())
    }

    fn fail(&mut self, line: &str) -> Result<()> {
        let (seed, wrong) = line.split_once(' ').context("a failure without a seed")?;
        writeln!(io::stdout(), "seed {seed}: {wrong}\n    cargo run -p sentinal-sim -- --seed {seed}")?;
        self.failures.push((seed.parse()?, wrong.to_owned()));
        Ok(())
    }

    fn tell(&self) -> io::Result<()> {
        let Counts { seeds, instances, programs, answered, asked } = self.counts;
        let (failures, seconds) = (self.failures.len(), self.began.elapsed().as_secs_f64());
        writeln!(
            io::stdout(),
            "simulation: {seeds} seeds in {seconds:.1} s, {failures} of them wrong; {instances} instances, {programs} \
             programs, {answered} of {asked} calls answered"
        )
    }
}

impl Counts {
    fn read(&mut self, line: &str) -> bool {
        let numbers: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
        let &[seeds, instances, programs, answered, asked] = numbers.as_slice() else { return false };
        self.seeds += seeds;
        self.instances += instances;
        self.programs += programs;
        self.answered += answered;
        self.asked += asked;
        true
    }

    /// A simulation in which nothing happens finds nothing.
    const fn is_too_little(&self) -> bool {
        self.instances + 100 < 2 * self.seeds
            || self.programs + 100 < self.seeds
            || 2 * self.answered + 100 < self.asked
    }
}

//! What everything in a simulation shares: the dice, the time, the story so far, and the first thing that was wrong.

use std::{
    fmt,
    hash::{DefaultHasher, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, distr::uniform::SampleRange, distr::uniform::SampleUniform, rngs::SmallRng};
use sentinal_model::{Clock, Millis};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    life::Life,
    plan::{Plan, Rate},
    sabotage::Sabotage,
};

/// When every simulation begins, on the wall clock.
const BEGIN: Millis = Millis(1_700_000_000_000);

/// Steps after which a seed has run away.
const STEPS_MAX: u64 = 400_000;

/// Lines of the story that are kept.
const LINES_MAX: usize = 200_000;

/// One simulated world.
pub(crate) struct World {
    pub(crate) plan: Plan,
    began: Instant,
    offset_ms: AtomicI64,
    /// The latest that the wall clock has ever shown.
    latest_ms: AtomicI64,
    dice: Mutex<SmallRng>,
    calm: AtomicBool,
    steps: AtomicU64,
    crashes: AtomicU32,
    story: Mutex<Story>,
    wrong: watch::Sender<Option<String>>,
}

/// What happened so far.
#[derive(Default)]
struct Story {
    /// Of every line.
    hash: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(plan: Plan, tell: bool) -> Self {
        let dice = SmallRng::seed_from_u64(plan.seed);
        let story = Story { lines: tell.then(Vec::new), ..Story::default() };
        Self {
            plan,
            began: Instant::now(),
            offset_ms: AtomicI64::new(0),
            latest_ms: AtomicI64::new(BEGIN.0),
            dice: Mutex::new(dice),
            calm: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            crashes: AtomicU32::new(0),
            story: Mutex::new(story),
            wrong: watch::Sender::new(None),
        }
    }

    // The dice.

    pub(crate) fn pick<T: SampleUniform, R: SampleRange<T>>(&self, range: R) -> T {
        lock(&self.dice).random_range(range)
    }

    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        lock(&self.dice).random()
    }

    /// Whether something goes wrong that does so at this rate; never while all is calm.
    pub(crate) fn fails(&self, rate: Rate) -> bool {
        rate > 0 && !self.is_calm() && self.chance(rate)
    }

    /// Whether this happens, in so many of ten thousand times.
    pub(crate) fn chance(&self, rate: Rate) -> bool {
        self.pick(0..10_000) < rate
    }

    /// A duration from this many milliseconds to that many.
    pub(crate) fn millis(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.pick(range))
    }

    /// Whether a part that is broken on purpose shows it this time.
    pub(crate) fn sabotaged(&self, sabotage: Sabotage) -> bool {
        self.plan.sabotage == sabotage && self.chance(3000)
    }

    // Trouble.

    /// From now on nothing goes wrong any more.
    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Relaxed);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Relaxed)
    }

    /// What a process does anywhere: here it may be slow, and here it may crash.
    pub(crate) async fn step(&self, life: &Life, what: &'static str) {
        life.alive().await;
        self.count();
        self.tell(format_args!("{life}: {what}"));
        if self.fails(self.plan.crash) && self.crashes.fetch_add(1, Relaxed) < self.plan.crashes_max {
            self.tell(format_args!("{life}: crashes at {what}"));
            life.kill();
        } else if self.fails(self.plan.slow) {
            sleep(self.millis(self.plan.slow_ms.clone())).await;
        }
        life.alive().await;
    }

    fn count(&self) {
        if STEPS_MAX < self.steps.fetch_add(1, Relaxed) {
            self.wrong(format_args!("it does not come to rest: {STEPS_MAX} steps and no end"));
        }
    }

    // The time.

    /// How long the simulation has been running, whatever the wall clock shows.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The wall clock jumps.
    pub(crate) fn jump(&self, milliseconds: i64) {
        self.offset_ms.fetch_add(milliseconds, Relaxed);
        self.now();
    }

    /// The latest that the wall clock has ever shown.
    pub(crate) fn latest(&self) -> Millis {
        self.now();
        Millis(self.latest_ms.load(Relaxed))
    }

    // The story.

    pub(crate) fn tell(&self, line: fmt::Arguments<'_>) {
        let mut story = lock(&self.story);
        let at = self.elapsed().as_secs_f64();
        // A hash takes everything.
        let _ = fmt::Write::write_fmt(&mut Hashing(&mut story.hash), format_args!("{at} {line}\n"));
        if let Some(lines) = &mut story.lines
            && lines.len() < LINES_MAX
        {
            lines.push(format!("{at:12.6} {line}"));
        }
    }

    /// The hash of the story, and the story itself if it was to be told.
    pub(crate) fn story(&self) -> (u64, Vec<String>) {
        let mut story = lock(&self.story);
        (story.hash.finish(), story.lines.take().unwrap_or_default())
    }

    /// Something happened that must not.
    pub(crate) fn wrong(&self, what: fmt::Arguments<'_>) {
        self.tell(format_args!("WRONG: {what}"));
        self.wrong.send_if_modified(|wrong| {
            let first = wrong.is_none();
            if first {
                *wrong = Some(what.to_string());
            }
            first
        });
    }

    /// Resolves with the first thing that was wrong.
    pub(crate) async fn first_wrong(&self) -> String {
        let mut wrong = self.wrong.subscribe();
        let first = wrong.wait_for(Option::is_some).await;
        // The sender is ours.
        first.ok().and_then(|first| first.clone()).unwrap_or_default()
    }

    pub(crate) fn is_wrong(&self) -> bool {
        self.wrong.borrow().is_some()
    }
}

impl Clock for World {
    fn now(&self) -> Millis {
        let elapsed = i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now = BEGIN.0 + elapsed + self.offset_ms.load(Relaxed);
        self.latest_ms.fetch_max(now, Relaxed);
        Millis(now)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// A hash as something to write into.
struct Hashing<'a>(&'a mut DefaultHasher);

impl fmt::Write for Hashing<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// What nobody else uses at this moment: a simulation has one thread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

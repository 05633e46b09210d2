//! One seed from its beginning to its end.

use std::{cell::RefCell, collections::BTreeMap, fs, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use sentinal_store::{MemoryStore, Store};
use tokio::time::timeout;

use crate::{
    chaos, client::Client, permits, plan::Plan, processes::Site, sabotage::Sabotage, sqlite::Sqlite, verify::verify,
    world::World,
};

/// How long clients may be at work, on the clock of the simulation.
const WORK_DEADLINE: Duration = Duration::from_secs(3 * 3600);

/// What is to be simulated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Case {
    /// Decides everything.
    pub seed: u64,
    /// What is broken on purpose.
    pub sabotage: Sabotage,
    /// Whether the story is kept.
    pub tell: bool,
    /// Whether a real database keeps the rows: slow, and starts threads.
    pub sqlite: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// The first thing that was wrong.
    pub wrong: Option<String>,
    /// Of every line of the story.
    pub hash: u64,
    /// The story, if it was to be told.
    pub story: Vec<String>,
    /// Clients' calls by how they were answered.
    pub answers: BTreeMap<&'static str, u64>,
    /// Programs that were started, and instances that were booted.
    pub counts: (u64, u64),
}

/// What has no part in any simulation and is made before the first.
pub fn prepare() -> Result<()> {
    permits::prepare()
}

/// Simulates a seed. An error means that there was no simulation.
pub fn run(case: Case) -> Result<Report> {
    prepare()?;
    panics::take();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().context("no runtime")?;
    let folder = tempfile::Builder::new().prefix("sim-").tempdir_in(memory()).context("no folder")?;
    let mut report = runtime.block_on(simulate(case, folder))?;
    drop(runtime);
    report.wrong = report.wrong.or_else(panics::take);
    Ok(report)
}

/// Where files cost nothing.
fn memory() -> std::path::PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

async fn simulate(case: Case, folder: tempfile::TempDir) -> Result<Report> {
    fs::write(folder.path().join("agent"), "agent").context("no file in the folder")?;
    let store: Arc<dyn Store> =
        if case.sqlite { Arc::new(Sqlite::open(folder.path())?) } else { Arc::new(MemoryStore::new()) };
    let world = Arc::new(World::new(Plan::of(case.seed, case.sabotage), case.tell));
    world.tell(format_args!("{:?}", world.plan));
    let site = Site::new(Arc::clone(&world), store, folder);
    let wrong = tokio::select! {
        biased;
        wrong = world.first_wrong() => Some(wrong),
        () = life(&site) => None,
    };
    let (hash, story) = world.story();
    Ok(Report { wrong, hash, story, answers: site.journal.answers(), counts: site.machine.counts() })
}

async fn life(site: &Arc<Site>) {
    tokio::spawn(Arc::clone(site).keep_node());
    tokio::spawn(Arc::clone(site).keep_server());
    let plan = &site.world.plan;
    let trouble = tokio::spawn(chaos::trouble(Arc::clone(site)));
    let clients = (1..=plan.clients).map(|number| tokio::spawn(Client::new(Arc::clone(site), number).work(plan.steps)));
    let clients: Vec<_> = clients.collect();
    let work = async {
        for client in clients {
            // What it found is written down.
            let _ = client.await;
        }
        let _ = trouble.await;
    };
    if timeout(WORK_DEADLINE, work).await.is_err() {
        site.world.wrong(format_args!("clients were at work for {WORK_DEADLINE:?} and are not done"));
    }
    site.world.calm_down();
    Box::pin(verify(site)).await;
}

/// A task that panics is as wrong as anything.
mod panics {
    use super::RefCell;

    thread_local! {
        static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    }

    /// The first panic of this thread since the last time; from the first call on they are noted.
    pub(super) fn take() -> Option<String> {
        static HOOK: std::sync::Once = std::sync::Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                PANIC.with_borrow_mut(|panic| {
                    panic.get_or_insert_with(|| format!("panicked: {info}"));
                });
                before(info);
            }));
        });
        PANIC.take()
    }
}

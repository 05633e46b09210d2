//! A process that writes is killed at random moments; whatever it was told is stored must be there.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use sentinal_model::{Millis, TenantId};
use sentinal_store::{OutputPlace, SqliteStore, Store, Write};

use crate::records::{ended, event, execution, running, sandbox_id, write, write_execution};

const FOLDER: &str = "SENTINAL_STORE_CRASH_FOLDER";
const FIRST: &str = "SENTINAL_STORE_CRASH_FIRST";
const ACKNOWLEDGED: &str = "acknowledged ";
const ROUNDS: u64 = 12;
const WRITERS: u64 = 8;

/// Not a test by itself: what the test below starts and kills.
#[test]
fn a_child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(&folder.join("store.db")).await.unwrap());
        let writers = (0..WRITERS).map(|writer| tokio::spawn(write_for_ever(Arc::clone(&store), first + writer)));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

async fn write_for_ever(store: Arc<SqliteStore>, first: u64) {
    for number in (first..).step_by(usize::try_from(WRITERS).unwrap()) {
        let sandbox = running(number);
        let done = ended(&execution(number, &sandbox), 0, OutputPlace::Row(vec![b'x'; 3000]));
        let batch = vec![write(&sandbox), write_execution(&done), Write::Event(event(Some(sandbox.id), 1))];
        store.write(batch).await.unwrap();
        // One write call per line, so that a line is whole or not there.
        std::io::Write::write_all(&mut std::io::stdout(), format!("{ACKNOWLEDGED}{number}\n").as_bytes()).unwrap();
        if number.is_multiple_of(200) {
            store.remove_finished(Millis(0), 10).await.unwrap();
        }
    }
}

#[test]
fn every_acknowledged_write_survives_a_kill() {
    let seed = std::env::var("SEED").map_or_else(|_| RandomState::new().hash_one(0), |seed| seed.parse().unwrap());
    println!("seed {seed}; again with SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    let mut unknown_from = 0;
    for round in 0..ROUNDS {
        let first = round << 32;
        let child = start(folder.path(), first);
        let lines = if random.random_bool(0.2) { 0 } else { random.random_range(1..600) };
        acknowledged.extend(kill_after(child, lines));
        check(folder.path(), &acknowledged, seed);
        unknown_from = first;
    }
    assert!(0 < unknown_from && !acknowledged.is_empty());
    println!("{} acknowledged batches", acknowledged.len());
}

fn start(folder: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_child_that_writes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills the child after so many acknowledgements; answers all that came, those on the way included.
fn kill_after(mut child: Child, lines: usize) -> Vec<u64> {
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged = Vec::new();
    while acknowledged.len() < lines {
        let line = output.next().expect("the child ended by itself");
        acknowledged.extend(number(&line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.extend(output.filter_map(|line| number(&line)));
    acknowledged
}

fn number(line: &str) -> Option<u64> {
    line.split_once(ACKNOWLEDGED)?.1.trim().parse().ok()
}

fn check(folder: &Path, acknowledged: &BTreeSet<u64>, seed: u64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&folder.join("store.db")).await.unwrap();
        let there = store.unfinished_sandboxes().await.unwrap();
        let ids: BTreeSet<_> = there.iter().map(|record| record.id).collect();
        for number in acknowledged {
            assert!(ids.contains(&sandbox_id(*number)), "batch {number} was acknowledged and is gone; SEED={seed}");
        }
        for id in ids {
            let events = store.events(&TenantId::default_tenant(), Some(id), 0, 10).await.unwrap();
            assert_eq!(events.len(), 1, "half a batch of {id}; SEED={seed}");
        }
        assert!(store.running_executions().await.unwrap().is_empty());
        store.close().await;
    });
}

//! The crash test: clients work while `serve`, `node` or both are killed with SIGKILL at random moments and started
//! again. Afterwards every acknowledged sandbox, execution, byte of output and deletion is accounted for, and no
//! process, cgroup, mount, loop device, file or row is left over.
//!
//! `SENTINAL_CRASH_ROUNDS` says how many rounds (20), `SENTINAL_CRASH_SEED` with which plan to begin: round `n` has the
//! seed `SENTINAL_CRASH_SEED + n`, so that one round can be replayed by itself.

mod client;
mod journal;
mod killer;
mod plan;
mod program;
mod verify;

use std::{
    env,
    hash::{BuildHasher, Hasher, RandomState},
    io::Write,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use futures::future::try_join_all;
use sentinal_tests::{Fact, Options, Server};
use tokio::time::{Instant, timeout};

use crate::{client::Worker, journal::Journal, plan::Plan};

const ROUNDS: u64 = 20;
const ROUND_DEADLINE: Duration = Duration::from_mins(5);

#[tokio::test]
async fn what_was_acknowledged_survives_and_nothing_is_left_over() -> Fact {
    let rounds = number("SENTINAL_CRASH_ROUNDS")?.unwrap_or(ROUNDS);
    let first = number("SENTINAL_CRASH_SEED")?.unwrap_or_else(random);
    say(&format!("crash test: {rounds} rounds from SENTINAL_CRASH_SEED={first} on"));
    let Some(server) = Server::start("crash", Options::default()).await? else { return Ok(()) };
    for round in 0..rounds {
        let seed = first + round;
        let begun = Instant::now();
        let replay = || {
            let command = "cargo test -p sentinal-tests --test crash -- --nocapture";
            format!(
                "replay with: SENTINAL_CRASH_SEED={seed} SENTINAL_CRASH_ROUNDS=1 {command}\n{}",
                server.place().log_tails()
            )
        };
        let done = timeout(ROUND_DEADLINE, run(&server, seed)).await;
        let summary =
            done.map_err(|_| anyhow!("a round takes at most {ROUND_DEADLINE:?}")).flatten().with_context(replay)?;
        say(&format!("round {}/{rounds} seed {seed}: {summary}; {:.1} s", round + 1, begun.elapsed().as_secs_f64()));
    }
    Ok(())
}

/// One round; answers a line about it.
async fn run(server: &Server, seed: u64) -> Result<String> {
    let plan = Plan::of(seed);
    let journal = Journal::new();
    let client = server.client()?;
    let workers = plan.clients.iter().enumerate().map(|(number, steps)| {
        let name = format!("{seed}-{number}");
        let mut worker = Worker { server, client: client.clone(), journal: &journal, name, sandbox: None };
        async move { worker.work(steps).await }
    });
    let (worked, killed) = tokio::join!(try_join_all(workers), killer::kill_all(server, &journal, &plan.kills));
    killed.context("kill and start")?;
    worked?;
    let promises = journal.into_promises();
    verify::verify(server, &promises).await.context("verify")?;
    let (kills, acks, lost, refused) = (&promises.kills, &promises.acks, promises.unacknowledged, promises.refused);
    let adopted = promises.to_adopt;
    Ok(format!("kills {kills:?}, acks {acks:?}, unacknowledged {lost}, refused {refused}, re-adopted {adopted}"))
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = env::var_os(variable) else { return Ok(None) };
    text.to_string_lossy().parse().map(Some).with_context(|| format!("{variable} is a number"))
}

/// A seed that is short enough to be typed.
fn random() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}

/// Past the capture of the test runner: the seed has to be in every log.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

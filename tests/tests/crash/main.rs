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
mod surface;
mod verify;

use std::{
    env,
    ffi::OsString,
    hash::{BuildHasher, Hasher, RandomState},
    io::Write,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use futures::future::try_join_all;
use sentinal_tests::{Column, Fact, Options, Role, Server, commands};
use tokio::time::{Instant, timeout};

use crate::{client::Worker, journal::Journal, plan::Plan, program::MEMORY};

const ROUNDS: u64 = 20;
const ROUND_DEADLINE: Duration = Duration::from_mins(5);

#[tokio::test]
async fn what_was_acknowledged_survives_and_nothing_is_left_over() -> Fact {
    let rounds = number("SENTINAL_CRASH_ROUNDS")?.unwrap_or(ROUNDS);
    let first = number("SENTINAL_CRASH_SEED")?.unwrap_or_else(random);
    say(&format!("crash test: {rounds} rounds from SENTINAL_CRASH_SEED={first} on"));
    let serve = Column::ALL.into_iter().flat_map(Column::serve_flags).collect();
    let options = Options { serve, ..Options::default() };
    let Some(server) = Server::start("crash", options).await? else { return Ok(()) };
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
    if plan.pools {
        serve_with(server, pools()).await?;
    }
    let (worked, killed) = tokio::join!(try_join_all(workers), killer::kill_all(server, &journal, &plan.kills));
    killed.context("kill and start")?;
    worked?;
    if plan.pools {
        // Ends what waits in them.
        serve_with(server, Vec::new()).await?;
    }
    let promises = journal.into_promises();
    verify::verify(server, &promises).await.context("verify")?;
    let (kills, acks, lost, refused) = (&promises.kills, &promises.acks, promises.unacknowledged, promises.refused);
    let adopted = promises.to_adopt;
    let pools = if plan.pools { "with pools, " } else { "" };
    Ok(format!("{pools}kills {kills:?}, acks {acks:?}, unacknowledged {lost}, refused {refused}, re-adopted {adopted}"))
}

/// Both engines' pools serve what the clients ask for.
fn pools() -> Vec<OsString> {
    let pool = |column: Column| commands::pool(&format!("engine={},memory={MEMORY},size=1", column.name()));
    Column::ALL.into_iter().flat_map(pool).collect()
}

/// Starts the server again, after a SIGKILL, with more arguments than before.
async fn serve_with(server: &Server, more: Vec<OsString>) -> Result<()> {
    server.serve_with(more);
    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    server.healthy().await
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

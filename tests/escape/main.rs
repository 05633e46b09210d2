//! The escape suite: everything that SECURITY.md says a program inside cannot do, tried from inside on every engine that
//! this machine has, beside a canary sandbox and a canary on the host, neither of which may notice. And tried in a
//! sandbox that is none, where every attempt has to find its hole.
//!
//!     cargo test -p sentinal-tests --test escape
//!
//! The attempts are the Python programs in `inside/`. Start at [`table`], which says why each must fail.

#![allow(
    clippy::format_collect,
    clippy::unnecessary_wraps,
    clippy::needless_for_each,
    clippy::too_many_arguments,
    reason = "rows of one table have one shape"
)]

mod bombs;
mod inside;
mod outside;
mod server;
mod table;
mod weak;

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Cell, Column, Fact, Ground, Matrix, Skip, detect_host};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    inside::{Said, Verdict},
    outside::Outside,
    table::{ATTEMPTS, Attempt, On, Who},
};

/// The column of the sandbox that is none.
const WEAK: &str = "weak";
/// What is looked for when all attempts are over.
const AFTERWARDS: (&str, &str) = ("canaries", "are unharmed, and nothing is left");
/// That the canary would have noticed.
const NOTICED: (&str, &str) = ("canaries", "notice what reaches them");

type Table = Arc<Mutex<Matrix>>;

fn main() -> ExitCode {
    // More than cores: looking at the host and comparing large files keeps a thread from everything else.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build();
    runtime.map_or(ExitCode::FAILURE, |runtime| runtime.block_on(run()))
}

async fn run() -> ExitCode {
    let begun = Instant::now();
    let columns = Column::ALL.map(Column::name).into_iter().chain([WEAK]).collect();
    let mut matrix = Matrix::new("escape", columns);
    matrix.set("table", "every attempt has its row", WEAK, rows_and_attempts_agree().into(), None);
    for column in Column::ALL {
        matrix.set("table", "every attempt has its row", column.name(), rows_and_attempts_agree().into(), None);
    }
    rows().for_each(|(attempt, who)| matrix.announce(attempt.group, &attempt.label(who)));
    server::NAMES.iter().for_each(|name| matrix.announce(server::GROUP, name));
    let table = Arc::new(Mutex::new(matrix));
    for column in Column::ALL {
        if let Err(error) = on_engine(&table, column).await {
            fill(&table, column.name(), &Cell::from(Err(error))).await;
        }
    }
    if let Err(error) = on_nothing(&table).await {
        fill(&table, WEAK, &Cell::from(Err(error))).await;
    }
    match Arc::try_unwrap(table) {
        Ok(table) => table.into_inner().close(begun.elapsed()),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Each attempt by each who tries it.
fn rows() -> impl Iterator<Item = (&'static Attempt, &'static str)> {
    ATTEMPTS.iter().flat_map(|attempt| attempt.tried_as().iter().map(move |who| (attempt, *who)))
}

/// The column as a whole could not be tried; or what is left of it.
async fn fill(table: &Table, column: &'static str, cell: &Cell) {
    let mut table = table.lock().await;
    let attempts = rows().map(|(attempt, who)| (attempt.group, attempt.label(who)));
    let server = server::NAMES.iter().map(|name| (server::GROUP, (*name).to_owned()));
    let canaries = [AFTERWARDS, NOTICED].map(|(group, name)| (group, name.to_owned()));
    for (group, name) in attempts.chain(server).chain(canaries) {
        table.set_if_unknown(group, &name, column, cell.clone());
    }
}

async fn on_engine(table: &Table, column: Column) -> Result<()> {
    let ground = Ground::start("escape", column).await?;
    let outside = Outside::make()?;
    let beats = ground.neighbour().beats().await?;
    let guest = ground.guest(serde_json::json!({"memory": "512Mi", "ttl": 1800})).await?;
    inside::prepare(&guest).await?;
    let known = inside::known(outside.known(), &sockets(&guest)?);
    let (answers, output) = inside::run_all(&guest, &known).await?;
    for (attempt, who) in rows().filter(|(attempt, _)| attempt.who != Who::Bomb) {
        let said = answers.get(&(attempt.name.to_owned(), who.to_owned()));
        let cell = said.map_or_else(|| Cell::Fail("it was not tried".to_owned()), |said| judged(attempt, column, said));
        table.lock().await.set(attempt.group, &attempt.label(who), column.name(), cell, None);
    }
    guest.works().await?;
    guest.gone().await?;
    for attempt in ATTEMPTS.iter().filter(|attempt| attempt.who == Who::Bomb) {
        let (begun, cell) = (Instant::now(), bombs::set_off(&ground, attempt).await);
        let took = Some(begun.elapsed());
        table.lock().await.set(attempt.group, &attempt.label("bomb"), column.name(), cell, took);
    }
    for (name, cell) in server::tried(&ground, &outside).await {
        table.lock().await.set(server::GROUP, name, column.name(), cell, None);
    }
    let unharmed = canaries_are_unharmed(ground, &outside, &output, beats).await;
    let mut table = table.lock().await;
    table.set(AFTERWARDS.0, AFTERWARDS.1, column.name(), unharmed.into(), None);
    table.set(NOTICED.0, NOTICED.1, column.name(), Cell::Noted("weak", String::new()), None);
    Ok(())
}

/// What an engine's answer means.
fn judged(attempt: &Attempt, column: Column, said: &Said) -> Cell {
    match (said.verdict, attempt.on, column) {
        (Verdict::Held, _, _) => Cell::Pass,
        (Verdict::Escaped, On::GvisorOnly(why), Column::Gvisor) => {
            Cell::Noted("own", format!("gvisor: {}: {why}", attempt.name))
        }
        (Verdict::Escaped, ..) => {
            Cell::Fail(format!("{} is expected to keep it from that, but: {}", attempt.why, said.detail))
        }
        (Verdict::Broken, ..) => Cell::Fail(format!("the attempt is broken: {}", said.detail)),
    }
}

/// Neither the sandbox beside nor the process on the host has noticed, and no secret was said.
async fn canaries_are_unharmed(ground: Ground, outside: &Outside, output: &str, beats: u64) -> Fact {
    for secret in [outside.secret(), ground.neighbour().secret()] {
        ensure!(!output.contains(secret), "a secret was read");
    }
    ground.neighbour().unharmed(beats).await?;
    outside.is_untouched()?;
    ground.close().await
}

async fn on_nothing(table: &Table) -> Result<()> {
    if let Some(missing) = detect_host().await? {
        return Err(Skip(missing.why().to_owned()).into());
    }
    let outside = Outside::make()?;
    let shown = weak::run(&outside).await?;
    let mut table = table.lock().await;
    for (attempt, who) in rows() {
        table.set(attempt.group, &attempt.label(who), WEAK, shown.cell(attempt, who), None);
    }
    for name in server::NAMES {
        let why = "weak: there is no server in front of it: group server".to_owned();
        table.set(server::GROUP, name, WEAK, Cell::Noted("none", why), None);
    }
    // What stands for the host there was reached; this machine itself was not.
    table.set(AFTERWARDS.0, AFTERWARDS.1, WEAK, outside.is_untouched().into(), None);
    let noticed = shown.touched.clone().map_err(anyhow::Error::msg);
    table.set(NOTICED.0, NOTICED.1, WEAK, noticed.into(), None);
    Ok(())
}

/// The names of the sockets that the host has for a sandbox, which an attacker may know.
fn sockets(guest: &sentinal_tests::Guest) -> Result<Vec<String>> {
    use std::os::unix::fs::FileTypeExt as _;
    let mut names = Vec::new();
    let mut folders = vec![guest.place().state_dir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).context("look for sockets")?.flatten() {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_socket() && folder.to_string_lossy().contains(guest.id()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    ensure!(!names.is_empty(), "no socket of the sandbox on the host: this suite looks in the wrong place");
    Ok(names)
}

/// An attempt without a row would be tried and not judged, a row without an attempt judged and not tried.
fn rows_and_attempts_agree() -> Fact {
    let mut there: Vec<(String, String)> = Vec::new();
    for (_, text) in inside::PROGRAMS {
        let mut group = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("@attempt(\"") {
                group = rest.split('"').next().map(str::to_owned);
            } else if let (Some(known), Some(rest)) = (&group, line.strip_prefix("def ")) {
                there.push((known.clone(), rest.split('(').next().unwrap_or_default().to_owned()));
                group = None;
            }
        }
    }
    let mut named: Vec<_> = ATTEMPTS.iter().map(|row| (row.group.to_owned(), row.name.to_owned())).collect();
    there.sort();
    named.sort();
    let unknown: Vec<_> = there.iter().filter(|attempt| !named.contains(attempt)).collect();
    let missing: Vec<_> = named.iter().filter(|row| !there.contains(row)).collect();
    ensure!(unknown.is_empty() && missing.is_empty(), "without a row: {unknown:?}; without an attempt: {missing:?}");
    Ok(())
}

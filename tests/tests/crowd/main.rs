//! Many clients at once, and clients that are gone at any byte: everybody gets all of it, and nothing of them is left.

mod followers;
mod full;
mod gone;
mod terminals;

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sentinal_tests::{Missing, Place, Role, eventually, skipped};
use tokio::sync::Mutex;

const DEADLINE: Duration = Duration::from_mins(2);
/// One crowd after the other: each counts the server's connections.
static TURN: Mutex<()> = Mutex::const_new(());

/// Makes room for so many connections of this process's own. `false`, said aloud, where it may not have them.
fn room_for(connections: u64, what: &str) -> Result<bool> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = connections + 500;
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        skipped(what, Missing::OpenFiles);
        return Ok(false);
    }
    let current = limit.current.map(|current| current.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).context("raise the limit of open files")?;
    Ok(true)
}

/// The server's open sockets.
fn sockets(place: &Place) -> Result<usize> {
    let serve = Role::Serve.running(place.data_dir());
    let pid = serve.first().context("no server runs")?.pid;
    let files = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    Ok(files.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
}

/// Waits until the server has closed what was opened since there were so many.
async fn all_let_go(place: &Place, before: usize) -> Result<()> {
    let look = || async {
        let now = sockets(place)?;
        ensure!(now <= before, "{now} sockets are open, and {before} were before");
        Ok(())
    };
    eventually("the end of every connection", DEADLINE, look).await
}

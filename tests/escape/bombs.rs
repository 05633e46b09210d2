//! Bombs, each in a small sandbox of its own, and what the host has of it meanwhile.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Cell, Fact, Ground, Guest, Role};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    inside::{self, Verdict},
    table::Attempt,
};

const MEMORY_BYTES: u64 = 128 << 20;
const DISK_BYTES: u64 = 32 << 20;
/// Host tasks of one sandbox, whatever happens inside.
const TASKS_MAX: usize = 4096;
/// An engine's own files, and blocks that are on their way back.
const DISK_OWN_BYTES: u64 = DISK_BYTES + (64 << 20);
/// More than the server may grow by a sandbox that does its worst.
const SERVER_GROWTH_BYTES: u64 = 192 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// The most that was seen.
#[derive(Debug, Default, Clone, Copy)]
struct Most {
    tasks: usize,
    memory_bytes: u64,
    disk_bytes: u64,
    server_bytes: u64,
}

/// Sets it off, and looks at the host until it is over.
pub(crate) async fn set_off(ground: &Ground, attempt: &Attempt) -> Cell {
    tried(ground, attempt).await.into()
}

async fn tried(ground: &Ground, attempt: &Attempt) -> Fact {
    let beats = ground.neighbour().beats().await?;
    let guest = ground.guest(json!({"memory": "128Mi", "disk": "32Mi", "ttl": 600})).await?;
    inside::prepare(&guest).await?;
    let before = look(ground, &guest).server_bytes;
    let (names, known) = ([attempt.name], json!({}));
    let bomb = inside::run(&guest, "bomb", &names, &known);
    tokio::pin!(bomb);
    let mut most = Most::default();
    let ended = loop {
        tokio::select! {
            ended = &mut bomb => break ended?,
            () = sleep(LOOK_EVERY) => most = most.or(look(ground, &guest)),
        }
    };
    let said = inside::answers(&String::from_utf8_lossy(&ended.stdout_bytes()?))?;
    match said.values().next() {
        Some(said) => ensure!(said.verdict == Verdict::Held, "{}: {}", attempt.why, said.detail),
        None => ensure!(ended.outcome.as_deref() == Some("oom"), "it said nothing and ended as {ended:?}"),
    }
    most.is_bounded(before)?;
    ground.neighbour().unharmed(beats).await?;
    let destroyed = guest.client().destroy(guest.id()).await?;
    ensure!([200, 404].contains(&destroyed.status), "{}: {}", destroyed.status, destroyed.text());
    guest.clean().await
}

impl Most {
    fn or(self, other: Self) -> Self {
        Self {
            tasks: self.tasks.max(other.tasks),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            disk_bytes: self.disk_bytes.max(other.disk_bytes),
            server_bytes: self.server_bytes.max(other.server_bytes),
        }
    }

    fn is_bounded(self, server_before: u64) -> Result<()> {
        ensure!(self.tasks <= TASKS_MAX, "{} tasks on the host", self.tasks);
        ensure!(self.memory_bytes <= MEMORY_BYTES, "{} bytes of memory", self.memory_bytes);
        ensure!(self.disk_bytes <= DISK_BYTES + DISK_OWN_BYTES, "{} bytes on the host's disk", self.disk_bytes);
        let grown = self.server_bytes.saturating_sub(server_before);
        ensure!(grown <= SERVER_GROWTH_BYTES, "the server grew by {grown} bytes");
        Ok(())
    }
}

fn look(ground: &Ground, guest: &Guest) -> Most {
    let cgroups = cgroups(guest.id());
    let number = |names: &[&str]| {
        let files = cgroups.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
        files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()).max().unwrap_or_default()
    };
    let data_dir = ground.server_here().place().data_dir();
    let products = Role::ALL.iter().flat_map(|role| role.running(data_dir));
    Most {
        tasks: usize::try_from(number(&["pids.current"])).unwrap_or(usize::MAX),
        memory_bytes: number(&["memory.usage_in_bytes", "memory.current"]),
        disk_bytes: allocated(&ground.state_dir(), guest.id()),
        server_bytes: products.filter_map(|process| resident(process.pid)).sum(),
    }
}

/// The sandbox's folder in each hierarchy.
fn cgroups(id: &str) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let inside = fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if entry.file_name() == id { found.push(entry.path()) } else { folders.push(entry.path()) }
        }
    }
    found
}

/// What the host's own disk has given for a sandbox; not what is mounted of it.
fn allocated(state: &Path, id: &str) -> u64 {
    let Ok(device) = fs::metadata(state).map(|state| state.dev()) else { return 0 };
    let mut folders = vec![(state.to_owned(), false)];
    let mut bytes = 0;
    while let Some((folder, is_ours)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let is_ours = is_ours || entry.file_name() == id;
            match fs::symlink_metadata(entry.path()) {
                Ok(found) if found.dev() != device => {}
                Ok(found) if found.is_dir() => folders.push((entry.path(), is_ours)),
                Ok(found) if is_ours => bytes += found.blocks() * 512,
                Ok(_) | Err(_) => {}
            }
        }
    }
    bytes
}

fn resident(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024)
}

/// For the row that nobody else has: output without end, which is the server's to bear.
pub(crate) async fn output_flood(ground: &Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "128Mi", "disk": "32Mi"})).await?;
    let before = look(ground, &guest).server_bytes;
    let floods = (0..8).map(|_| {
        let flood = sentinal_tests::NewExecution::shell("yes flood & yes flood >&2").with("timeout", 6);
        guest.execute(flood)
    });
    let mut floods = Box::pin(futures::future::join_all(floods));
    let mut most = Most::default();
    let ended = loop {
        tokio::select! {
            ended = &mut floods => break ended,
            () = sleep(LOOK_EVERY) => most = most.or(look(ground, &guest)),
        }
    };
    drop(floods);
    for flood in ended {
        let flood = flood.context("a flood")?;
        ensure!(flood.outcome.as_deref() == Some("timeout"), "{:?}", flood.outcome);
    }
    most.is_bounded(before)?;
    guest.gone().await
}

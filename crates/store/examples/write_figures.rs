//! Prints what durable writes cost here: `cargo run --release -p sentinal-store --example write_figures [FOLDER]`.
#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use sentinal_model::{Cpu, Disk, EngineChoice, Generation, Labels, Memory, Millis, Phase, SandboxId, Spec, TenantId};
use sentinal_store::{NewEvent, SandboxRecord, SqliteStore, Store, Write};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let store = Arc::new(SqliteStore::open(&folder.path().join("figures.db")).await?);
    for writers in [1, 8, 64, 256] {
        measure(&store, writers).await?;
    }
    Ok(())
}

/// Batches of a sandbox and an event, as the controller writes them, from so many callers at once.
async fn measure(store: &Arc<SqliteStore>, writers: usize) -> Result<(), Box<dyn std::error::Error>> {
    let until = Instant::now() + Duration::from_secs(3);
    let tasks: Vec<_> = (0..writers).map(|_| tokio::spawn(write(Arc::clone(store), until))).collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await??);
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let per_second = took.len() / 3;
    println!("{writers:>3} writers: {per_second:>6} batches/s, p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), at(100));
    Ok(())
}

async fn write(store: Arc<SqliteStore>, until: Instant) -> Result<Vec<Duration>, sentinal_model::Error> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let record = sandbox()?;
        let event = NewEvent {
            tenant: record.tenant.clone(),
            at: record.created_at,
            name: "Sandbox Created".to_owned(),
            kind: "audit".to_owned(),
            sandbox: Some(record.id),
            execution: None,
            message: String::new(),
        };
        let start = Instant::now();
        store.write(vec![Write::Sandbox(Box::new(record)), Write::Event(event)]).await?;
        took.push(start.elapsed());
    }
    Ok(took)
}

fn sandbox() -> Result<SandboxRecord, sentinal_model::Error> {
    let invalid = |error: sentinal_model::InvalidQuantity| sentinal_model::Error::invalid(error.to_string());
    let spec = Spec {
        engine: EngineChoice::Auto,
        cpu: Cpu::try_from_cores(1.0).map_err(invalid)?,
        memory: Memory::try_from_bytes(1 << 29).map_err(invalid)?,
        disk: Disk::try_from_bytes(1 << 30).map_err(invalid)?,
        image: sentinal_model::ImageName::default(),
        ttl: Duration::from_secs(300),
        idle_timeout: None,
        labels: Labels::try_from(BTreeMap::new())?,
    };
    Ok(SandboxRecord {
        id: SandboxId::generate(),
        tenant: TenantId::default_tenant(),
        generation: Generation::FIRST,
        phase: Phase::Pending,
        spec,
        node: None,
        engine: None,
        engine_reason: String::new(),
        message: String::new(),
        token: [7; 32],
        one_shot: false,
        pooled: None,
        key: None,
        created_at: Millis(1),
        expires_at: Millis(300_001),
        paused_at: None,
        paused_for: Duration::ZERO,
        finished_at: None,
    })
}

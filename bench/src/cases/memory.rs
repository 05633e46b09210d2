//! How much memory does it take to wait?

use anyhow::Result;
use tokio::task::block_in_place;

use crate::{
    Bench, memory, process,
    report::{Row, Target},
    samples::Samples,
};

const SERVER_MIB_MAX: f64 = 48.0;

/// `serve` and `node` together, before they did anything.
pub(crate) async fn idle_server(bench: &Bench) -> Result<Row> {
    server(bench, "serve + node, idle, fresh").await
}

/// The same after everything else was measured.
pub(crate) async fn server_after_work(bench: &Bench) -> Result<Row> {
    server(bench, "serve + node, idle, after this run").await
}

async fn server(bench: &Bench, what: &str) -> Result<Row> {
    let mut ours = Samples::default();
    ours.add(memory::settled(|| bench.server.processes()).await?);
    Ok(Row { what: what.to_owned(), unit: "MiB PSS", ours, peer: None, target: Target::Below(SERVER_MIB_MAX) })
}

/// Idle sandboxes beside bare ones that sleep, all at once: what they share is shared by all.
pub(crate) async fn idle_sandboxes(bench: &Bench) -> Result<Row> {
    let mut api = bench.server.api().await?;
    let (mut sandboxes, mut peers) = (Vec::new(), Vec::new());
    for index in 0..bench.options.sandboxes() {
        sandboxes.push(api.create().await?);
        peers.push(format!("bench-idle-{index}"));
        block_in_place(|| bench.bare.start(&peers[index], &["sleep", "infinity"]))?;
    }
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    for (sandbox, bare) in sandboxes.iter().zip(&peers) {
        ours.add(memory::settled(|| process::naming(sandbox)).await?);
        peer.add(memory::settled(|| process::naming(bare)).await?);
    }
    for (sandbox, bare) in sandboxes.iter().zip(&peers) {
        api.destroy(sandbox).await?;
        block_in_place(|| bench.bare.remove(bare))?;
    }
    Ok(Row {
        what: "an idle sandbox, all its processes".to_owned(),
        unit: "MiB PSS",
        ours,
        peer: Some(("runsc, sleep infinity".to_owned(), peer)),
        target: Target::AtMostOfPeer(1.15),
    })
}

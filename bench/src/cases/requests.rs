//! How much of the rate of a route that does nothing is left for one that authenticates and reads?

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{
    Bench,
    api::Kind,
    connection::Connection,
    report::{Row, Target},
    samples::Samples,
};

const NOOP: &str = "/livez";
const CONNECTIONS: [usize; 2] = [16, 64];

/// Reading a sandbox beside the no-op route of the same server, over the same connections.
pub(crate) async fn beside_a_noop(bench: &Bench) -> Result<Vec<Row>> {
    let mut api = bench.server.api().await?;
    let sandbox = api.create(Kind::GVISOR).await?;
    let path = format!("/api/v1/sandbox/{sandbox}");
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        rows.push(read_beside_noop(bench, &path, connections).await?);
    }
    api.destroy(&sandbox).await?;
    Ok(rows)
}

async fn read_beside_noop(bench: &Bench, path: &str, connections: usize) -> Result<Row> {
    let mut pool = Vec::new();
    for _ in 0..connections {
        pool.push(bench.server.connect().await?);
    }
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples().div_ceil(3) {
        ours.add(rate(&mut pool, path, bench.options.slice()).await?);
        peer.add(rate(&mut pool, NOOP, bench.options.slice()).await?);
    }
    Ok(Row {
        what: format!("authenticated GET of a sandbox, {connections} connections"),
        unit: "requests/s",
        ours,
        peer: Some((NOOP.to_owned(), peer)),
        target: Target::AtLeastOfPeer(0.4),
    })
}

/// Requests per second over all connections, each with one request at a time.
async fn rate(pool: &mut Vec<Connection>, path: &str, slice: Duration) -> Result<f64> {
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for connection in pool.drain(..) {
        workers.spawn(repeat(connection, path.to_owned(), start + slice));
    }
    let mut total = 0;
    while let Some(worker) = workers.join_next().await {
        let (connection, requests) = worker??;
        pool.push(connection);
        total += requests;
    }
    Ok(f64::from(total) / start.elapsed().as_secs_f64())
}

async fn repeat(mut connection: Connection, path: String, end: Instant) -> Result<(Connection, u32)> {
    let mut requests = 0;
    while Instant::now() < end {
        connection.get(&path).await?;
        requests += 1;
    }
    Ok((connection, requests))
}

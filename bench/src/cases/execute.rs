//! How long is a small program in a sandbox that runs already?

use std::time::Duration;

use anyhow::Result;
use tokio::task::block_in_place;

use crate::{
    Bench,
    api::Kind,
    bare::Host,
    report::{Row, Target},
    samples::{Samples, timed},
};

const PROGRAM: [&str; 1] = ["/bin/true"];
const SLEEP: [&str; 2] = ["sleep", "infinity"];
const PEER: &str = "bench-execute";

/// One execute over HTTP beside one `runsc exec`.
pub(crate) async fn beside_runsc_exec(bench: &Bench) -> Result<Row> {
    block_in_place(|| bench.bare.start(PEER, &SLEEP, Host::Nothing))?;
    let row = beside(bench, Kind::GVISOR, "runsc exec", 2.5, || bench.bare.exec(PEER, &PROGRAM)).await;
    block_in_place(|| bench.bare.remove(PEER))?;
    row
}

/// The same on native beside one `runc exec`.
pub(crate) async fn beside_runc_exec(bench: &Bench) -> Result<Row> {
    block_in_place(|| bench.shared_kernel.start(PEER, &SLEEP))?;
    let row = beside(bench, Kind::NATIVE, "runc exec", 6.0, || bench.shared_kernel.exec(PEER, &PROGRAM)).await;
    block_in_place(|| bench.shared_kernel.remove(PEER))?;
    row
}

async fn beside(
    bench: &Bench,
    kind: Kind,
    peer_name: &str,
    times_faster: f64,
    peer_exec: impl Fn() -> Result<Duration>,
) -> Result<Row> {
    let mut api = bench.server.api().await?;
    let sandbox = api.create(kind).await?;
    // The first ones load the program into the page caches of both.
    api.execute(&sandbox, &PROGRAM).await?;
    block_in_place(&peer_exec)?;
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples() {
        ours.add_time(timed(api.execute(&sandbox, &PROGRAM)).await?.0);
        peer.add_time(block_in_place(&peer_exec)?);
    }
    api.destroy(&sandbox).await?;
    Ok(Row {
        what: format!("{}: execute /bin/true in a running sandbox", kind.engine),
        unit: "ms",
        ours,
        peer: Some((peer_name.to_owned(), peer)),
        target: Target::TimesFaster(times_faster),
    })
}

//! How long is a small program in a sandbox that runs already?

use anyhow::Result;
use tokio::task::block_in_place;

use crate::{
    Bench,
    bare::Host,
    report::{Row, Target},
    samples::{Samples, timed},
};

const PROGRAM: [&str; 1] = ["/bin/true"];
const PEER: &str = "bench-execute";

/// One execute over HTTP beside one `runsc exec`.
pub(crate) async fn beside_runsc_exec(bench: &Bench) -> Result<Row> {
    let mut api = bench.server.api().await?;
    let sandbox = api.create().await?;
    block_in_place(|| bench.bare.start(PEER, &["sleep", "infinity"], Host::Nothing))?;
    // The first ones load the program into the page caches of both.
    api.execute(&sandbox, &PROGRAM).await?;
    block_in_place(|| bench.bare.exec(PEER, &PROGRAM))?;
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples() {
        ours.add_time(timed(api.execute(&sandbox, &PROGRAM)).await?.0);
        peer.add_time(block_in_place(|| bench.bare.exec(PEER, &PROGRAM))?);
    }
    api.destroy(&sandbox).await?;
    block_in_place(|| bench.bare.remove(PEER))?;
    Ok(Row {
        what: "execute /bin/true in a running sandbox".to_owned(),
        unit: "ms",
        ours,
        peer: Some(("runsc exec".to_owned(), peer)),
        target: Target::TimesFaster(2.5),
    })
}

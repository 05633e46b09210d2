//! How long is a small piece of code in a context that is open, beside an interpreter that is started for it?

use anyhow::Result;

use crate::{
    Bench,
    api::Kind,
    report::{Row, Target},
    samples::{Samples, timed},
};

const CODE: &str = "1+1";

/// `1+1` in an open context, and as a program of its own in the same sandbox.
pub(crate) async fn beside_a_fresh_interpreter(bench: &Bench, kind: Kind) -> Result<Row> {
    let mut api = bench.server.api().await?;
    let sandbox = api.create(kind).await?;
    let context = api.open_context(&sandbox).await?;
    let fresh = ["python3", "-c", CODE];
    api.run_in(&sandbox, &context, CODE).await?;
    api.execute(&sandbox, &fresh).await?;
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples() {
        ours.add_time(timed(api.run_in(&sandbox, &context, CODE)).await?.0);
        peer.add_time(timed(api.execute(&sandbox, &fresh)).await?.0);
    }
    api.destroy(&sandbox).await?;
    Ok(Row {
        what: format!("{}: {CODE} in a context", kind.engine),
        unit: "ms",
        ours,
        peer: Some(("python3 -c, an execute".to_owned(), peer)),
        target: Target::TimesFaster(5.0),
    })
}

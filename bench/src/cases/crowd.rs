//! What does a create cost when many sandboxes live already?

use anyhow::Result;

use crate::{
    Bench,
    api::{Api, Kind},
    report::{Row, Target},
    samples::{Samples, timed},
};

/// Creates with one live sandbox, then with many, then with one again: what else the machine does meanwhile falls on
/// both sides.
pub(crate) async fn beside_one(bench: &Bench, kind: Kind) -> Result<Row> {
    let mut api = bench.server.api().await?;
    let crowd = bench.options.crowd();
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    let one = api.create(kind).await?;
    creates(bench, &mut api, kind, &mut peer).await?;
    let mut others = Vec::new();
    while others.len() + 1 < crowd {
        others.push(api.create(Kind::SMALL.on(kind)).await?);
    }
    creates(bench, &mut api, kind, &mut ours).await?;
    for other in &others {
        api.destroy(other).await?;
    }
    creates(bench, &mut api, kind, &mut peer).await?;
    api.destroy(&one).await?;
    Ok(Row {
        what: format!("{}: create with {crowd} live sandboxes", kind.engine),
        unit: "ms",
        ours,
        peer: Some(("with one".to_owned(), peer)),
        target: Target::AtMostOfPeer(1.3),
    })
}

async fn creates(bench: &Bench, api: &mut Api, kind: Kind, samples: &mut Samples) -> Result<()> {
    for _ in 0..bench.options.samples() {
        let (time, sandbox) = timed(api.create(kind)).await?;
        samples.add_time(time);
        api.destroy(&sandbox).await?;
    }
    Ok(())
}

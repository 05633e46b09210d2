//! How long is it from nothing to a program's output?

use anyhow::{Result, ensure};
use tokio::task::block_in_place;

use crate::{
    Bench,
    api::Api,
    report::{Row, Target},
    samples::{Samples, timed},
};

const PROGRAM: [&str; 3] = ["python3", "-c", "print(1)"];

/// Create and execute beside `runsc run` up to its first byte, which is the stricter of the two; and one-shot execute,
/// which also destroys, beside `runsc run` to its end.
pub(crate) async fn beside_runsc_run(bench: &Bench) -> Result<[Row; 2]> {
    let mut api = bench.server.api().await?;
    let [mut ours, mut ours_once, mut peer, mut peer_end] = std::array::from_fn(|_| Samples::default());
    create_and_execute(&mut api).await?;
    for _ in 0..bench.options.samples() {
        let (time, sandbox) = timed(create_and_execute(&mut api)).await?;
        api.destroy(&sandbox).await?;
        ours.add_time(time);
        let ran = block_in_place(|| bench.bare.run("bench-cold", &PROGRAM))?;
        peer.add_time(ran.first_output);
        peer_end.add_time(ran.end);
        let (time, output) = timed(api.execute_once(&PROGRAM)).await?;
        ensure!(output == "1\n", "the program printed {output:?}");
        ours_once.add_time(time);
    }
    Ok([
        Row {
            what: "create + execute python3 to its answer".to_owned(),
            unit: "ms",
            ours,
            peer: Some(("runsc run, first byte".to_owned(), peer)),
            target: Target::AtMostOfPeer(1.15),
        },
        Row {
            what: "one-shot execute python3 to its answer".to_owned(),
            unit: "ms",
            ours: ours_once,
            peer: Some(("runsc run, to its end".to_owned(), peer_end)),
            target: Target::ForInformation,
        },
    ])
}

async fn create_and_execute(api: &mut Api) -> Result<String> {
    let sandbox = api.create().await?;
    let output = api.execute(&sandbox, &PROGRAM).await?;
    ensure!(output == "1\n", "the program printed {output:?}");
    Ok(sandbox)
}

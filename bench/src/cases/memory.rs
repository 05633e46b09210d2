//! How much memory does it take to wait, and how much of the processors?

use std::time::Duration;

use anyhow::Result;
use tokio::{task::block_in_place, time::sleep};

use crate::{
    Bench,
    api::Kind,
    bare::Host,
    memory, process,
    report::{Row, Target},
    samples::Samples,
};

const SERVER_MIB_MAX: f64 = 48.0;
const NATIVE_MIB_MAX: f64 = 2.0;
const SLEEP: [&str; 2] = ["sleep", "infinity"];

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

/// Idle sandboxes beside bare ones that sleep, all at once: what they share is shared by all. The first peer sees
/// nothing of the host; the second sees a folder, for which runsc keeps a second process, as it does for our agent's
/// socket.
pub(crate) async fn idle_sandboxes(bench: &Bench) -> Result<[Row; 3]> {
    let mut api = bench.server.api().await?;
    let mut trios = Vec::new();
    for index in 0..bench.options.sandboxes() {
        let trio = [api.create(Kind::GVISOR).await?, format!("bench-idle-{index}"), format!("bench-host-{index}")];
        block_in_place(|| bench.bare.start(&trio[1], &SLEEP, Host::Nothing))?;
        block_in_place(|| bench.bare.start(&trio[2], &SLEEP, Host::Folder))?;
        trios.push(trio);
    }
    let mut samples: [Samples; 3] = Default::default();
    for trio in &trios {
        for (name, samples) in trio.iter().zip(&mut samples) {
            samples.add(memory::settled(|| process::naming(name)).await?);
        }
    }
    let mut processors: [Samples; 2] = Default::default();
    for [sandbox, bare, _] in &trios {
        for (share, samples) in
            share_of_a_core([sandbox, bare], bench.options.slice() * 4).await?.into_iter().zip(&mut processors)
        {
            samples.add(share);
        }
    }
    for [sandbox, bare, bare_with_host] in &trios {
        api.destroy(sandbox).await?;
        block_in_place(|| bench.bare.remove(bare).and_then(|()| bench.bare.remove(bare_with_host)))?;
    }
    let [ours, alone, with_host] = samples;
    let [at_rest, never_at_rest] = processors;
    let processors = Row {
        what: "gvisor: an idle sandbox".to_owned(),
        unit: "% of a core",
        ours: at_rest,
        peer: Some(("runsc, sleep infinity".to_owned(), never_at_rest)),
        target: Target::ForInformation,
    };
    let row = |what: &str, name: &str, peer, target| Row {
        what: what.to_owned(),
        unit: "MiB PSS",
        ours: ours.clone(),
        peer: Some((name.to_owned(), peer)),
        target,
    };
    Ok([
        row("gvisor: an idle sandbox", "runsc, sleep infinity", alone, Target::AtMostOfPeer(1.15)),
        row("the same", "runsc with a mount from the host", with_host, Target::ForInformation),
        processors,
    ])
}

/// What each of them uses of a core meanwhile, in percent.
async fn share_of_a_core(names: [&str; 2], meanwhile: Duration) -> Result<[f64; 2]> {
    let before = [process::cpu_of(names[0])?, process::cpu_of(names[1])?];
    sleep(meanwhile).await;
    let after = [process::cpu_of(names[0])?, process::cpu_of(names[1])?];
    let share =
        |index: usize| after[index].saturating_sub(before[index]).as_secs_f64() / meanwhile.as_secs_f64() * 100.0;
    Ok([share(0), share(1)])
}

/// Idle native sandboxes, all at once: what they share is shared by all.
pub(crate) async fn idle_native_sandboxes(bench: &Bench) -> Result<Row> {
    let mut api = bench.server.api().await?;
    let mut sandboxes = Vec::new();
    for _ in 0..bench.options.sandboxes() {
        sandboxes.push(api.create(Kind::NATIVE).await?);
    }
    let mut ours = Samples::default();
    for sandbox in &sandboxes {
        ours.add(memory::settled(|| process::naming(sandbox)).await?);
    }
    for sandbox in &sandboxes {
        api.destroy(sandbox).await?;
    }
    let what = "native: an idle sandbox".to_owned();
    Ok(Row { what, unit: "MiB PSS", ours, peer: None, target: Target::Below(NATIVE_MIB_MAX) })
}

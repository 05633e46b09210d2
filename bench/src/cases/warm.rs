//! How long is it to a program's output where a pool keeps sandboxes ready, and how many can be served per second?

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::{task::JoinSet, task::block_in_place};

use crate::{
    Bench,
    api::{Api, Kind},
    process::eventually,
    report::{Row, Target},
    samples::{Samples, timed},
    server::Server,
};

const PROGRAM: [&str; 1] = ["/bin/true"];
/// Sandboxes that a pool keeps ready.
const POOL: usize = 16;
/// Between a sandbox's first program and a late one.
const PROGRAMS_BETWEEN: usize = 20;
/// One-shots at once.
const CLIENTS: usize = 4;
const FULL_DEADLINE: Duration = Duration::from_secs(60);

/// A server of its own, with a pool for each engine.
pub(crate) async fn with_pools(bench: &Bench) -> Result<Vec<Row>> {
    let pools = [Kind::GVISOR_POOLED, Kind::NATIVE_POOLED].map(|kind| kind.pool(POOL));
    let server = Server::start(&bench.options, &bench.scratch.join("pooled"), &pools).await?;
    let rows = measure(bench, &server).await.with_context(|| server.end_of_log());
    server.stop().await?;
    rows
}

async fn measure(bench: &Bench, server: &Server) -> Result<Vec<Row>> {
    Ok(vec![
        native_beside_execute(bench, server).await?,
        gvisor_beside_runsc_run(bench, server).await?,
        first_beside_late(bench, server, Kind::NATIVE_POOLED).await?,
        first_beside_late(bench, server, Kind::GVISOR_POOLED).await?,
        rate_beside(bench, server, Kind::NATIVE_POOLED, "bwrap", 1.0).await?,
        rate_beside(bench, server, Kind::GVISOR_POOLED, "runsc run", 3.0).await?,
    ])
}

async fn native_beside_execute(bench: &Bench, server: &Server) -> Result<Row> {
    let mut api = server.api().await?;
    let running = api.create(Kind::NATIVE).await?;
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples() {
        ours.add_time(create_and_execute(server, &mut api, Kind::NATIVE_POOLED).await?);
        peer.add_time(timed(api.execute(&running, &PROGRAM)).await?.0);
    }
    api.destroy(&running).await?;
    Ok(row("native: warm create + execute /bin/true", ours, "an execute alone", peer, Target::AtMostOfPeer(1.5)))
}

async fn gvisor_beside_runsc_run(bench: &Bench, server: &Server) -> Result<Row> {
    let mut api = server.api().await?;
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples() {
        ours.add_time(create_and_execute(server, &mut api, Kind::GVISOR_POOLED).await?);
        peer.add_time(block_in_place(|| bench.bare.run("bench-warm", &PROGRAM))?.end);
    }
    Ok(row("gvisor: warm create + execute /bin/true", ours, "runsc run", peer, Target::AtMostOfPeer(0.10)))
}

/// What the first programs of a sandbox cost more than later ones, which is part of a warm start.
async fn first_beside_late(bench: &Bench, server: &Server, kind: Kind) -> Result<Row> {
    let mut api = server.api().await?;
    let (mut first, mut late) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples() {
        full(server, kind).await?;
        let sandbox = api.create(kind).await?;
        first.add_time(timed(api.execute(&sandbox, &PROGRAM)).await?.0);
        for _ in 0..PROGRAMS_BETWEEN {
            api.execute(&sandbox, &PROGRAM).await?;
        }
        full(server, kind).await?;
        late.add_time(timed(api.execute(&sandbox, &PROGRAM)).await?.0);
        api.destroy(&sandbox).await?;
    }
    let what = format!("{}: first /bin/true after a claim", kind.engine);
    Ok(row(&what, first, "a late one in the same sandbox", late, Target::ForInformation))
}

/// From a full pool that is not being filled.
async fn create_and_execute(server: &Server, api: &mut Api, kind: Kind) -> Result<Duration> {
    full(server, kind).await?;
    let both = async {
        let sandbox = api.create(kind).await?;
        api.execute(&sandbox, &PROGRAM).await.map(|_| sandbox)
    };
    let (time, sandbox) = timed(both).await?;
    api.destroy(&sandbox).await?;
    Ok(time)
}

/// One-shots per second, several at once, in bursts that the pool can serve.
async fn rate_beside(bench: &Bench, server: &Server, kind: Kind, peer: &str, times: f64) -> Result<Row> {
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples().div_ceil(5) {
        full(server, kind).await?;
        ours.add(burst(server, kind).await?);
        theirs.add(block_in_place(|| peer_burst(bench, kind))?);
    }
    let what = format!("{}: one-shots of /bin/true from the pool, {CLIENTS} at once", kind.engine);
    let row = row(&what, ours, peer, theirs, Target::AtLeastOfPeer(times));
    Ok(Row { unit: "per s", ..row })
}

async fn burst(server: &Server, kind: Kind) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(server.api().await?);
    }
    let start = Instant::now();
    let mut running = JoinSet::new();
    for mut api in clients {
        running.spawn(async move {
            for _ in 0..POOL / CLIENTS {
                api.execute_once(kind, &PROGRAM).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(per_second(start))
}

fn peer_burst(bench: &Bench, kind: Kind) -> Result<f64> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let clients = std::array::from_fn::<_, CLIENTS, _>(|client| {
            scope.spawn(move || {
                for _ in 0..POOL / CLIENTS {
                    match kind.engine {
                        "native" => bench.shared_kernel.bwrap(&PROGRAM)?,
                        _ => bench.bare.run(&format!("bench-rate-{client}"), &PROGRAM)?,
                    };
                }
                anyhow::Ok(())
            })
        });
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
    })?;
    Ok(per_second(start))
}

fn per_second(start: Instant) -> f64 {
    f64::from(u32::try_from(POOL).unwrap_or(u32::MAX)) / start.elapsed().as_secs_f64()
}

/// Waits until the pool has all of its sandboxes ready.
async fn full(server: &Server, kind: Kind) -> Result<()> {
    eventually("a full pool", FULL_DEADLINE, async || {
        server.pool_ready(kind.engine).await.is_ok_and(|ready| ready == POOL)
    })
    .await
}

fn row(what: &str, ours: Samples, peer_name: &str, peer: Samples, target: Target) -> Row {
    Row { what: what.to_owned(), unit: "ms", ours, peer: Some((peer_name.to_owned(), peer)), target }
}

//! How long is it from nothing to a program's output?

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http_body_util::BodyExt as _;
use tokio::{task::block_in_place, time::timeout};

use crate::{
    Bench,
    api::{Api, Kind, printed},
    bare::Ran,
    report::{Row, Target},
    samples::{Samples, timed},
};

const PYTHON: [&str; 3] = ["python3", "-c", "print(1)"];
const TRUE: [&str; 1] = ["/bin/true"];
const DEADLINE: Duration = Duration::from_secs(30);

/// A cold start that is compared.
struct Cold<'a> {
    kind: Kind,
    program: &'a [&'a str],
    peer: &'a str,
    target: Target,
}

/// gVisor beside `runsc run`: create and execute, both up to the first output; and one-shot execute, which also destroys,
/// beside `runsc run` to its end.
pub(crate) async fn beside_runsc_run(bench: &Bench) -> Result<[Row; 2]> {
    let cold = Cold { kind: Kind::GVISOR, program: &PYTHON, peer: "runsc run", target: Target::AtMostOfPeer(1.15) };
    cold.measure(bench, || bench.bare.run("bench-cold", &PYTHON)).await
}

/// native beside `bwrap`, with Python and with the smallest program.
pub(crate) async fn beside_bwrap(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let colds: [(&[&str], Target); 2] = [(&PYTHON, Target::AtMostOfPeer(1.3)), (&TRUE, Target::ForInformation)];
    for (program, target) in colds {
        let cold = Cold { kind: Kind::NATIVE, program, peer: "bwrap", target };
        rows.extend(cold.measure(bench, || bench.shared_kernel.bwrap(program)).await?);
    }
    Ok(rows)
}

impl Cold<'_> {
    async fn measure(&self, bench: &Bench, peer_run: impl Fn() -> Result<Ran>) -> Result<[Row; 2]> {
        let mut api = bench.server.api().await?;
        let [mut ours, mut ours_once, mut peer, mut peer_end] = std::array::from_fn(|_| Samples::default());
        let (_, sandbox) = self.create_and_execute(&mut api).await?;
        api.destroy(&sandbox).await?;
        for _ in 0..bench.options.samples() {
            let (time, sandbox) = self.create_and_execute(&mut api).await?;
            api.destroy(&sandbox).await?;
            ours.add_time(time);
            let ran = block_in_place(&peer_run)?;
            peer.add_time(ran.first_output);
            peer_end.add_time(ran.end);
            let (time, output) = timed(api.execute_once(self.kind, self.program)).await?;
            self.check(&output)?;
            ours_once.add_time(time);
        }
        let (program, until) = (self.program[0], if self.prints() { "first output" } else { "answer" });
        let row = |what: &str, end: &str, ours, peer, target| Row {
            what: format!("{}: {what}", self.kind.engine),
            unit: "ms",
            ours,
            peer: Some((format!("{}, {end}", self.peer), peer)),
            target,
        };
        Ok([
            row(&format!("create + execute {program} to its {until}"), "first byte", ours, peer, self.target),
            row(
                &format!("one-shot {program} to its answer"),
                "to its end",
                ours_once,
                peer_end,
                Target::ForInformation,
            ),
        ])
    }

    /// Until the program's first output is there, or its answer if it has none. Answers the sandbox.
    async fn create_and_execute(&self, api: &mut Api) -> Result<(Duration, String)> {
        let start = Instant::now();
        let sandbox = api.create(self.kind).await?;
        if self.prints() {
            let time = self.first_output(start, api, &sandbox).await?;
            return Ok((time, sandbox));
        }
        self.check(&api.execute(&sandbox, self.program).await?)?;
        Ok((start.elapsed(), sandbox))
    }

    async fn first_output(&self, start: Instant, api: &mut Api, sandbox: &str) -> Result<Duration> {
        let mut events = api.follow(sandbox, self.program).await?;
        let mut first = None;
        while let Some(frame) = timeout(DEADLINE, events.frame()).await.context("no end in time")? {
            let now = start.elapsed();
            let Some(output) = frame?.data_ref().and_then(|data| printed(data)) else { continue };
            self.check(&output)?;
            first.get_or_insert(now);
        }
        first.context("the program printed nothing")
    }

    fn prints(&self) -> bool {
        self.program != TRUE
    }

    fn check(&self, output: &str) -> Result<()> {
        let expected = if self.prints() { "1\n" } else { "" };
        ensure!(output == expected, "the program printed {output:?}");
        Ok(())
    }
}

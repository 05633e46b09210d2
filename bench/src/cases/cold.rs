//! How long is it from nothing to a program's output?

use anyhow::{Result, ensure};
use tokio::task::block_in_place;

use crate::{
    Bench,
    api::{Api, Kind},
    bare::Ran,
    report::{Row, Target},
    samples::{Samples, timed},
};

const PYTHON: [&str; 3] = ["python3", "-c", "print(1)"];
const TRUE: [&str; 1] = ["/bin/true"];

/// A cold start that is compared.
struct Cold<'a> {
    kind: Kind,
    program: &'a [&'a str],
    peer: &'a str,
    target: Target,
}

/// gVisor beside `runsc run`: create and execute up to the peer's first byte, which is the stricter of the two; and
/// one-shot execute, which also destroys, beside `runsc run` to its end.
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
        let sandbox = self.create_and_execute(&mut api).await?;
        api.destroy(&sandbox).await?;
        for _ in 0..bench.options.samples() {
            let (time, sandbox) = timed(self.create_and_execute(&mut api)).await?;
            api.destroy(&sandbox).await?;
            ours.add_time(time);
            let ran = block_in_place(&peer_run)?;
            peer.add_time(ran.first_output);
            peer_end.add_time(ran.end);
            let (time, output) = timed(api.execute_once(self.kind, self.program)).await?;
            self.check(&output)?;
            ours_once.add_time(time);
        }
        let row = |what: &str, end: &str, ours, peer, target| Row {
            what: format!("{}: {what} {} to its answer", self.kind.engine, self.program[0]),
            unit: "ms",
            ours,
            peer: Some((format!("{}, {end}", self.peer), peer)),
            target,
        };
        Ok([
            row("create + execute", "first byte", ours, peer, self.target),
            row("one-shot execute", "to its end", ours_once, peer_end, Target::ForInformation),
        ])
    }

    async fn create_and_execute(&self, api: &mut Api) -> Result<String> {
        let sandbox = api.create(self.kind).await?;
        let output = api.execute(&sandbox, self.program).await?;
        self.check(&output)?;
        Ok(sandbox)
    }

    fn check(&self, output: &str) -> Result<()> {
        let expected = if self.program == TRUE { "" } else { "1\n" };
        ensure!(output == expected, "the program printed {output:?}");
        Ok(())
    }
}

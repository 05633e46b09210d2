//! How fast do files go in and out, and how long does it take to see many of them?

use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use tokio::task::block_in_place;

use crate::{
    Bench,
    api::{Api, Kind},
    bare::Host,
    report::{Row, Target},
    samples::{Samples, timed},
};

const PEER: &str = "bench-files";
const SLEEP: [&str; 2] = ["sleep", "infinity"];
/// Files in the folder that is listed.
const MANY: usize = 10_000;
/// Copies of a large file are fewer than other pairs.
const COPIES_PART: usize = 3;

/// Upload and download beside `cat` through the peer's own way in and out; and a list beside `ls -lR`.
pub(crate) async fn beside_cat(bench: &Bench, kind: Kind) -> Result<Vec<Row>> {
    let mut api = bench.server.api().await?;
    let sandbox = api.create(kind).await?;
    block_in_place(|| start(bench, kind))?;
    let copied = copies(bench, kind, &mut api, &sandbox).await;
    block_in_place(|| remove(bench, kind))?;
    let mut rows = copied?;
    rows.push(many(bench, kind, &mut api, &sandbox).await?);
    api.destroy(&sandbox).await?;
    Ok(rows)
}

async fn copies(bench: &Bench, kind: Kind, api: &mut Api, sandbox: &str) -> Result<Vec<Row>> {
    let mib = bench.options.file_mib();
    let bytes = usize::from(mib) << 20;
    let content = Bytes::from(vec![b'x'; bytes]);
    let source = bench.scratch.join("source");
    fs::write(&source, &content)?;
    let [mut up, mut cat_in, mut down, mut cat_out] = [const { Samples::new() }; 4];
    let rate = |time: Duration| f64::from(mib) / time.as_secs_f64();
    for _ in 0..bench.options.samples().div_ceil(COPIES_PART) {
        up.add(rate(timed(api.write(sandbox, "/tmp/file", content.clone())).await?.0));
        let write = ["/bin/sh", "-c", "cat > /tmp/file"];
        cat_in.add(rate(block_in_place(|| cat(bench, kind, &write, &source))?));
        let (time, read) = timed(api.read(sandbox, "/tmp/file")).await?;
        ensure!(read == bytes, "{read} of {bytes} bytes");
        down.add(rate(time));
        cat_out.add(rate(block_in_place(|| cat(bench, kind, &["cat", "/tmp/file"], Path::new("/dev/null")))?));
    }
    let row = |what: &str, ours, peer| Row {
        what: format!("{}: a file {what}", kind.engine),
        unit: "MiB/s",
        ours,
        peer: Some((format!("{} exec cat", runtime(kind)), peer)),
        target: Target::AtLeastOfPeer(0.5),
    };
    Ok(vec![row("in", up, cat_in), row("out", down, cat_out)])
}

async fn many(bench: &Bench, kind: Kind, api: &mut Api, sandbox: &str) -> Result<Row> {
    let make = format!("mkdir many && cd many && seq -f file-%.0f {MANY} | xargs touch");
    api.execute(sandbox, &["/bin/sh", "-c", &make]).await?;
    let list = ["/bin/sh", "-c", "ls -lR many > /dev/null"];
    let (mut ours, mut peer) = (Samples::default(), Samples::default());
    for _ in 0..bench.options.samples().div_ceil(COPIES_PART) {
        let (time, listed) = timed(api.list(sandbox, "many", MANY)).await?;
        ensure!(listed == MANY, "{listed} of {MANY} files");
        ours.add_time(time);
        peer.add_time(timed(api.execute(sandbox, &list)).await?.0);
    }
    Ok(Row {
        what: format!("{}: a list of {MANY} files", kind.engine),
        unit: "ms",
        ours,
        peer: Some(("ls -lR, an execute".to_owned(), peer)),
        target: Target::AtMostOfPeer(10.0),
    })
}

const fn runtime(kind: Kind) -> &'static str {
    if kind.is_native() { "runc" } else { "runsc" }
}

fn start(bench: &Bench, kind: Kind) -> Result<()> {
    if kind.is_native() {
        bench.shared_kernel.start(PEER, &SLEEP)
    } else {
        bench.bare.start(PEER, &SLEEP, Host::Nothing)
    }
}

fn remove(bench: &Bench, kind: Kind) -> Result<()> {
    if kind.is_native() { bench.shared_kernel.remove(PEER) } else { bench.bare.remove(PEER) }
}

/// What a program in the peer's sandbox reads is that file; what it writes is thrown away.
fn cat(bench: &Bench, kind: Kind, program: &[&str], from: &Path) -> Result<Duration> {
    let files = [File::open(from)?, File::create("/dev/null")?];
    if kind.is_native() {
        bench.shared_kernel.exec_between(PEER, program, files)
    } else {
        bench.bare.exec_between(PEER, program, files)
    }
}

//! SENTINAL beside its peers, interleaved in one run: A B A B, so that whatever else the machine does falls on both.
//!
//! Every figure is a ratio of medians taken in the same run; absolute times say more about the machine than about us.
//! It starts a server of its own and leaves nothing behind, also when it fails or is interrupted.
//!
//! Start at [`measure`]; one file per measurement in `cases/`, the peers in `bare.rs` and `shared_kernel.rs`.

mod api;
mod bare;
mod cases;
mod connection;
mod machine;
mod memory;
mod options;
mod process;
mod report;
mod samples;
mod server;
mod shared_kernel;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use tempfile::TempDir;

use crate::{
    api::Kind, bare::Bare, machine::Machine, options::Options, report::Report, server::Server,
    shared_kernel::SharedKernel,
};

/// What every measurement works with.
struct Bench {
    server: Server,
    bare: Bare,
    shared_kernel: SharedKernel,
    scratch: PathBuf,
    options: Options,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    options.check()?;
    let scratch = scratch()?;
    let bare = Bare::new(&options, scratch.path())?;
    let shared_kernel = SharedKernel::new(&options, scratch.path())?;
    let server = unless_interrupted(Server::start(&options, scratch.path(), &[])).await?;
    let bench = Bench { server, bare, shared_kernel, scratch: scratch.path().to_owned(), options };
    let report = unless_interrupted(measure(&bench)).await.with_context(|| bench.server.end_of_log());
    let stopped = bench.server.stop().await;
    publish(&report?, &bench.options)?;
    stopped.context("something of the server is left")
}

/// Dropped in the middle, the work leaves only what its parts clean up.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

/// The measurements, the quiet ones first: what memory an idle server takes is asked before it did anything.
async fn measure(bench: &Bench) -> Result<Report> {
    let mut report = Report::new(Machine::now()?);
    report.add(cases::memory::idle_server(bench).await?);
    report.add(cases::execute::beside_runsc_exec(bench).await?);
    report.add(cases::execute::beside_runc_exec(bench).await?);
    for kind in [Kind::NATIVE, Kind::GVISOR] {
        report.extend(cases::interactive::beside_an_execute(bench, kind).await?);
        report.add(cases::contexts::beside_a_fresh_interpreter(bench, kind).await?);
        report.extend(cases::files::beside_cat(bench, kind).await?);
    }
    report.extend(cases::cold::beside_runsc_run(bench).await?);
    report.extend(cases::cold::beside_bwrap(bench).await?);
    report.extend(cases::memory::idle_sandboxes(bench).await?);
    report.add(cases::memory::idle_native_sandboxes(bench).await?);
    report.extend(cases::requests::beside_a_noop(bench).await?);
    report.add(cases::memory::server_after_work(bench).await?);
    report.extend(cases::warm::with_pools(bench).await?);
    for kind in [Kind::NATIVE, Kind::GVISOR] {
        report.add(cases::crowd::beside_one(bench, kind).await?);
    }
    Ok(report)
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn publish(report: &Report, options: &Options) -> Result<()> {
    print!("{}", report.as_text());
    if let Some(path) = &options.markdown {
        std::fs::write(path, report.as_markdown()).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// A folder that the server's ordinary user can reach, on a disk rather than in memory.
fn scratch() -> Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new().prefix("sentinal-bench-").tempdir_in("/var/tmp").context("make a folder")?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).context("open the folder")?;
    Ok(folder)
}

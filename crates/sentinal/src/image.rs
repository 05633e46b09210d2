//! `sentinal image`: the default image, and what the server does with others.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result};
use sentinal_image::{BuildOptions, ImageError, ImageStore, Outcome, Rebuild, TerminalProgress, build_default};
use sentinal_model::{Clock, SystemClock};

use crate::cli::{ImageCommand, ImageOptions};

/// `sentinal image`: asks the server, except for the default image, which is made before there is one.
pub(crate) fn run(options: ImageOptions) -> Result<ExitCode> {
    match options.command {
        ImageCommand::Client(command) => Ok(sentinal_cli::run_image(*command)),
        ImageCommand::BuildDefault { images, force, .. } => {
            build(&images, if force { Rebuild::Always } else { Rebuild::IfChanged })
        }
    }
}

fn build(images: &Path, rebuild: Rebuild) -> Result<ExitCode> {
    let store = ImageStore::open(images)?;
    let options = BuildOptions { rebuild, ..BuildOptions::new(SystemClock.now()) };
    let progress = TerminalProgress::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let built = runtime.context("cannot start the runtime")?.block_on(async {
        tokio::select! {
            built = build_default(&store, &options, &progress) => built.map(Some),
            _ = tokio::signal::ctrl_c() => Ok(None),
        }
    });
    progress.finish();
    let Some(built) = built.map_err(explained)? else { return Ok(ExitCode::FAILURE) };
    let what = match built.outcome {
        Outcome::Built => "built",
        Outcome::UpToDate => "is up to date",
    };
    print(&format!(
        "image {} {what}: {} ({} MiB)",
        built.image.reference,
        built.image.digest,
        built.image.size_bytes >> 20
    ));
    Ok(ExitCode::SUCCESS)
}

/// With what the failed tool said: this is the operator's own terminal.
fn explained(error: ImageError) -> anyhow::Error {
    let detail = error.detail().map(str::to_owned);
    let error = anyhow::Error::from(error);
    match detail {
        Some(detail) => error.context(detail),
        None => error,
    }
}

#[expect(clippy::print_stdout, reason = "what the command was asked for")]
fn print(line: &str) {
    println!("{line}");
}

//! `build`: a folder and its Containerfile go to the server, and what is said in the sandbox comes back.

use std::{io, path::Path};

use anyhow::{Context as _, Result};
use clap::Args;
use futures::{StreamExt as _, stream::BoxStream};
use indicatif::ProgressBar;
use reqwest::{Body, Method};
use sentinal_api::ImageJob;
use serde_json::Value;

use super::job;
use crate::{
    copy::{self, Ignore},
    execute::Signals,
    failure::{self, Failure},
    session::Session,
    show::{self, clean},
};

/// What a build reads where nobody says, the first that is there.
const FILES: [&str; 2] = ["Containerfile", "Dockerfile"];

/// Longest line of a log that is printed as one.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// What is built, in what.
#[derive(Debug, Args)]
pub struct BuildOptions {
    /// The folder that COPY copies from, and where the Containerfile is; what .containerignore or .dockerignore in it name
    /// is not sent
    folder: String,
    /// What the image is to be called; a name that is taken moves to it
    name: String,
    /// The Containerfile, a path within the folder [default: Containerfile, or else Dockerfile]
    #[arg(long, short, value_name = "FILE")]
    file: Option<String>,
    /// The value of an ARG; may be given more than once
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    args: Vec<String>,
    /// auto, firecracker, kata, gvisor or native: what RUN runs in
    #[arg(long, short = 'E', value_name = "ENGINE")]
    engine: Option<String>,
    /// Cores, such as 0.5 or 2 [default: 1]
    #[arg(long, value_name = "CORES")]
    cpu: Option<f64>,
    /// Memory, such as 512Mi or 2Gi [default: 1Gi]
    #[arg(long, short = 'm', value_name = "SIZE")]
    memory: Option<String>,
    /// What the steps may write together, such as 1Gi [default: 4Gi]
    #[arg(long, value_name = "SIZE")]
    disk: Option<String>,
    /// Print the build's id and do not wait for it
    #[arg(long, short)]
    detach: bool,
}

/// `sentinal image build`.
pub(crate) async fn build(session: &Session, options: &BuildOptions) -> Result<u8> {
    let folder = Path::new(&options.folder);
    let file = match &options.file {
        Some(file) => file.clone(),
        None => found(folder)?,
    };
    let ignore = Ignore::of(folder, &file)?;
    let mut signals = Signals::new()?;
    let begun = tokio::select! {
        begun = copy::packed(folder, ignore, async |pieces| begin(session, options, &file, pieces).await) => begun?,
        signal = signals.next() => return Ok(crate::execute::number_code(signal)),
    };
    let job: ImageJob = serde_json::from_value(begun.clone()).context("the server answers no build")?;
    if options.detach {
        session.answer(&begun, &clean(&job.id))?;
        return Ok(0);
    }
    tokio::select! {
        ended = follow(session, &job.id) => ended,
        signal = signals.next() => job::interrupted(session, &job.id, signal).await,
    }
}

/// The name of the Containerfile in a folder.
fn found(folder: &Path) -> Result<String> {
    let is_there = |name: &&&str| folder.join(name).is_file();
    match FILES.iter().find(is_there) {
        Some(name) => Ok((*name).to_owned()),
        None => Err(Failure::usage(format!(
            "there is no {} in {}; name another file with --file",
            FILES.join(" and no "),
            folder.display()
        ))),
    }
}

async fn begin(
    session: &Session,
    options: &BuildOptions,
    file: &str,
    pieces: BoxStream<'static, io::Result<bytes::Bytes>>,
) -> Result<Value> {
    let mut query = vec![("name", options.name.clone()), ("file", file.to_owned())];
    query.extend(options.args.iter().map(|arg| ("arg", arg.clone())));
    let given = [("engine", &options.engine), ("memory", &options.memory), ("disk", &options.disk)];
    query.extend(given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    query.extend(options.cpu.map(|cpu| ("cpu", cpu.to_string())));
    let request = session.client.request(Method::POST, &["image", "build"]).query(&query);
    let request = request.header("content-type", "application/x-tar").body(Body::wrap_stream(pieces.boxed()));
    Ok(session.client.send(request).await?.json().await.map_err(Failure::Broken)?)
}

/// What is said in the build, on standard error; then what has come of it.
async fn follow(session: &Session, id: &str) -> Result<u8> {
    if !session.json {
        match log(session, id).await {
            // What is missing of the log is no reason to leave the build.
            Err(error) if failure::is_passing(&error) => show::note(&format!("the build's log broke off: {error:#}")),
            done => done?,
        }
    }
    let ended = job::last(session, id, &ProgressBar::hidden()).await?;
    job::told(session, &ended)
}

async fn log(session: &Session, id: &str) -> Result<()> {
    let request = session.client.request(Method::GET, &["image", "job", id, "log"]).query(&[("follow", "true")]);
    let mut response = session.client.send(request).await?;
    let mut line = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(Failure::Broken)? {
        for byte in piece {
            if byte != b'\n' {
                line.push(byte);
            }
            // A program may never end its line.
            if byte == b'\n' || LINE_BYTES_MAX <= line.len() {
                say(&mut line)?;
            }
        }
    }
    if line.is_empty() { Ok(()) } else { say(&mut line) }
}

fn say(line: &mut Vec<u8>) -> Result<()> {
    show::error_line(&clean(&String::from_utf8_lossy(&std::mem::take(line))))
}

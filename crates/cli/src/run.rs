//! `sentinal run`: create, run, collect, destroy.

mod program;
mod stage;

use std::{ffi::OsString, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use reqwest::Method;
use sentinal_api::{CreateSandbox, Execute, Execution, Sandbox};
use sentinal_model::{Code, limits};
use serde_json::Value;

use crate::{
    client::Answer,
    exec::finish,
    execute::{self, Followed, Program, Signals, Stdin, number_code},
    failure,
    process::ProcessOptions,
    session::Session,
    show::{self, clean},
    size::SizeOptions,
    terminal::{self, Attached},
};
use program::{Chosen, after_dashes, choose};

/// How long a program may go on after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a sandbox needs beyond its program's time: files on their way, and its boot.
const MARGIN_SECONDS: f64 = 240.0;
/// How long the sandbox of a terminal stays after it.
const IDLE_SECONDS: f64 = 120.0;
/// How long its destruction is tried.
const DESTROY_DEADLINE: Duration = Duration::from_secs(30);

/// What to run, in what, with what.
#[derive(Debug, Args)]
pub struct RunOptions {
    #[command(flatten)]
    size: SizeOptions,
    #[command(flatten)]
    process: ProcessOptions,
    /// A file or folder to bring in before; may be given more than once
    #[arg(long = "in", value_name = "LOCAL[:REMOTE]", help_heading = "Files")]
    inward: Vec<String>,
    /// A file or folder to bring out after; may be given more than once
    #[arg(long = "out", value_name = "REMOTE[:LOCAL]", help_heading = "Files")]
    outward: Vec<String>,
    /// Do not destroy the sandbox; it ends by itself when its time is up
    #[arg(long, help_heading = None)]
    keep: bool,
    /// What FILE or standard input is written in, where its name and first line do not say
    #[arg(long, value_name = "LANGUAGE", help_heading = None)]
    language: Option<Language>,
    /// A program's file here (its language is chosen by its name, else by its first line), - for one on standard input,
    /// or a command of the sandbox; then its arguments. After -- it is always a command
    #[arg(required = true, trailing_var_arg = true, value_name = "FILE|-|COMMAND", help_heading = None)]
    words: Vec<String>,
}

/// What a program is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// python3
    Python,
    /// node
    Javascript,
    /// bash
    Bash,
}

/// `sentinal run`: its exit status is the program's.
pub(crate) async fn run(session: &Session, options: RunOptions) -> Result<u8> {
    let is_command = after_dashes(&std::env::args_os().collect::<Vec<OsString>>(), options.words.len());
    let chosen =
        if is_command { Chosen::Command(options.words.clone()) } else { choose(&options.words, options.language)? };
    let mut signals = Signals::new()?;
    let sandbox = match create(session, &options, &mut signals).await? {
        Created::There(sandbox) => sandbox,
        Created::Unwanted(signal) => return Ok(number_code(signal)),
    };
    let outcome = inside(session, &options, (&sandbox, chosen), &mut signals).await;
    let left = match &outcome {
        Ok(End::Left(execution)) => Some(execution.clone()),
        Ok(End::Status(_)) | Err(_) => None,
    };
    if let Some(execution) = &left {
        show::note(&format!("it goes on; see it again with: sentinal attach {execution}"));
    }
    if options.keep || left.is_some() {
        show::note(&format!("the sandbox stays: {sandbox}"));
    } else {
        destroy(session, &sandbox).await;
    }
    outcome.map(|end| match end {
        End::Status(code) => code,
        End::Left(_) => 0,
    })
}

/// What has come of a program.
enum End {
    /// It has ended, or was to end, with this status.
    Status(u8),
    /// It is this execution and goes on.
    Left(String),
}

/// What has come of asking for a sandbox.
enum Created {
    /// It has this id.
    There(String),
    /// A signal came first; it is gone again.
    Unwanted(i32),
}

async fn create(session: &Session, options: &RunOptions, signals: &mut Signals) -> Result<Created> {
    let timeout = options.process.timeout.unwrap_or_else(|| limits::TIMEOUT_DEFAULT.as_secs_f64());
    let is_open_ended = options.process.tty && options.process.timeout.is_none();
    let ttl_max = limits::TTL_MAX.as_secs_f64();
    let ttl = if is_open_ended { ttl_max } else { (timeout + MARGIN_SECONDS).clamp(1.0, ttl_max) };
    // A terminal that everybody has left hangs up by itself; what has no end of its own ends with that.
    let idle_timeout = is_open_ended.then_some(IDLE_SECONDS);
    let body = CreateSandbox { ttl: Some(ttl), idle_timeout, ..options.size.create()? };
    let asked = session.client.make_once::<Sandbox>(&["sandbox"], &body);
    tokio::pin!(asked);
    tokio::select! {
        made = &mut asked => Ok(Created::There(made?.body.id)),
        signal = signals.next() => {
            // It may be there already: only its id lets it be destroyed.
            destroy(session, &asked.await?.body.id).await;
            Ok(Created::Unwanted(signal))
        }
    }
}

/// Everything between the sandbox's creation and its destruction.
async fn inside(
    session: &Session,
    options: &RunOptions,
    (sandbox, chosen): (&str, Chosen),
    signals: &mut Signals,
) -> Result<End> {
    let workdir = options.process.workdir.as_deref();
    let bring_in = async {
        for mount in &options.inward {
            stage::bring_in(session, (sandbox, workdir), mount).await?;
        }
        stage::put_program(session, (sandbox, workdir), &chosen).await
    };
    let argv = tokio::select! {
        argv = bring_in => argv?,
        signal = signals.next() => return Ok(End::Status(number_code(signal))),
    };
    let request = options.process.request(sandbox, argv)?;
    let ended = if options.process.tty {
        let execution = terminal::start(session, request).await?;
        match terminal::attach(session, &execution, signals).await? {
            Attached::Ended(ended) => ended,
            Attached::Left => return Ok(End::Left(execution.id)),
            Attached::Interrupted(signal) => return Ok(End::Status(number_code(signal))),
        }
    } else {
        match follow(session, options, (request, &chosen), signals).await? {
            Followed::Ended(ended) => ended,
            Followed::Interrupted { signal, .. } => return Ok(End::Status(number_code(signal))),
        }
    };
    let code = tokio::select! {
        code = collect(session, options, (sandbox, &ended)) => code?,
        signal = signals.next() => number_code(signal),
    };
    Ok(End::Status(code))
}

async fn follow(
    session: &Session,
    options: &RunOptions,
    (request, chosen): (Execute, &Chosen),
    signals: &mut Signals,
) -> Result<Followed> {
    let stdin = if matches!(chosen, Chosen::Text(_)) { Stdin::Nothing } else { options.process.stdin() };
    execute::follow(session, Program { request, stdin, patience: Some(PATIENCE) }, signals).await
}

/// Brings out what was asked for. A program that failed is told of with its own status, whatever is missing then.
async fn collect(session: &Session, options: &RunOptions, (sandbox, ended): (&str, &Answer<Execution>)) -> Result<u8> {
    let code = finish(session, ended).await?;
    for mount in &options.outward {
        match stage::bring_out(session, (sandbox, options.process.workdir.as_deref()), mount).await {
            Err(error) if code != 0 => show::note(&format!("--out {}: {error:#}", clean(mount))),
            done => done.with_context(|| format!("--out {mount}"))?,
        }
    }
    Ok(code)
}

/// Does not give up at once: what stays behind costs its owner something.
async fn destroy(session: &Session, sandbox: &str) {
    let attempts = async {
        loop {
            let request = session.client.request(Method::DELETE, &["sandbox", sandbox]);
            match session.client.ask::<Value>(request).await {
                Ok(_) => return Ok(()),
                Err(error) if failure::is_code(&error, Code::NotFound) => return Ok(()),
                Err(error) if failure::is_passing(&error) => tokio::time::sleep(Duration::from_millis(500)).await,
                Err(error) => return Err(error),
            }
        }
    };
    let done = tokio::time::timeout(DESTROY_DEADLINE, attempts).await;
    let failed = match done {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("the server did not answer for {} s", DESTROY_DEADLINE.as_secs()),
    };
    show::note(&format!("the sandbox {sandbox} could not be destroyed, and ends when its time is up: {failed}"));
}

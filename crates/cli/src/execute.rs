//! One program in a sandbox, followed from its start to its end: what `run` and `exec` share.

mod outcome;
mod output;
mod signals;
mod stdin;

use std::{convert::Infallible, future::pending, time::Duration};

use anyhow::{Context as _, Result};
use reqwest::Method;
use sentinal_api::{Execute, Execution, ExecutionStarted};

pub(crate) use outcome::exit_code;
pub(crate) use signals::{Signals, number_code};
pub(crate) use stdin::Stdin;

use crate::{
    client::{Answer, Client, Events, with_body},
    failure,
    session::Session,
    show,
};
use output::Output;

/// How long a server may be away before its program is given up.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// How long to wait before asking again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// One question whether a program has ended.
const END_WAIT_SECONDS: &str = "60";

/// A program that is to run.
#[derive(Debug)]
pub(crate) struct Program {
    /// What is asked of the server; standard input is not part of it.
    pub(crate) request: Execute,
    /// Where its standard input comes from.
    pub(crate) stdin: Stdin,
    /// How long it may go on after a first signal.
    pub(crate) patience: Option<Duration>,
}

/// How following a program ended.
#[derive(Debug)]
pub(crate) enum Followed {
    /// With the program.
    Ended(Box<Answer<Execution>>),
    /// It was told to stop by this signal, and does not.
    Interrupted { signal: i32, execution: String },
}

/// Starts a program and passes through what it reads and writes, until it ends or the caller loses patience.
pub(crate) async fn follow(session: &Session, program: Program, signals: &mut Signals) -> Result<Followed> {
    let Program { mut request, stdin, patience } = program;
    request.stdin_open = Some(stdin.is_given());
    let client = &session.client;
    let asked = with_body(client.request(Method::POST, &["execute"]), &request)?;
    let mut events = client.events(asked).await?;
    let id = started(&mut events).await?;
    let mut output = Output::new(client, &id, !session.json);
    let input = async {
        if let Err(error) = stdin.send(client, &id).await {
            show::note(&format!("standard input broke off: {error:#}"));
        }
        pending::<Infallible>().await
    };
    tokio::select! {
        ended = end(client, &id, &mut events, &mut output) => ended.map(|answer| Followed::Ended(Box::new(answer))),
        signal = signals.relay(client, &id, patience) => Ok(Followed::Interrupted { signal, execution: id.clone() }),
        never = input => match never {},
    }
}

async fn started(events: &mut Events) -> Result<String> {
    let first = events.next().await?.context("the server ended the stream before the program began")?;
    let started: ExecutionStarted =
        serde_json::from_str(&first.data).context("the stream does not begin with an execution")?;
    Ok(started.id)
}

/// Output until the end. Where the stream breaks off, the server is asked for what is missing.
async fn end(client: &Client, id: &str, events: &mut Events, output: &mut Output<'_>) -> Result<Answer<Execution>> {
    match output.take(events).await {
        Ok(Some(execution)) => return Ok(execution),
        Ok(None) => {}
        Err(error) if failure::is_passing(&error) => {}
        Err(error) => return Err(error),
    }
    let mut away_since = tokio::time::Instant::now();
    loop {
        match rest(client, id, output).await {
            Ok(Some(execution)) => return Ok(execution),
            Ok(None) => away_since = tokio::time::Instant::now(),
            Err(error) if failure::is_passing(&error) && away_since.elapsed() < AWAY_MAX => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// What is left of the output, and the end if it has come.
async fn rest(client: &Client, id: &str, output: &mut Output<'_>) -> Result<Option<Answer<Execution>>> {
    output.rest().await?;
    let answer: Answer<Execution> = client.get(&["execution", id], &[("wait", END_WAIT_SECONDS)]).await?;
    Ok((answer.body.state == "finished").then_some(answer))
}

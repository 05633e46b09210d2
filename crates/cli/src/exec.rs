//! `sentinal exec`: a program in a sandbox that is there.

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use sentinal_api::{Execute, Execution, SendSignal, SignalName};
use serde_json::Value;

use crate::{
    client::Answer,
    execute::{self, Followed, Program, Signals, exit_code, number_code},
    process::ProcessOptions,
    session::Session,
    show,
    terminal::{self, Attached},
};

const SIGKILL: i32 = 9;

/// What runs where.
#[derive(Debug, Args)]
pub struct ExecOptions {
    #[command(flatten)]
    process: ProcessOptions,
    /// Do not wait for its end: print its id
    #[arg(long, short, help_heading = None, conflicts_with_all = ["interactive", "tty", "no_stdin"])]
    detach: bool,
    /// The sandbox's id, or the beginning of it
    #[arg(help_heading = None)]
    sandbox: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", help_heading = None)]
    command: Vec<String>,
}

/// Which program.
#[derive(Debug, Args)]
pub struct AttachOptions {
    /// The execution's id, as it was told when it was left
    execution: String,
}

/// `sentinal exec`: its exit status is the program's.
pub(crate) async fn exec(session: &Session, options: ExecOptions) -> Result<u8> {
    let mut signals = Signals::new()?;
    let sandbox = session.sandbox_id(&options.sandbox).await?;
    let mut request = options.process.request(&sandbox, options.command)?;
    if options.detach {
        request.background = Some(true);
        let answer: Answer<Execution> = session.client.submit(Method::POST, &["execute"], &request).await?;
        session.answer(&answer.json, &answer.body.id)?;
        return Ok(0);
    }
    if options.process.tty {
        return on_terminal(session, request, &mut signals).await;
    }
    let program = Program { request, stdin: options.process.stdin(), patience: None };
    match execute::follow(session, program, &mut signals).await? {
        Followed::Ended(answer) => finish(session, &answer).await,
        Followed::Interrupted { signal, execution } => {
            kill(session, &execution).await?;
            Ok(number_code(signal))
        }
    }
}

/// Left with ctrl-p ctrl-q it goes on.
async fn on_terminal(session: &Session, request: Execute, signals: &mut Signals) -> Result<u8> {
    let execution = terminal::start(session, request).await?;
    match terminal::attach(session, &execution, signals).await? {
        Attached::Ended(ended) => finish(session, &ended).await,
        Attached::Left => {
            show::note(&format!("it goes on; see it again with: sentinal attach {}", execution.id));
            Ok(0)
        }
        Attached::Interrupted(signal) => {
            kill(session, &execution.id).await?;
            Ok(number_code(signal))
        }
    }
}

/// `sentinal attach`.
pub(crate) async fn attach(session: &Session, options: &AttachOptions) -> Result<u8> {
    let mut signals = Signals::new()?;
    let execution: Answer<Execution> = session.client.get(&["execution", &options.execution], &[]).await?;
    match terminal::attach(session, &execution.body, &mut signals).await? {
        Attached::Ended(ended) => finish(session, &ended).await,
        Attached::Left => Ok(0),
        Attached::Interrupted(signal) => Ok(number_code(signal)),
    }
}

/// The exit status, after the whole answer for programs.
pub(crate) async fn finish(session: &Session, ended: &Answer<Execution>) -> Result<u8> {
    if session.json {
        let whole: Answer<Value> = session.client.get(&["execution", &ended.body.id], &[]).await?;
        show::json(&whole.json)?;
    }
    Ok(exit_code(&ended.body))
}

async fn kill(session: &Session, execution: &str) -> Result<()> {
    let body = SendSignal { signal: SignalName::Number(SIGKILL) };
    let _: Answer<Value> = session.client.submit(Method::POST, &["execution", execution, "signal"], &body).await?;
    Ok(())
}

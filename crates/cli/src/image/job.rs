//! Pulls and builds under way, and those that have ended.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::Method;
use sentinal_api::{ImageJob, List};
use tokio::time::Instant;

use crate::{
    client::Answer,
    execute::{Signals, number_code},
    failure, page,
    session::Session,
    show::{self, Table, age, clean},
};

/// How often a job is asked for.
const ASK_AGAIN: Duration = Duration::from_millis(300);
/// How long a server may be away before its job is given up.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// The fields of a job in the order in which people look for them.
const FIRST: [&str; 7] = ["id", "kind", "state", "name", "reference", "digest", "error"];

/// Which jobs.
#[derive(Debug, Args)]
pub struct JobsOptions {
    /// Ids; all without one
    #[arg(value_name = "JOB")]
    jobs: Vec<String>,
}

/// Which jobs are to end.
#[derive(Debug, Args)]
pub struct CancelOptions {
    /// Ids
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
}

/// `sentinal image jobs`.
pub(crate) async fn jobs(session: &Session, options: &JobsOptions) -> Result<u8> {
    if !options.jobs.is_empty() {
        let show = async |id: &str| {
            let answer = read(session, id).await?;
            let text = show::fields(&answer.json, &FIRST);
            Ok((answer.json, text))
        };
        return session.each(&options.jobs, show).await;
    }
    let found: Answer<List<ImageJob>> = page::all(&session.client, &["image", "job"], &[]).await?;
    if session.json {
        show::json(&found.json)?;
    } else {
        table(&found.body.items).print()?;
    }
    Ok(0)
}

fn table(jobs: &[ImageJob]) -> Table {
    let mut table = Table::new(&["ID", "KIND", "STATE", "AGE", "NAME", "WHAT"]);
    for job in jobs {
        let what = job.error.as_ref().map(|error| error.detail.clone()).or_else(|| job.reference.clone());
        table.row([
            job.id.clone(),
            job.kind.clone(),
            job.state.clone(),
            age(&job.created_at),
            job.name.clone(),
            what.unwrap_or_default(),
        ]);
    }
    table
}

/// `sentinal image cancel`.
pub(crate) async fn cancel(session: &Session, options: &CancelOptions) -> Result<u8> {
    let cancel = async |id: &str| {
        let answer = end(session, id).await?;
        let text = clean(&format!("{} {}", answer.body.id, answer.body.state));
        Ok((answer.json, text))
    };
    session.each(&options.jobs, cancel).await
}

async fn read(session: &Session, id: &str) -> Result<Answer<ImageJob>> {
    session.client.get(&["image", "job", id], &[]).await
}

async fn end(session: &Session, id: &str) -> Result<Answer<ImageJob>> {
    session.client.ask(session.client.request(Method::DELETE, &["image", "job", id])).await
}

/// Shows how far a pull is, to its end. A signal ends it.
pub(super) async fn follow_pull(session: &Session, id: &str, signals: &mut Signals) -> Result<u8> {
    let bar = bar();
    let ended = tokio::select! {
        ended = last(session, id, &bar) => ended,
        signal = signals.next() => {
            bar.finish_and_clear();
            return interrupted(session, id, signal).await;
        }
    };
    bar.finish_and_clear();
    told(session, &ended?)
}

/// Ends a job because its caller was told to end.
pub(super) async fn interrupted(session: &Session, id: &str, signal: i32) -> Result<u8> {
    end(session, id).await?;
    show::note(&format!("cancelled: {}", clean(id)));
    Ok(number_code(signal))
}

/// What has come of a job.
pub(super) fn told(session: &Session, ended: &Answer<ImageJob>) -> Result<u8> {
    let ImageJob { id, kind, state, name, digest, error, .. } = &ended.body;
    if session.json {
        show::json(&ended.json)?;
        return Ok(u8::from(state != "finished"));
    }
    match (digest, error) {
        (Some(digest), _) => show::line(&clean(&format!("{name} {digest}")))?,
        (None, Some(error)) => bail!("{}", clean(&error.detail)),
        (None, None) => bail!("the {} {} was {}", clean(kind), clean(id), clean(state)),
    }
    Ok(0)
}

/// The job when it has ended; `bar` shows how far it is until then.
pub(super) async fn last(session: &Session, id: &str, bar: &ProgressBar) -> Result<Answer<ImageJob>> {
    let mut seen = Instant::now();
    loop {
        match read(session, id).await {
            Ok(answer) if answer.body.state != "running" => return Ok(answer),
            Ok(answer) => {
                seen = Instant::now();
                draw(bar, &answer.body);
            }
            Err(error) if failure::is_passing(&error) && seen.elapsed() < AWAY_MAX => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// On standard error, where that is a terminal; nothing elsewhere.
fn bar() -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    let template = "{msg} [{wide_bar}] {binary_bytes}/{binary_total_bytes} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn draw(bar: &ProgressBar, job: &ImageJob) {
    bar.set_length(job.bytes_total);
    bar.set_position(job.bytes_done);
    bar.set_message(clean(&format!("{} (layers: {} of {})", job.stage, job.layers_done, job.layers_total)));
}

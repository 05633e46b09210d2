//! `logs` and `events`: what has happened, and what happens.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use reqwest::Method;
use sentinal_api::{EventItem, List, LogItem, Sandbox};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    client::{Answer, Events},
    failure, page,
    session::Session,
    show::{self, clean},
};

/// How often it is asked whether a sandbox whose log is followed has ended.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long a server may be away while it is followed.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// Which lines.
#[derive(Debug, Args)]
pub struct LogsOptions {
    /// The sandbox's id, or the beginning of it; all sandboxes if left out
    sandbox: Option<String>,
    /// Go on with lines as they come, until the sandbox has ended
    #[arg(long, short)]
    follow: bool,
    /// Which log [default: execution for a sandbox, else all]
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Not before this moment, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// With the time of each line
    #[arg(long, short)]
    timestamps: bool,
}

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// What programs write
    Execution,
    /// Every action
    Audit,
    /// Every refusal
    Security,
    /// The server itself
    System,
    /// All of them
    All,
}

/// Which events.
#[derive(Debug, Args)]
pub struct EventsOptions {
    /// The sandbox's id, or the beginning of it; all sandboxes if left out
    sandbox: Option<String>,
    /// Go on with events as they happen, from now on or from --cursor on
    #[arg(long, short)]
    follow: bool,
    /// After the event with this cursor; 0 is the beginning
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// `sentinal logs`.
pub(crate) async fn logs(session: &Session, options: &LogsOptions) -> Result<u8> {
    let sandbox = wanted(session, options.sandbox.as_deref()).await?;
    let kind = options.kind.unwrap_or_else(|| if sandbox.is_some() { Kind::Execution } else { Kind::All });
    let mut query = Vec::new();
    query.extend(sandbox.as_deref().map(|id| ("sandbox_id", id)));
    query.extend(kind.name().map(|name| ("kind", name)));
    query.extend(options.since.as_deref().map(|since| ("since", since)));
    let is_output = kind == Kind::Execution && sandbox.is_some();
    let show = |item: &LogItem| print_line(item, is_output, options.timestamps);
    if options.follow {
        let mut following = Following::new(session, "logs", query);
        return following.until_end(sandbox.as_deref(), show).await;
    }
    listed(session, "logs", &query, show).await
}

/// `sentinal events`.
pub(crate) async fn events(session: &Session, options: &EventsOptions) -> Result<u8> {
    let sandbox = wanted(session, options.sandbox.as_deref()).await?;
    let mut query = Vec::new();
    query.extend(sandbox.as_deref().map(|id| ("sandbox_id", id)));
    query.extend(options.cursor.as_deref().map(|cursor| ("cursor", cursor)));
    if options.follow {
        return Following::new(session, "events", query).until_end(None, print_event).await;
    }
    listed(session, "events", &query, print_event).await
}

impl Kind {
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Execution => Some("execution"),
            Self::Audit => Some("audit"),
            Self::Security => Some("security"),
            Self::System => Some("system"),
            Self::All => None,
        }
    }
}

async fn wanted(session: &Session, name: Option<&str>) -> Result<Option<String>> {
    match name {
        Some(name) => session.sandbox_id(name).await.map(Some),
        None => Ok(None),
    }
}

async fn listed<T: DeserializeOwned>(
    session: &Session,
    path: &str,
    query: &[(&str, &str)],
    show: impl Fn(&T) -> Result<()>,
) -> Result<u8> {
    let all: Answer<List<T>> = page::all(&session.client, &[path], query).await?;
    if session.json {
        show::json(&all.json)?;
    } else {
        all.body.items.iter().try_for_each(show)?;
    }
    Ok(0)
}

/// What a program wrote goes where it wrote it; everything else is told with when and where.
fn print_line(item: &LogItem, is_output: bool, timestamps: bool) -> Result<()> {
    let message = clean(&item.message);
    if !is_output {
        let sandbox = item.sandbox_id.as_deref().unwrap_or("-");
        return show::line(&clean(&format!("{} {:<9} {sandbox} {message}", item.time, item.kind)));
    }
    let line = if timestamps { format!("{} {message}", clean(&item.time)) } else { message };
    if item.stream.as_deref() == Some("stderr") { show::error_line(&line) } else { show::line(&line) }
}

fn print_event(event: &EventItem) -> Result<()> {
    let EventItem { time, name, message, .. } = event;
    let sandbox = event.sandbox_id.as_deref().unwrap_or("-");
    show::line(&clean(&format!("{time} {name:<20} {sandbox} {message}")))
}

/// A stream that is taken up again where it broke off.
struct Following<'a> {
    session: &'a Session,
    path: &'a str,
    query: Vec<(&'a str, &'a str)>,
    last: Option<String>,
}

impl<'a> Following<'a> {
    const fn new(session: &'a Session, path: &'a str, query: Vec<(&'a str, &'a str)>) -> Self {
        Self { session, path, query, last: None }
    }

    /// Shows what comes, for ever or until this sandbox has ended and all was shown.
    async fn until_end<T: DeserializeOwned>(
        &mut self,
        sandbox: Option<&str>,
        show: impl Fn(&T) -> Result<()>,
    ) -> Result<u8> {
        let mut away_since: Option<Instant> = None;
        loop {
            let broke = match self.connect().await {
                Ok(mut events) => {
                    away_since = None;
                    match self.pass(&mut events, sandbox, &show).await {
                        Ok(Ended::Sandbox) => return Ok(0),
                        Ok(Ended::Stream) => None,
                        Err(error) => Some(error),
                    }
                }
                Err(error) => Some(error),
            };
            let since = *away_since.get_or_insert_with(Instant::now);
            match broke {
                Some(error) if !failure::is_passing(&error) || self.last.is_none() || AWAY_MAX <= since.elapsed() => {
                    return Err(error);
                }
                _ => tokio::time::sleep(ASK_EVERY / 4).await,
            }
        }
    }

    async fn connect(&self) -> Result<Events> {
        let request = self.session.client.request(Method::GET, &[self.path]).query(&self.query);
        let request = request.query(&[("follow", "true")]);
        let request = match &self.last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        self.session.client.events(request).await
    }

    async fn pass<T: DeserializeOwned>(
        &mut self,
        events: &mut Events,
        sandbox: Option<&str>,
        show: impl Fn(&T) -> Result<()>,
    ) -> Result<Ended> {
        loop {
            let Ok(event) = tokio::time::timeout(ASK_EVERY, events.next()).await else {
                if self.has_ended(sandbox).await? {
                    return Ok(Ended::Sandbox);
                }
                continue;
            };
            let Some(event) = event? else { return Ok(Ended::Stream) };
            let json: Value = serde_json::from_str(&event.data)?;
            if self.session.json {
                show::json_line(&json)?;
            } else {
                show(&serde_json::from_value(json)?)?;
            }
            self.last = Some(event.id).filter(|id| !id.is_empty()).or_else(|| self.last.take());
        }
    }

    async fn has_ended(&self, sandbox: Option<&str>) -> Result<bool> {
        let Some(id) = sandbox else { return Ok(false) };
        let answer: Answer<Sandbox> = self.session.client.get(&["sandbox", id], &[]).await?;
        Ok(answer.body.finished_at.is_some())
    }
}

/// Why no more comes.
enum Ended {
    Sandbox,
    Stream,
}

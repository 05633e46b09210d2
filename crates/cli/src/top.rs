//! `sentinal top`: what sandboxes use, live on a terminal and once elsewhere.

use std::{
    collections::HashMap,
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sentinal_api::{List, Sandbox, SandboxStats};
use sentinal_model::Code;
use serde_json::json;
use tokio::{io::AsyncReadExt as _, time::Instant};

use crate::{
    client::Answer,
    failure,
    screen::{Keys, Screen},
    session::Session,
    show::{self, Table, age, bytes, terminal_size},
};

/// Sandboxes that are looked at: more are on no screen.
const SANDBOXES_MAX: usize = 200;
/// Questions at once.
const QUESTIONS_MAX: usize = 8;
/// Between two looks where there is one answer only.
const LOOK: Duration = Duration::from_millis(500);

/// How often.
#[derive(Debug, Args)]
pub struct TopOptions {
    /// Seconds between two looks
    #[arg(long, short, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    interval: u64,
    /// Print once, and end; so it is without a terminal
    #[arg(long)]
    once: bool,
}

/// One look.
struct Look {
    at: Instant,
    rows: Vec<(Answer<Sandbox>, Answer<SandboxStats>)>,
}

/// `sentinal top`.
pub(crate) async fn top(session: &Session, options: &TopOptions) -> Result<u8> {
    let is_live = !options.once && !session.json && io::stdout().is_terminal() && io::stdin().is_terminal();
    if is_live { live(session, Duration::from_secs(options.interval)).await } else { once(session).await }
}

async fn once(session: &Session) -> Result<u8> {
    let before = look(session).await?;
    tokio::time::sleep(LOOK).await;
    let now = look(session).await?;
    if session.json {
        let row = |(sandbox, stats): &(Answer<Sandbox>, Answer<SandboxStats>)| json!({"sandbox": sandbox.json, "stats": stats.json});
        show::json(&json!({"items": now.rows.iter().map(row).collect::<Vec<_>>()}))?;
    } else {
        table(&now, Some(&before)).print()?;
    }
    Ok(0)
}

async fn live(session: &Session, interval: Duration) -> Result<u8> {
    let _keys = Keys::unshown()?;
    let screen = Screen::open()?;
    let mut before = None;
    loop {
        let now = tokio::select! {
            now = look(session) => now?,
            () = quit() => return Ok(0),
        };
        let (columns, lines) = terminal_size();
        let mut drawn = vec![format!("{} sandboxes run; q quits", now.rows.len()), String::new()];
        drawn.extend(table(&now, before.as_ref()).lines(columns));
        drawn.truncate(lines);
        screen.draw(&drawn)?;
        before = Some(now);
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = quit() => return Ok(0),
        }
    }
}

/// Returns with `q` or Ctrl-C.
async fn quit() {
    let key = async {
        let mut key = [0];
        loop {
            match tokio::io::stdin().read(&mut key).await {
                Ok(1) if key != *b"q" => {}
                _ => return,
            }
        }
    };
    tokio::select! {
        () = key => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn look(session: &Session) -> Result<Look> {
    let limit = SANDBOXES_MAX.to_string();
    let answer: Answer<List<serde_json::Value>> = session.client.get(&["sandbox"], &[("limit", &limit)]).await?;
    let sandboxes = answer.body.items.into_iter().filter_map(|json| {
        let body: Sandbox = serde_json::from_value(json.clone()).ok()?;
        matches!(body.state.as_str(), "running" | "paused").then_some(Answer { json, body })
    });
    let asked = stream::iter(sandboxes).map(|sandbox| async move {
        match session.client.get::<SandboxStats>(&["sandbox", &sandbox.body.id, "stats"], &[]).await {
            Ok(stats) => Ok(Some((sandbox, stats))),
            // It has ended meanwhile.
            Err(error) if [Code::NotFound, Code::Conflict].iter().any(|code| failure::is_code(&error, *code)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    });
    let rows: Vec<Option<_>> = asked.buffered(QUESTIONS_MAX).try_collect().await?;
    Ok(Look { at: Instant::now(), rows: rows.into_iter().flatten().collect() })
}

fn table(now: &Look, before: Option<&Look>) -> Table {
    let earlier: HashMap<&str, f64> = before.map_or_else(HashMap::new, |look| {
        look.rows.iter().map(|(sandbox, stats)| (sandbox.body.id.as_str(), stats.body.cpu_ms)).collect()
    });
    let elapsed_ms = before.map_or(0.0, |look| (now.at - look.at).as_secs_f64() * 1000.0);
    let mut table = Table::new(&["ID", "STATE", "ENGINE", "CPU", "MEMORY", "DISK", "PROCS", "AGE"]);
    for (Answer { body: sandbox, .. }, Answer { body: stats, .. }) in &now.rows {
        let used_ms = earlier.get(sandbox.id.as_str()).map(|earlier| (stats.cpu_ms - earlier).max(0.0));
        let cpu = used_ms
            .filter(|_| 0.0 < elapsed_ms)
            .map_or_else(|| "-".to_owned(), |used| format!("{:.0}%", used / elapsed_ms * 100.0));
        table.row([
            sandbox.id.clone(),
            sandbox.state.clone(),
            sandbox.engine.clone().unwrap_or_default(),
            cpu,
            format!("{}/{}", bytes(stats.memory_bytes), bytes(stats.memory_limit_bytes)),
            format!("{}/{}", bytes(stats.disk_bytes), bytes(stats.disk_limit_bytes)),
            stats.processes.to_string(),
            age(&sandbox.created_at),
        ]);
    }
    table
}

//! A program on a terminal: this terminal becomes its screen and keyboard, and stays so when connections break.

mod keyboard;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::Result;
use reqwest::Method;
use sentinal_api::{Execute, Execution, Terminal, TerminalNotice, TerminalRequest};
use tokio::{
    io::AsyncWriteExt as _,
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use self::keyboard::{Keyboard, Typed};
use crate::{
    client::{Answer, Received, Receiver, Sender},
    execute::Signals,
    failure::{self, Failure},
    screen::Keys,
    session::Session,
    show::{self, clean, terminal_size},
};

/// How long a server may be away before its program is given up.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// How long to wait before connecting again.
const AGAIN: Duration = Duration::from_millis(500);

/// How a terminal was left.
#[derive(Debug)]
pub(crate) enum Attached {
    /// With its program.
    Ended(Box<Answer<Execution>>),
    /// With ctrl-p ctrl-q: the program goes on.
    Left,
    /// By a signal to this process.
    Interrupted(i32),
}

/// Starts the program on a terminal as large as this one.
pub(crate) async fn start(session: &Session, request: Execute) -> Result<Execution> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::usage("--tty needs a terminal here, for its keys and its screen; leave it out"));
    }
    let request = Execute { terminal: Some(size()), background: Some(true), stdin_open: None, ..request };
    let started: Answer<Execution> = session.client.submit(Method::POST, &["execute"], &request).await?;
    Ok(started.body)
}

/// Shows a program's terminal until it ends or is left.
pub(crate) async fn attach(session: &Session, execution: &Execution, signals: &mut Signals) -> Result<Attached> {
    let mut view = View {
        session,
        execution,
        offset: 0,
        resized: signal(SignalKind::window_change())?,
        keyboard: Keyboard::new(),
    };
    let keys = Keys::raw()?;
    let left = tokio::select! {
        left = view.until_end() => left,
        signal = signals.next() => Ok(Attached::Interrupted(signal)),
    };
    drop(keys);
    left
}

fn size() -> Terminal {
    let (columns, lines) = terminal_size();
    let count = |count: usize| u32::try_from(count).unwrap_or(80);
    Terminal { cols: count(columns), rows: count(lines) }
}

/// One terminal as it is seen here.
struct View<'a> {
    session: &'a Session,
    execution: &'a Execution,
    /// Of the first byte that was not shown yet.
    offset: u64,
    resized: Signal,
    keyboard: Keyboard,
}

/// Why one connection is over.
enum Over {
    Attached(Attached),
    Broken,
}

impl View<'_> {
    async fn until_end(&mut self) -> Result<Attached> {
        let mut away_since: Option<Instant> = None;
        loop {
            match self.connect().await {
                Ok((sender, receiver)) => {
                    away_since = None;
                    if let Over::Attached(left) = self.show(sender, receiver).await? {
                        return Ok(left);
                    }
                }
                Err(error) if !failure::is_passing(&error) => return Err(error),
                Err(error) if away_since.is_some_and(|since| AWAY_MAX <= since.elapsed()) => return Err(error),
                Err(_) => {}
            }
            away_since.get_or_insert_with(Instant::now);
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn connect(&self) -> Result<(Sender, Receiver)> {
        let path = ["sandbox", &self.execution.sandbox_id, "terminal"];
        let query = [("execution_id", self.execution.id.clone()), ("offset", self.offset.to_string())];
        let request = self.session.client.request(Method::GET, &path).query(&query);
        let (mut sender, receiver) = self.session.client.socket(request).await?.split();
        // It may have been resized while nobody was connected.
        sender.text(resize()).await?;
        Ok((sender, receiver))
    }

    /// Carries both ways. What cannot be sent is a broken connection; what cannot be shown is an end.
    async fn show(&mut self, mut sender: Sender, mut receiver: Receiver) -> Result<Over> {
        loop {
            let sent = tokio::select! {
                received = receiver.next() => match received {
                    Ok(Some(Received::Bytes(bytes))) => {
                        self.write(&bytes).await?;
                        Ok(())
                    }
                    Ok(Some(Received::Text(text))) => match self.heed(&text).await? {
                        Some(ended) => return Ok(Over::Attached(ended)),
                        None => Ok(()),
                    },
                    Ok(None) | Err(_) => return Ok(Over::Broken),
                },
                typed = self.keyboard.next() => match typed {
                    Typed::Bytes(bytes) => sender.bytes(bytes).await,
                    Typed::Leave => return Ok(Over::Attached(Attached::Left)),
                },
                _ = self.resized.recv() => sender.text(resize()).await,
            };
            if sent.is_err() {
                return Ok(Over::Broken);
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut stdout = tokio::io::stdout();
        stdout.write_all(bytes).await?;
        stdout.flush().await?;
        self.offset += u64::try_from(bytes.len()).unwrap_or_default();
        Ok(())
    }

    async fn heed(&mut self, text: &str) -> Result<Option<Attached>> {
        match serde_json::from_str::<TerminalNotice>(text) {
            Ok(TerminalNotice::Attached { offset, .. } | TerminalNotice::Gap { offset }) => self.offset = offset,
            Ok(TerminalNotice::Exited { .. }) => {
                let ended = self.session.client.get(&["execution", &self.execution.id], &[]).await?;
                return Ok(Some(Attached::Ended(Box::new(ended))));
            }
            // In a raw terminal a line does not begin at the left by itself.
            Ok(TerminalNotice::Error { detail, .. }) => show::note(&format!("{}\r", clean(&detail))),
            // What a newer server says besides.
            Err(_) => {}
        }
        Ok(None)
    }
}

fn resize() -> String {
    let Terminal { cols, rows } = size();
    serde_json::to_string(&TerminalRequest::Resize { cols, rows }).unwrap_or_default()
}

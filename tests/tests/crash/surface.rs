//! What is more than one program's run, over every crash: labels, pauses, standard input, signals, contexts, terminals
//! and trees of files.
//!
//! Each of these is asked for until it is acknowledged, the way a careful client does it, and then has to have happened
//! exactly once.

use anyhow::{Context, Result, bail, ensure};
use http::Method;
use sentinal_tests::{Answer, Execution, NewExecution, Request, Said, Socket, Tar};
use serde_json::{Value, json};

use crate::{
    client::{DEADLINE, Reply, TRIES_MAX, Worker},
    journal::FilePromise,
    program::content,
};

/// What a client does with its sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    /// Changes a label.
    Label(u32),
    /// Pauses it, and resumes it.
    Rest,
    /// Writes so many lines to a program that reads.
    Type(u32),
    /// Ends a program that waits.
    Signal,
    /// Counts in a context, so many times.
    Count(u32),
    /// Writes so many lines on a terminal.
    Talk(u32),
    /// Brings a tree of files in, and moves it.
    Tree(u64),
}

impl Worker<'_> {
    /// `number` is the deed's own among this client's. A sandbox that never came up ends it early.
    pub(crate) async fn deed(&self, sandbox: &str, number: usize, deed: Deed) -> Result<()> {
        let done = match deed {
            Deed::Label(mark) => self.label(sandbox, mark).await?,
            Deed::Rest => self.rest(sandbox).await?,
            Deed::Type(lines) => self.type_lines(sandbox, number, lines).await?,
            Deed::Signal => self.signal(sandbox, number).await?,
            Deed::Count(pieces) => self.count(sandbox, number, pieces).await?,
            Deed::Talk(lines) => self.talk(sandbox, lines).await?,
            Deed::Tree(seed) => self.tree(sandbox, number, seed).await?,
        };
        if done.is_some() {
            self.journal.acknowledged(deed.name());
        }
        Ok(())
    }

    async fn label(&self, sandbox: &str, mark: u32) -> Result<Option<()>> {
        let body = json!({"labels": {"mark": mark.to_string()}});
        let patch = || self.client.patch(&format!("/sandbox/{sandbox}")).json(&body);
        let Some(_) = self.until(sandbox, patch, &[200]).await? else { return Ok(None) };
        self.journal.sandbox(sandbox, |sandbox| sandbox.mark = Some(mark));
        Ok(Some(()))
    }

    async fn rest(&self, sandbox: &str) -> Result<Option<()>> {
        for call in ["pause", "resume"] {
            let ask = || self.client.post(&format!("/sandbox/{sandbox}/{call}"));
            let Some(_) = self.until(sandbox, ask, &[200]).await? else { return Ok(None) };
        }
        Ok(Some(()))
    }

    async fn type_lines(&self, sandbox: &str, number: usize, lines: u32) -> Result<Option<()>> {
        let reads = NewExecution::shell("cat").with("stdin_open", true);
        let Some(execution) = self.start(sandbox, number, reads).await? else { return Ok(None) };
        let mut typed = String::new();
        for line in 0..=lines {
            let (offset, end) = (typed.len(), line == lines);
            let text = if end { String::new() } else { format!("line {line} of {}\n", self.name) };
            let path = format!("/execution/{}/stdin?offset={offset}&end={end}", execution.id);
            let send = || self.client.post(&path).bytes("application/octet-stream", text.clone());
            let Some(_) = self.until(sandbox, send, &[200]).await? else { return Ok(None) };
            typed.push_str(&text);
        }
        let Some(ended) = self.ended(sandbox, &execution.id).await? else { return Ok(None) };
        ensure!(ended.ok()? == typed, "typed {typed:?}, read {ended:?}");
        Ok(Some(()))
    }

    async fn signal(&self, sandbox: &str, number: usize) -> Result<Option<()>> {
        let waits = NewExecution::shell("exec sleep 1000");
        let Some(execution) = self.start(sandbox, number, waits).await? else { return Ok(None) };
        let body = json!({"signal": "SIGTERM"});
        let send = || self.client.post(&format!("/execution/{}/signal", execution.id)).json(&body);
        // It may have been sent when the answer was lost, and have done its work.
        let Some(_) = self.until(sandbox, send, &[200, 409]).await? else { return Ok(None) };
        let Some(ended) = self.ended(sandbox, &execution.id).await? else { return Ok(None) };
        ensure!((ended.outcome.as_deref(), ended.signal) == (Some("signaled"), Some(15)), "{ended:?}");
        Ok(Some(()))
    }

    /// Every piece runs once, whatever became of the answers.
    async fn count(&self, sandbox: &str, number: usize, pieces: u32) -> Result<Option<()>> {
        let body = json!({"language": "python"});
        let open = || self.client.post(&format!("/sandbox/{sandbox}/context")).json(&body);
        let Some(opened) = self.until(sandbox, open, &[201]).await? else { return Ok(None) };
        let context: Value = opened.json()?;
        for piece in 1..=pieces {
            let code = "n = globals().get('n', 0) + 1; n";
            let body = json!({"sandbox_id": sandbox, "context_id": context["id"], "code": code});
            let key = format!("{}-{number}-{piece}", self.name);
            let run = || self.client.post("/execute").header("Idempotency-Key", &key).json(&body).deadline(DEADLINE);
            let Some(ran) = self.until(sandbox, run, &[200]).await? else { return Ok(None) };
            let ran: Value = ran.json()?;
            self.journal.write(|promises| promises.looked_at.extend(ran["id"].as_str().map(str::to_owned)));
            ensure!(ran["results"][0]["data"]["text/plain"] == json!(piece.to_string()), "piece {piece}: {ran}");
        }
        Ok(Some(()))
    }

    async fn tree(&self, sandbox: &str, number: usize, seed: u64) -> Result<Option<()>> {
        let files: Vec<_> = (0..4).map(|file| (file, seed.wrapping_add(file), 100 << (3 * file))).collect();
        let archive = files.iter().fold(Tar::default(), |tar, (file, seed, size)| {
            tar.folder(&format!("{file}")).file(&format!("{file}/content"), &content(*seed, *size))
        });
        let archive = archive.end();
        let target = |call: &str| format!("/api/v1/sandbox/{sandbox}/files{call}");
        let (from, to) = (format!("/home/user/way-{number}"), format!("/home/user/tree-{number}"));
        let put = || {
            let request = self.client.request(Method::PUT, &format!("{}?path={from}", target("/archive")));
            request.bytes("application/x-tar", archive.clone())
        };
        let Some(_) = self.until(sandbox, put, &[200]).await? else { return Ok(None) };
        let body = json!({"from": from, "to": to});
        let mv = || self.client.request(Method::POST, &target("/move")).json(&body);
        // It may have been moved when the answer was lost.
        let Some(_) = self.until(sandbox, mv, &[200, 404]).await? else { return Ok(None) };
        let left = self.client.request(Method::GET, &format!("{}?path={from}", target("/stat")));
        if let Ok(left) = left.send().await {
            ensure!(left.status != 200, "{from} is there and was moved");
        }
        let promises = files.into_iter().map(|(file, seed, size)| FilePromise {
            path: format!("{to}/{file}/content"),
            seed,
            size,
            acknowledged: true,
        });
        self.journal.sandbox(sandbox, |sandbox| sandbox.files.extend(promises));
        Ok(Some(()))
    }

    /// A program in the background, started once.
    async fn start(&self, sandbox: &str, number: usize, new: NewExecution) -> Result<Option<Execution>> {
        let new = new.within(sandbox).with("background", true).with("timeout", 120);
        let key = format!("{}-{number}", self.name);
        let start = || self.client.post("/execute").header("Idempotency-Key", &key).json(new.as_json());
        let Some(answer) = self.until(sandbox, start, &[202]).await? else { return Ok(None) };
        let execution: Execution = answer.json()?;
        self.journal.write(|promises| promises.looked_at.insert(execution.id.clone()));
        Ok(Some(execution))
    }

    async fn ended(&self, sandbox: &str, id: &str) -> Result<Option<Execution>> {
        let wait = || self.client.get(&format!("/execution/{id}?wait=60")).deadline(DEADLINE);
        let Some(answer) = self.until(sandbox, wait, &[200]).await? else { return Ok(None) };
        let execution: Execution = answer.json()?;
        ensure!(execution.state == "finished", "still {}", execution.state);
        Ok(Some(execution))
    }

    /// Asks until it is acknowledged; `None` if the sandbox never came up.
    async fn until(&self, sandbox: &str, ask: impl Fn() -> Request, promised: &[u16]) -> Result<Option<Answer>> {
        for _ in 0..TRIES_MAX {
            let answer = ask().deadline(DEADLINE).send().await;
            let refused = answer.as_ref().is_ok_and(|answer| [404, 409].contains(&answer.status));
            match self.ask_in(sandbox, answer, promised).await? {
                Reply::Acknowledged(answer) => return Ok(Some(answer)),
                Reply::Refused if refused => return Ok(None),
                Reply::Refused | Reply::Lost => self.server.healthy().await?,
            }
        }
        bail!("not acknowledged after {TRIES_MAX} requests")
    }

    /// Every byte comes once and in order, over every connection that breaks.
    async fn talk(&self, sandbox: &str, lines: u32) -> Result<Option<()>> {
        let mut talk = Talk { path: format!("/sandbox/{sandbox}/terminal"), id: None, seen: Vec::new(), socket: None };
        for line in 0..lines {
            let text = format!("line {line}");
            if !self.say(sandbox, &mut talk, &text).await? {
                return Ok(None);
            }
        }
        let Some(id) = talk.id else { return Ok(None) };
        let output = || self.client.get(&format!("/execution/{id}/output?stream=stdout&offset=0"));
        let Some(stored) = self.until(sandbox, output, &[200]).await? else { return Ok(None) };
        ensure!(stored.body.starts_with(&talk.seen), "{id}: other bytes than were stored");
        Ok(Some(()))
    }

    /// Types a line until it was echoed and read; whether the sandbox ever came up.
    async fn say(&self, sandbox: &str, talk: &mut Talk, line: &str) -> Result<bool> {
        for _ in 0..TRIES_MAX {
            let said = talk.say(self, line).await;
            self.journal.write(|promises| promises.looked_at.extend(talk.id.clone()));
            if said.is_ok() {
                return Ok(true);
            }
            // What is wrong with it is not to be learned from a WebSocket that broke.
            talk.socket = None;
            if !self.was_running(sandbox) {
                return Ok(false);
            }
            self.server.healthy().await?;
        }
        bail!("{line:?} was not read after {TRIES_MAX} attempts")
    }
}

/// A terminal that is seen over one connection after the other.
struct Talk {
    path: String,
    id: Option<String>,
    seen: Vec<u8>,
    socket: Option<Socket>,
}

impl Talk {
    async fn say(&mut self, worker: &Worker<'_>, line: &str) -> Result<()> {
        if self.socket.is_none() {
            self.open(worker).await?;
        }
        let from = self.seen.len();
        let socket = self.socket.as_mut().context("no connection")?;
        socket.send(format!("{line}\r")).await?;
        let echoed_and_read = format!("{line}\r\n{line}\r\n");
        while !String::from_utf8_lossy(&self.seen[from..]).contains(&echoed_and_read) {
            match socket.next().await? {
                Said::Bytes(bytes) => self.seen.extend_from_slice(&bytes),
                other @ (Said::Notice(_) | Said::Closed(_)) => bail!("{other:?} before the line was read"),
            }
        }
        Ok(())
    }

    async fn open(&mut self, worker: &Worker<'_>) -> Result<()> {
        let query = match &self.id {
            Some(id) => format!("execution_id={id}&offset={}", self.seen.len()),
            None => "command=cat".to_owned(),
        };
        let mut socket = worker.client.socket(&format!("{}?{query}", self.path)).await?;
        let first = socket.notice().await?;
        ensure!(first["type"] == "attached" && first["offset"] == self.seen.len(), "{first}");
        self.id = first["execution_id"].as_str().map(str::to_owned);
        self.socket = Some(socket);
        Ok(())
    }
}

impl Deed {
    const fn name(self) -> &'static str {
        match self {
            Self::Label(_) => "label",
            Self::Rest => "rest",
            Self::Type(_) => "type",
            Self::Signal => "signal",
            Self::Count(_) => "count",
            Self::Talk(_) => "talk",
            Self::Tree(_) => "tree",
        }
    }
}

//! A client that does its steps and writes down every acknowledgement.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sentinal_tests::{Answer, Client, Execution, Followed, NewExecution, Sandbox, Server, eventually};
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    journal::{Deletion, ExecutionPromise, FilePromise, Journal, SandboxPromise},
    plan::{Engine, Step},
    program::{self, MEMORY, Program},
};

/// Long enough for a create that waits for its boot beside others, over a restart.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);
/// How often something is asked for before not having it counts as a failure.
pub(crate) const TRIES_MAX: usize = 20;

/// One of several clients at work at the same time.
pub(crate) struct Worker<'a> {
    pub(crate) server: &'a Server,
    pub(crate) client: Client,
    pub(crate) journal: &'a Journal,
    /// The label of its sandboxes.
    pub(crate) name: String,
    /// The sandbox it works in.
    pub(crate) sandbox: Option<String>,
}

/// What became of a request.
pub(crate) enum Reply {
    /// The answer that promises something.
    Acknowledged(Answer),
    /// 503: nothing is promised, and it may be tried again.
    Refused,
    /// Nobody knows.
    Lost,
}

impl Worker<'_> {
    pub(crate) async fn work(&mut self, steps: &[Step]) -> Result<()> {
        for (number, step) in steps.iter().enumerate() {
            self.step(number, step).await.with_context(|| format!("{} step {number}: {step:?}", self.name))?;
        }
        Ok(())
    }

    async fn step(&mut self, number: usize, step: &Step) -> Result<()> {
        if let Step::Create { wait, engine } = step {
            return self.create(*wait, *engine).await;
        }
        if let Step::OneShot(program, engine) = step {
            let new = program.request(None).with("engine", engine.0);
            return self.run(program, new, None, "one-shot").await;
        }
        let Some(sandbox) = self.sandbox.clone() else { return Ok(()) };
        match step {
            Step::Create { .. } | Step::OneShot(..) => Ok(()),
            Step::Upload { seed, size } => {
                self.upload(&sandbox, &format!("/home/user/file-{number}"), *seed, *size).await
            }
            Step::Run(program) => self.run(program, program.request(Some(&sandbox)), Some(sandbox), "run").await,
            Step::Background(program) => self.background(program, sandbox).await,
            Step::Follow(program) => self.follow(program, sandbox).await,
            Step::Deed(deed) => self.deed(&sandbox, number, *deed).await,
            Step::Delete => self.delete(sandbox).await,
        }
    }

    /// Asks for a sandbox until it has one; every answer that got lost may have left one too.
    async fn create(&mut self, wait: f64, engine: Engine) -> Result<()> {
        self.sandbox = None;
        let labels = json!({"client": self.name});
        let spec = json!({"engine": engine.0, "memory": MEMORY, "ttl": 900, "wait": wait, "labels": labels});
        for _ in 0..TRIES_MAX {
            self.journal.creating();
            let request = self.client.post("/sandbox").json(&spec).deadline(DEADLINE).send();
            if let Reply::Acknowledged(answer) = self.ask(request.await, &[201]).await? {
                return self.created(answer.json()?);
            }
            self.server.healthy().await?;
        }
        bail!("no sandbox after {TRIES_MAX} creates")
    }

    fn created(&mut self, sandbox: Sandbox) -> Result<()> {
        let running = sandbox.state == "running";
        ensure!(running || sandbox.state == "pending", "created as {}", sandbox.state);
        let (id, files) = (sandbox.id.clone(), Vec::new());
        let promise = SandboxPromise { id, running, files, mark: None, deletion: Deletion::Unasked };
        self.journal.write(|promises| promises.sandboxes.push(promise));
        self.journal.acknowledged(if running { "create" } else { "create-pending" });
        self.sandbox = Some(sandbox.id);
        Ok(())
    }

    async fn upload(&self, sandbox: &str, path: &str, seed: u64, size: usize) -> Result<()> {
        let answer = self.client.upload(sandbox, path, program::content(seed, size)).await;
        let reply = self.ask_in(sandbox, answer, &[200, 201]).await?;
        let acknowledged = matches!(reply, Reply::Acknowledged(_));
        let file = FilePromise { path: path.to_owned(), seed, size, acknowledged };
        self.journal.sandbox(sandbox, |sandbox| sandbox.files.push(file));
        if acknowledged {
            self.journal.acknowledged("upload");
        }
        Ok(())
    }

    /// Executes and compares the answer at once.
    async fn run(
        &self,
        program: &Program,
        new: NewExecution,
        sandbox: Option<String>,
        kind: &'static str,
    ) -> Result<()> {
        let answer = self.client.post("/execute").json(new.as_json()).deadline(DEADLINE).send().await;
        let reply = match &sandbox {
            Some(sandbox) => self.ask_in(sandbox, answer, &[200]).await?,
            None => self.ask(answer, &[200]).await?,
        };
        let Reply::Acknowledged(answer) = reply else {
            self.promise(None, sandbox, program);
            return Ok(());
        };
        let execution: Execution = answer.json()?;
        let (outcome, exit_code) = program.end();
        let ended = (execution.outcome.as_deref(), execution.exit_code);
        ensure!(ended == (Some(outcome), exit_code), "{ended:?} instead of {outcome} {exit_code:?}");
        let (stdout, expected) = (execution.stdout_bytes()?, program.stdout());
        ensure!(expected.starts_with(&stdout), "{}: other output than the program wrote", execution.id);
        ensure!(
            execution.stdout_truncated == Some(stdout.len() < expected.len()),
            "{}: not said to be cut",
            execution.id
        );
        self.promise(Some(execution.id), sandbox, program);
        self.journal.acknowledged(kind);
        Ok(())
    }

    async fn background(&self, program: &Program, sandbox: String) -> Result<()> {
        let new = program.request(Some(&sandbox)).with("background", true);
        let answer = self.client.post("/execute").json(new.as_json()).deadline(DEADLINE).send().await;
        let id = match self.ask_in(&sandbox, answer, &[202]).await? {
            Reply::Acknowledged(answer) => Some(answer.json::<Execution>()?.id),
            Reply::Refused | Reply::Lost => None,
        };
        if id.is_some() {
            self.journal.acknowledged("background");
        }
        self.promise(id, Some(sandbox), program);
        Ok(())
    }

    /// Reads the events of an execution to its end, and compares them.
    async fn follow(&self, program: &Program, sandbox: String) -> Result<()> {
        let mut seen = Followed::default();
        let body = program.request(Some(&sandbox));
        let request = self.client.post("/execute").json(body.as_json()).deadline(DEADLINE);
        let broken = match request.open_events().await {
            Ok(Ok(mut events)) => seen.drain(&mut events).await.is_err(),
            Ok(Err(answer)) => self.ask_in(&sandbox, Ok(answer), &[]).await.map(|_| false)?,
            Err(_) => true,
        };
        self.promise(seen.execution.clone(), Some(sandbox.clone()), program);
        let Some(id) = seen.execution.clone() else {
            self.journal.write(|promises| promises.unacknowledged += usize::from(broken));
            return self.server.answering().await;
        };
        self.journal.acknowledged("follow");
        if broken {
            self.resume(&id, &mut seen).await?;
            self.journal.acknowledged("resume");
        }
        let whole = self.was_running(&sandbox);
        for (stream, seen, expected) in
            [("stdout", seen.stdout, program.stdout()), ("stderr", seen.stderr, program.stderr())]
        {
            ensure!(expected.starts_with(&seen), "{id}: {stream}: others than the program wrote: {} bytes", seen.len());
            ensure!(
                !whole || expected.len() == seen.len(),
                "{id}: {stream}: {} bytes of {}",
                seen.len(),
                expected.len()
            );
        }
        Ok(())
    }

    /// Reads on from the byte where the stream broke, as often as it breaks.
    async fn resume(&self, id: &str, seen: &mut Followed) -> Result<()> {
        for (stream, so_far) in [("stdout", &mut seen.stdout), ("stderr", &mut seen.stderr)] {
            let so_far = Mutex::new(so_far);
            let on = || async {
                let mut so_far = so_far.lock().await;
                let path = format!("/execution/{id}/output?stream={stream}&offset={}&follow=true", so_far.len());
                let reading = self.client.get(&path).deadline(DEADLINE).read_into(&mut so_far).await;
                reading.with_context(|| format!("{stream} of {id} from {} on", so_far.len()))
            };
            eventually("the rest of a stream that broke", DEADLINE, on).await?;
        }
        Ok(())
    }

    async fn delete(&mut self, sandbox: String) -> Result<()> {
        self.journal.sandbox(&sandbox, |sandbox| sandbox.deletion = Deletion::Asked);
        self.sandbox = None;
        self.journal.deleting();
        let answer = self.client.delete(&format!("/sandbox/{sandbox}")).deadline(DEADLINE).send().await;
        if let Reply::Acknowledged(_) = self.ask_in(&sandbox, answer, &[200, 202, 204]).await? {
            self.journal.sandbox(&sandbox, |sandbox| sandbox.deletion = Deletion::Acknowledged);
            self.journal.acknowledged("delete");
        }
        Ok(())
    }

    fn promise(&self, id: Option<String>, sandbox: Option<String>, program: &Program) {
        let promise = ExecutionPromise { id, sandbox, program: program.clone() };
        self.journal.write(|promises| promises.executions.push(promise));
    }

    /// In a sandbox that was not yet up when it was acknowledged, a boot may have failed since: then 404 and 409 are right.
    pub(crate) async fn ask_in(&self, sandbox: &str, answer: Result<Answer>, promised: &[u16]) -> Result<Reply> {
        match answer {
            Ok(answer) if !self.was_running(sandbox) && [404, 409].contains(&answer.status) => Ok(self.refused()),
            other => self.ask(other, promised).await,
        }
    }

    /// Whether it was acknowledged as running.
    pub(crate) fn was_running(&self, sandbox: &str) -> bool {
        self.journal.sandbox(sandbox, |sandbox| sandbox.running).unwrap_or(false)
    }

    /// Sorts an answer. One that is neither promised nor a sound refusal is an error; after a lost connection this
    /// waits until somebody answers again.
    async fn ask(&self, answer: Result<Answer>, promised: &[u16]) -> Result<Reply> {
        match answer {
            Ok(answer) if promised.contains(&answer.status) => Ok(Reply::Acknowledged(answer)),
            Ok(answer) if answer.status == 503 => Ok(self.refused()),
            Ok(answer) => bail!("answered {}: {}", answer.status, answer.text()),
            Err(_) => {
                self.journal.write(|promises| promises.unacknowledged += 1);
                self.server.answering().await?;
                Ok(Reply::Lost)
            }
        }
    }

    fn refused(&self) -> Reply {
        self.journal.write(|promises| promises.refused += 1);
        Reply::Refused
    }
}

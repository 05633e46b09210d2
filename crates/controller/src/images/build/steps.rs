//! A build's steps, in its sandbox.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _};
use sentinal_containerfile::{Action, Step};
use sentinal_model::{
    ArchiveWrite, Code, Command, Error, EventName, ExecutionOutcome, FileAt, FileKind, FileLook, GuestPath, NewFolder,
    Result, limits,
};
use sentinal_store::ExecutionState;
use tokio::time::Instant;

use super::{Build, made};
use crate::{
    api::{Controller, OutputEvent},
    begin::{Kind, begin},
    entry::Entry,
    events,
    executions::{Abandon, start, up},
    images::{ImageStage, NewImage, jobs::Working, publish},
};

/// Files come in, and folders are made, as root.
const ROOT: &str = "0";

/// The whole of it. Dropped at any moment, it leaves a sandbox that ends.
pub(super) async fn build(working: Working, build: Build) -> Result<String> {
    let ends_at = Instant::now() + limits::IMAGE_BUILD_DEADLINE;
    let Working { context, by, progress, log, .. } = &working;
    let all = build.plan.steps.len();
    progress.send_modify(|at| (at.stage, at.steps_total) = (ImageStage::Preparing, all as u64));
    log.line(&format!("FROM {}", build.base.name));
    let entry = begin(context, by, (build.spec.clone(), Kind::OneShot), None).await?;
    let _gone = Abandon(Arc::clone(&entry));
    working.in_sandbox(entry.record().id).await?;
    up(&entry, limits::WAIT_MAX).await?;
    progress.send_modify(|at| at.stage = ImageStage::Building);
    let inside = Inside { working: &working, build: &build, entry: &entry, ends_at };
    for (done, step) in build.plan.steps.iter().enumerate() {
        log.line(&format!("[{}/{all}] {}", done + 1, step.text));
        inside.step(step).await.map_err(|error| at_line(&build.file, step.line, error))?;
        progress.send_modify(|at| at.steps_done += 1);
    }
    inside.collect().await
}

struct Inside<'a> {
    working: &'a Working,
    build: &'a Build,
    entry: &'a Arc<Entry>,
    ends_at: Instant,
}

impl Inside<'_> {
    fn controller(&self) -> Controller {
        Controller { context: Arc::clone(&self.working.context) }
    }

    async fn step(&self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Run { argv, env, folder, user } => {
                let command = Command {
                    argv: argv.clone(),
                    env: env.clone(),
                    cwd: Some(folder_at(folder)?),
                    user: Some(user.clone()),
                    stdin: Vec::new(),
                    stdin_open: false,
                    timeout: self.ends_at.saturating_duration_since(Instant::now()).max(Duration::from_secs(1)),
                    terminal: None,
                    context: None,
                };
                self.run(command).await
            }
            Action::Copy { sources, to } => self.copy(sources, to).await,
            Action::Folder { path } => self.folder(path).await,
            Action::Nothing => Ok(()),
            Action::Ignored => {
                self.working.log.line("it is not kept");
                Ok(())
            }
        }
    }

    /// One that does not end with 0 is the end of the build.
    async fn run(&self, command: Command) -> Result<()> {
        let execution = start(&self.working.context, self.entry, (self.working.by.clone(), command), None).await?;
        let mut events = self.controller().follow_own(execution.id).await?;
        while let Some(event) = events.try_next().await? {
            match event {
                OutputEvent::Output { data, .. } => self.working.log.add(&data),
                OutputEvent::Finished(record) => {
                    let ExecutionState::Finished { ended, .. } = &record.state else { break };
                    return succeeded(ended.outcome);
                }
            }
        }
        Err(Error::new(Code::Unavailable, "it is not known how RUN ended; build again"))
    }

    async fn folder(&self, path: &str) -> Result<()> {
        if path == "/" {
            return Ok(());
        }
        let (agent, _used) = self.controller().agent(self.working.by.tenant(), self.entry.record().id).await?;
        let folder = NewFolder { at: as_root(folder_at(path)?), make_parents: true, mode: None };
        agent.make_folder(&folder).await?;
        Ok(())
    }

    async fn copy(&self, sources: &[String], to: &str) -> Result<()> {
        let (agent, _used) = self.controller().agent(self.working.by.tenant(), self.entry.record().id).await?;
        let (mut folder, mut name) = (to, None);
        if !to.ends_with('/') && self.build.context.is_one_file(sources)? {
            let look = FileLook { at: as_root(folder_at(to)?), follow: true };
            let there = match agent.stat(&look).await.map_err(Error::from) {
                Ok(stat) => Some(stat.kind),
                Err(error) if error.code() == Code::NotFound => None,
                Err(error) => return Err(error),
            };
            if there != Some(FileKind::Directory) {
                let (parent, own) = to.rsplit_once('/').unwrap_or(("", to));
                (folder, name) = (if parent.is_empty() { "/" } else { parent }, Some(own));
            }
        }
        let archive = ArchiveWrite { at: as_root(folder_at(folder)?), make_parents: true };
        let body = self.build.context.pick(sources, name)?;
        let written = agent.write_archive(&archive, body).await.map_err(Error::from)?;
        let (id, now) = (self.entry.record().id, self.working.context.now());
        let event = events::archive_unpacked(self.working.by.tenant(), id, now, (&archive.at.path, written));
        self.controller().happened(event).await
    }

    /// What the sandbox has become, as an image under its name.
    async fn collect(&self) -> Result<String> {
        let Working { context, by, name, progress, log, .. } = self.working;
        progress.send_modify(|at| at.stage = ImageStage::Collecting);
        let (agent, used) = self.controller().agent(by.tenant(), self.entry.record().id).await?;
        let told = progress.clone();
        let root = agent.read_root().await?.map_err(Error::from).inspect_ok(move |bytes| {
            // The sandbox is in use as long as it is read.
            let _ = &used;
            told.send_modify(|at| at.bytes_done += bytes.len() as u64);
        });
        let made = context.parts.images.assemble(root.boxed(), &made(self.build.plan.config.clone())).await?;
        progress.send_modify(|at| at.stage = ImageStage::Publishing);
        let source = format!("a build from {} ({})", self.build.base.name, self.build.base.digest);
        let details = publish(context, NewImage { name: name.clone(), source }, made).await?;
        self.controller().happened(events::image_made(by, context.now(), (EventName::ImageBuilt, &details))).await?;
        log.line(&format!("{} {}", details.name, details.digest));
        Ok(details.digest)
    }
}

fn succeeded(outcome: ExecutionOutcome) -> Result<()> {
    let how = match outcome {
        ExecutionOutcome::Exited(0) => return Ok(()),
        ExecutionOutcome::Exited(code) => format!("RUN ended with {code}"),
        ExecutionOutcome::Signaled(signal) => format!("RUN was ended by signal {signal}"),
        ExecutionOutcome::Timeout => "RUN took too long".to_owned(),
        ExecutionOutcome::Oom => "RUN needs more memory than the build has".to_owned(),
        ExecutionOutcome::Killed => "the build's sandbox ended".to_owned(),
    };
    Err(Error::new(Code::InvalidRequest, how))
}

fn at_line(file: &str, line: usize, error: Error) -> Error {
    let message = format!("{file}:{line}: {}", error.message());
    error.with_message(message)
}

fn folder_at(path: &str) -> Result<GuestPath> {
    GuestPath::of_folder(path).map_err(|error| Error::invalid(error.to_string()))
}

fn as_root(path: GuestPath) -> FileAt {
    FileAt { path, user: Some(ROOT.to_owned()) }
}

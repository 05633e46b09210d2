//! The one writer: takes what waits in the queue, applies it in one transaction, commits, answers.
//!
//! While one group is being committed the next one gathers, so the cost of making a commit durable is shared by as
//! many callers as there are. A connection on which anything failed is never used again: the next group gets a
//! fresh one, so a disk that was full is no trouble once it has room.

use std::sync::Arc;

use sentinal_model::{Code, Error, ExecutionId, KeyId, Millis, Result};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    apply,
    checkpoint::{self, Log},
    failure,
    open::{Database, OpenError},
    remove::Removal,
};
use crate::{Write, limits};

/// Something that is applied as a whole or not at all.
#[derive(Debug)]
pub(super) enum Job {
    Write(Vec<Write>),
    Remove(Removal),
    TouchKey(KeyId, Millis),
    Heartbeat,
}

/// What came of a job.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Rows that were removed.
    pub(super) rows_removed: u64,
    /// Executions among them that had an output file.
    pub(super) with_files: Vec<ExecutionId>,
}

struct Request {
    job: Job,
    answer: oneshot::Sender<Result<Done>>,
}

/// The way to the writer.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
    ended: oneshot::Receiver<()>,
}

impl Writer {
    /// Starts the writer on a thread and runtime of its own: a commit waits for nothing else that the server does,
    /// and what was handed over is finished even while the server's runtime goes down.
    pub(super) fn start(database: Database, connection: SqliteConnection) -> std::result::Result<Self, OpenError> {
        let (queue, requests) = mpsc::channel(limits::WRITE_QUEUE_BATCHES_MAX);
        let (end, ended) = oneshot::channel();
        let log = Arc::new(Log::default());
        let failed = |source| OpenError::Writer { source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let groups = Groups { database: database.clone(), connection: Some(connection), log: Arc::clone(&log) };
        let work = async move {
            checkpoint::beside(&database, &log, groups.run(requests)).await;
            drop(database);
            // Nobody waits when the store was dropped rather than closed.
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new().name("store-commit".to_owned());
        let started = thread.spawn(move || runtime.block_on(work));
        started.map(|_| Self { queue, ended }).map_err(failed)
    }

    /// Hands a job over and waits until it is durable.
    pub(super) async fn run(&self, job: Job) -> Result<Done> {
        let (answer, answered) = oneshot::channel();
        let request = Request { job, answer };
        match timeout(limits::WRITE_QUEUE_WAIT, self.queue.send(request)).await {
            Ok(Ok(())) => answered.await.unwrap_or_else(|_| Err(gone())),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(Error::new(Code::Unavailable, "the store's disk does not keep up; try again later")),
        }
    }

    /// Lets the writer finish what it has, and waits for it.
    pub(super) async fn close(self) {
        drop(self.queue);
        let _ = self.ended.await;
    }
}

fn gone() -> Error {
    Error::new(Code::Unavailable, "the store has stopped; the server's log says why")
}

struct Groups {
    database: Database,
    connection: Option<SqliteConnection>,
    log: Arc<Log>,
}

impl Groups {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut group = Vec::with_capacity(limits::GROUP_BATCHES_MAX);
        while 0 < requests.recv_many(&mut group, limits::GROUP_BATCHES_MAX).await {
            let outcome = self.commit(&group).await;
            if let Err(error) = &outcome {
                self.connection = None;
                tracing::error!(%error, batches = group.len(), "store could not commit; the operator looks after its disk");
            }
            answer(group.drain(..), outcome.map_err(|error| failure::explain(&error, self.database.folder())));
            self.make_room().await;
        }
        if let Some(connection) = self.connection {
            let _ = connection.close().await;
        }
    }

    /// One transaction for all. An error is everybody's: nothing was stored for sure.
    async fn commit(&mut self, group: &[Request]) -> sqlx::Result<Vec<Result<Done>>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.database.for_writing().connect().await?),
        };
        let outcomes = transaction(connection, group).await?;
        self.log.grown();
        Ok(outcomes)
    }

    /// Waits for a checkpoint when those beside the commits do not keep up.
    async fn make_room(&mut self) {
        if self.log.was_too_long()
            && let Some(connection) = &mut self.connection
        {
            checkpoint::run(connection, &self.log).await;
        }
    }
}

/// Hands every caller its own outcome, or all of them the failure of the group.
fn answer(group: impl Iterator<Item = Request>, outcome: Result<Vec<Result<Done>>>) {
    match outcome {
        // A caller that no longer waits needs no answer.
        Ok(outcomes) => group.zip(outcomes).for_each(|(request, outcome)| drop(request.answer.send(outcome))),
        Err(error) => group.for_each(|request| drop(request.answer.send(Err(error.clone())))),
    }
}

/// Applies every job as a whole or not at all, and commits what was applied.
///
/// A savepoint costs two statements, as much as a small job itself, and a refused job is rare: so all are applied
/// without, and only a group with a refused job is begun again with a savepoint around each.
async fn transaction(connection: &mut SqliteConnection, group: &[Request]) -> sqlx::Result<Vec<Result<Done>>> {
    let jobs = || group.iter().map(|request| &request.job);
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    if let Some(all_done) = apply::all(connection, jobs()).await? {
        sqlx::query("COMMIT").execute(connection).await?;
        return Ok(all_done.into_iter().map(Ok).collect());
    }
    sqlx::query("ROLLBACK").execute(&mut *connection).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let outcomes = apply::each(connection, jobs()).await?;
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(outcomes)
}

//! The one writer: takes what waits in the queue, applies it in one transaction, commits, answers.
//!
//! While one group is being committed the next one gathers, so the cost of making a commit durable is shared by as
//! many callers as there are. A connection on which anything failed is never used again: the next group gets a
//! fresh one, so a disk that was full is no trouble once it has room.

use std::{collections::BTreeMap, sync::Arc, thread};

use rusqlite::{Connection, TransactionBehavior};
use sentinal_model::{Code, Error, ExecutionId, KeyId, Millis};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    apply,
    checkpoint::{Checkpoints, Log},
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
    pub(super) rows_removed: usize,
    /// Executions among them that had an output file.
    pub(super) with_files: Vec<ExecutionId>,
    /// Stored output of executions among them, in bytes by tenant.
    pub(super) output_bytes: BTreeMap<String, u64>,
}

impl Done {
    /// Both together.
    pub(super) fn add(&mut self, other: Self) {
        self.rows_removed += other.rows_removed;
        self.with_files.extend(other.with_files);
        for (tenant, bytes) in other.output_bytes {
            *self.output_bytes.entry(tenant).or_default() += bytes;
        }
    }
}

struct Request {
    job: Job,
    answer: oneshot::Sender<Result<Done, Error>>,
}

/// The way to the writer.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
    ended: oneshot::Receiver<()>,
}

impl Writer {
    /// Starts the writer on a thread of its own: a commit waits for nothing else that the server does, and what was
    /// handed over is finished even while the server's runtime goes down.
    pub(super) fn start(database: Database, connection: Connection) -> Result<Self, OpenError> {
        let (queue, requests) = mpsc::channel(limits::WRITE_QUEUE_BATCHES_MAX);
        let (end, ended) = oneshot::channel();
        let failed = |source| OpenError::Writer { source };
        let checkpoints = Checkpoints::start(database.clone()).map_err(failed)?;
        let groups = Groups { database: database.clone(), connection: Some(connection), log: checkpoints.log() };
        let work = move || {
            groups.run(requests);
            checkpoints.end();
            drop(database);
            // Nobody waits when the store was dropped rather than closed.
            let _ = end.send(());
        };
        thread::Builder::new().name("store-writer".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { queue, ended })
    }

    /// Hands a job over and waits until it is durable.
    pub(super) async fn run(&self, job: Job) -> Result<Done, Error> {
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
    connection: Option<Connection>,
    log: Arc<Log>,
}

impl Groups {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut group = Vec::with_capacity(limits::GROUP_BATCHES_MAX);
        while 0 < requests.blocking_recv_many(&mut group, limits::GROUP_BATCHES_MAX) {
            let outcome = self.commit(&group);
            if let Err(error) = &outcome {
                self.connection = None;
                tracing::error!(%error, batches = group.len(), "store could not commit; the operator looks after its disk");
            }
            answer(group.drain(..), outcome.map_err(|error| failure::explain(&error, self.database.folder())));
            self.make_room();
        }
    }

    /// One transaction for all. An error is everybody's: nothing was stored for sure.
    fn commit(&mut self, group: &[Request]) -> rusqlite::Result<Vec<Result<Done, Error>>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.database.for_writing()?),
        };
        let outcomes = transaction(connection, group)?;
        self.log.grown();
        Ok(outcomes)
    }

    /// Waits for a checkpoint when those beside the commits do not keep up.
    fn make_room(&self) {
        if self.log.was_too_long()
            && let Some(connection) = &self.connection
        {
            self.log.copy(connection);
        }
    }
}

/// Hands every caller its own outcome, or all of them the failure of the group.
fn answer(group: impl Iterator<Item = Request>, outcome: Result<Vec<Result<Done, Error>>, Error>) {
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
fn transaction(connection: &mut Connection, group: &[Request]) -> rusqlite::Result<Vec<Result<Done, Error>>> {
    let jobs = || group.iter().map(|request| &request.job);
    let whole = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(all_done) = apply::all(&whole, jobs())? {
        whole.commit()?;
        return Ok(all_done.into_iter().map(Ok).collect());
    }
    whole.rollback()?;
    let apart = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let outcomes = apply::each(&apart, jobs())?;
    apart.commit()?;
    Ok(outcomes)
}

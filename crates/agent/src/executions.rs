//! Every execution that is held, by its id and by its process.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sentinal_agent_protocol::v1;
use tonic::Status;

use crate::{
    contexts::Contexts,
    execution::{Execution, Watched, launch},
    heart::Heart,
    idle::Idle,
    limits,
    spawn::Spawner,
    sys::Reaped,
};

/// What the agent runs and holds. Used by one thread; nothing waits while it is locked.
pub(crate) struct Executions {
    spawner: Spawner,
    idle: Idle,
    heart: Heart,
    held: Mutex<Held>,
    contexts: Contexts,
}

#[derive(Default)]
struct Held {
    by_id: HashMap<String, Arc<Execution>>,
    /// Those whose process has not been reaped.
    by_pid: HashMap<i32, Arc<Execution>>,
}

impl Executions {
    pub(crate) fn new(spawner: Spawner, idle: Idle, heart: Heart) -> Self {
        Self { spawner, idle, heart, held: Mutex::default(), contexts: Contexts::default() }
    }

    /// Starts an execution, unless there is one of this id already.
    pub(crate) fn start(&self, request: v1::ExecuteRequest) -> Result<Arc<Execution>, Status> {
        let mut held = self.held();
        if let Some(execution) = held.by_id.get(&request.execution_id) {
            return Ok(Arc::clone(execution));
        }
        held.admit(&request.execution_id)?;
        let id = request.execution_id.clone();
        let watched = Watched::new(self.idle.begin(), self.heart.begin());
        if !request.context_id.is_empty() {
            let execution = self.contexts.find(&request.context_id)?.run(request, watched)?;
            held.by_id.insert(id, Arc::clone(&execution));
            return Ok(execution);
        }
        let execution = launch(&self.spawner, request, watched)?;
        if !execution.is_over() {
            held.by_pid.insert(execution.pid(), Arc::clone(&execution));
        }
        held.by_id.insert(id, Arc::clone(&execution));
        Ok(execution)
    }

    pub(crate) fn find(&self, id: &str) -> Result<Arc<Execution>, Status> {
        self.held().by_id.get(id).cloned().ok_or_else(|| Status::not_found("the agent holds no execution of this id"))
    }

    pub(crate) fn list(&self) -> Vec<v1::Execution> {
        self.held().by_id.iter().map(|(id, execution)| execution.describe(id)).collect()
    }

    /// Drops what is held of an ended execution. One that is not held has been forgotten before.
    pub(crate) fn forget(&self, id: &str) -> Result<(), Status> {
        match self.held().by_id.entry(id.to_owned()) {
            Entry::Occupied(entry) if !entry.get().has_ended() => {
                Err(Status::failed_precondition("the execution has not ended"))
            }
            Entry::Occupied(entry) => {
                entry.remove();
                Ok(())
            }
            Entry::Vacant(_) => Ok(()),
        }
    }

    /// A process has ended: an execution's, or an orphan's.
    pub(crate) fn reaped(&self, reaped: &Reaped) {
        if let Some(execution) = self.held().by_pid.remove(&reaped.pid) {
            execution.process_ended(reaped);
        } else {
            self.contexts.reaped(reaped);
        }
    }

    pub(crate) fn open_context(&self, request: v1::OpenContextRequest) -> Result<(), Status> {
        self.contexts.open(&self.spawner, request)
    }

    pub(crate) const fn contexts(&self) -> &Contexts {
        &self.contexts
    }

    /// The end of the sandbox.
    pub(crate) fn kill_all(&self) {
        if rustix::process::getpid().is_init() {
            // Everything but us; whatever is left goes when we do.
            let _ = rustix::process::kill_process_group(rustix::process::Pid::INIT, rustix::process::Signal::KILL);
        }
        self.contexts.kill_all();
        for execution in self.held().by_pid.values() {
            execution.kill();
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn admit(&self, id: &str) -> Result<(), Status> {
        if id.is_empty() || limits::EXECUTION_ID_BYTES_MAX < id.len() {
            let most = limits::EXECUTION_ID_BYTES_MAX;
            return Err(Status::invalid_argument(format!("execution_id must have between 1 and {most} bytes")));
        }
        if limits::EXECUTIONS_RUNNING_MAX <= self.by_pid.len() {
            let most = limits::EXECUTIONS_RUNNING_MAX;
            return Err(Status::resource_exhausted(format!("{most} executions run in this sandbox already")));
        }
        if limits::EXECUTIONS_HELD_MAX <= self.by_id.len() {
            let most = limits::EXECUTIONS_HELD_MAX;
            return Err(Status::resource_exhausted(format!("{most} executions are held and none was forgotten")));
        }
        Ok(())
    }
}

//! Every context whose program runs, by its id and by its process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sentinal_agent_protocol::v1;
use tonic::Status;

use crate::{execution::Kernel, limits, spawn::Spawner, sys::Reaped};

/// Used by one thread; nothing waits while it is locked.
#[derive(Default)]
pub(crate) struct Contexts(Mutex<HashMap<String, Arc<Kernel>>>);

impl Contexts {
    /// Starts one, unless there is one of this id already.
    pub(crate) fn open(&self, spawner: &Spawner, request: v1::OpenContextRequest) -> Result<(), Status> {
        let mut contexts = self.lock();
        let id = request.context_id.clone();
        if contexts.contains_key(&id) {
            return Ok(());
        }
        if id.is_empty() || limits::EXECUTION_ID_BYTES_MAX < id.len() {
            let most = limits::EXECUTION_ID_BYTES_MAX;
            return Err(Status::invalid_argument(format!("context_id must have between 1 and {most} bytes")));
        }
        if limits::CONTEXTS_MAX <= contexts.len() {
            let most = limits::CONTEXTS_MAX;
            return Err(Status::resource_exhausted(format!("{most} contexts are open in this sandbox; close one")));
        }
        contexts.insert(id, Kernel::open(spawner, request)?);
        Ok(())
    }

    pub(crate) fn find(&self, id: &str) -> Result<Arc<Kernel>, Status> {
        self.lock().get(id).cloned().ok_or_else(|| Status::not_found("there is no such context, or it has ended"))
    }

    pub(crate) fn list(&self) -> Vec<v1::Context> {
        let describe = |(id, kernel): (&String, &Arc<Kernel>)| v1::Context {
            context_id: id.clone(),
            language: kernel.language().to_owned(),
            executions: u32::try_from(kernel.pieces()).unwrap_or(u32::MAX),
        };
        self.lock().iter().map(describe).collect()
    }

    /// Ends one and all that it runs.
    pub(crate) fn close(&self, id: &str) {
        if let Some(kernel) = self.lock().get(id) {
            kernel.kill();
        }
    }

    /// A process has ended, perhaps a context's.
    pub(crate) fn reaped(&self, reaped: &Reaped) {
        self.lock().retain(|_, kernel| {
            let is_it = kernel.pid() == reaped.pid;
            if is_it {
                kernel.process_ended(reaped);
            }
            !is_it
        });
    }

    pub(crate) fn kill_all(&self) {
        self.lock().values().for_each(|kernel| kernel.kill());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Kernel>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

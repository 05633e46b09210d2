//! The protocol's calls, as the real agent answers them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt as _, stream, stream::BoxStream};
use sentinal_agent_protocol::{
    CHUNK_BYTES,
    v1::{self, agent_server::Agent},
};
use sentinal_model::{ExecutionId, SandboxId};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::execution::{Events, Execution};
use crate::{
    machine::{Instance, Machine},
    program::Program,
    sabotage::Sabotage,
    world::{World, lock},
};

type Reply<T> = Result<Response<T>, Status>;

/// The same for every connection of one agent.
#[derive(Clone)]
pub(crate) struct Service {
    world: Arc<World>,
    machine: Arc<Machine>,
    id: SandboxId,
    dead: CancellationToken,
    /// When it ends the sandbox by itself.
    ends_at: Arc<watch::Sender<Instant>>,
    executions: Arc<Mutex<BTreeMap<String, Arc<Execution>>>>,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Service {
    pub(crate) fn new(world: Arc<World>, machine: Arc<Machine>, (id, instance): (SandboxId, &Instance)) -> Self {
        let (dead, ends_at) = (instance.dead.clone(), Arc::new(watch::Sender::new(instance.ends_at)));
        Self { world, machine, id, dead, ends_at, executions: Arc::default(), files: Arc::default() }
    }

    /// Returns when the sandbox is to end, which may be put off or brought forward.
    pub(crate) async fn deadline(&self) {
        let mut ends_at = self.ends_at.subscribe();
        loop {
            let at = *ends_at.borrow_and_update();
            // Not an error: `self` holds the sender.
            if timeout_at(at, ends_at.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Any call may take its time, and takes as long as the instance stands still.
    async fn begin(&self, what: &str) {
        self.machine.moves(&self.id).await;
        self.world.tell(format_args!("agent: {what}"));
        if self.world.fails(self.world.plan.slow) {
            sleep(self.world.millis(self.world.plan.slow_ms.clone())).await;
        }
        if self.world.sabotaged(Sabotage::AgentHangs) {
            std::future::pending::<()>().await;
        }
    }

    fn find(&self, id: &str) -> Result<Arc<Execution>, Status> {
        lock(&self.executions).get(id).cloned().ok_or_else(|| Status::not_found("the agent holds no such execution"))
    }

    /// Starts an execution, unless there is one of this id already.
    fn start(&self, request: &v1::ExecuteRequest) -> Result<Arc<Execution>, Status> {
        if let Ok(known) = self.find(&request.execution_id) {
            return Ok(known);
        }
        let invalid = |_| Status::invalid_argument("not a program of this simulation");
        let program = Program::parse(&request.argv).map_err(invalid)?;
        let id: ExecutionId =
            request.execution_id.parse().map_err(|_| Status::invalid_argument("not the id of an execution"))?;
        self.machine.started(id);
        let execution = Arc::new(Execution::new(program, Arc::clone(&self.machine), self.id));
        lock(&self.executions).insert(request.execution_id.clone(), Arc::clone(&execution));
        let (machine, dead, running) = (Arc::clone(&self.machine), self.dead.clone(), Arc::clone(&execution));
        let limit = Duration::from_millis(request.timeout_ms);
        tokio::spawn(async move {
            if let Some((outcome, written)) = dead.run_until_cancelled(running.run(limit)).await {
                machine.ended(id, outcome, written);
            }
        });
        Ok(execution)
    }
}

#[tonic::async_trait]
impl Agent for Service {
    type ExecuteStream = Events;
    type AttachStream = Events;
    type ReadArchiveStream = BoxStream<'static, Result<v1::ReadFileResponse, Status>>;
    type WatchStream = BoxStream<'static, Result<v1::WatchResponse, Status>>;
    type ListFolderStream = BoxStream<'static, Result<v1::ListFolderResponse, Status>>;
    type ConnectStream = BoxStream<'static, Result<v1::ConnectResponse, Status>>;
    type ReadFileStream = BoxStream<'static, Result<v1::ReadFileResponse, Status>>;

    async fn execute(&self, request: Request<v1::ExecuteRequest>) -> Reply<Events> {
        let request = request.into_inner();
        self.begin("execute").await;
        let execution = self.start(&request)?;
        execution.hold().await;
        Ok(Response::new(execution.events([0, 0])))
    }

    async fn attach(&self, request: Request<v1::AttachRequest>) -> Reply<Events> {
        let request = request.into_inner();
        self.begin("attach").await;
        let execution = self.find(&request.execution_id)?;
        if self.world.sabotaged(Sabotage::AgentStartsTwice)
            && let Ok(id) = request.execution_id.parse()
        {
            self.machine.started(id);
        }
        Ok(Response::new(execution.events([request.stdout_offset, request.stderr_offset])))
    }

    async fn acknowledge(&self, request: Request<v1::AcknowledgeRequest>) -> Reply<v1::AcknowledgeResponse> {
        let request = request.into_inner();
        self.begin("acknowledge").await;
        self.find(&request.execution_id)?.acknowledge([request.stdout_offset, request.stderr_offset]);
        Ok(Response::new(v1::AcknowledgeResponse {}))
    }

    async fn stdin(&self, _request: Request<Streaming<v1::StdinRequest>>) -> Reply<v1::StdinResponse> {
        Err(Status::unimplemented("no program of this simulation reads"))
    }

    async fn signal(&self, request: Request<v1::SignalRequest>) -> Reply<v1::SignalResponse> {
        let request = request.into_inner();
        self.begin("signal").await;
        if self.find(&request.execution_id)?.kill(request.signal) {
            return Ok(Response::new(v1::SignalResponse {}));
        }
        Err(Status::failed_precondition("the process has ended"))
    }

    async fn resize(&self, _request: Request<v1::ResizeRequest>) -> Reply<v1::ResizeResponse> {
        Err(Status::unimplemented("no program of this simulation has a terminal"))
    }

    async fn open_context(&self, _request: Request<v1::OpenContextRequest>) -> Reply<v1::OpenContextResponse> {
        Err(Status::unimplemented("this simulation has no contexts"))
    }

    async fn list_contexts(&self, _request: Request<v1::ListContextsRequest>) -> Reply<v1::ListContextsResponse> {
        Ok(Response::new(v1::ListContextsResponse::default()))
    }

    async fn close_context(&self, _request: Request<v1::CloseContextRequest>) -> Reply<v1::CloseContextResponse> {
        Ok(Response::new(v1::CloseContextResponse {}))
    }

    async fn connect(&self, _request: Request<Streaming<v1::ConnectRequest>>) -> Reply<Self::ConnectStream> {
        Err(Status::unimplemented("no program of this simulation listens"))
    }

    async fn list(&self, _request: Request<v1::ListRequest>) -> Reply<v1::ListResponse> {
        self.begin("list").await;
        let executions = lock(&self.executions).iter().map(|(id, held)| held.describe(id.clone())).collect();
        Ok(Response::new(v1::ListResponse { executions }))
    }

    async fn forget(&self, request: Request<v1::ForgetRequest>) -> Reply<v1::ForgetResponse> {
        let id = request.into_inner().execution_id;
        self.begin("forget").await;
        if self.find(&id).is_ok_and(|execution| !execution.has_ended()) {
            return Err(Status::failed_precondition("the execution has not ended"));
        }
        lock(&self.executions).remove(&id);
        Ok(Response::new(v1::ForgetResponse {}))
    }

    async fn write_file(&self, request: Request<Streaming<v1::WriteFileRequest>>) -> Reply<v1::WriteFileResponse> {
        let mut messages = request.into_inner();
        self.begin("write a file").await;
        let (mut path, mut bytes) = (None, Vec::new());
        while let Some(message) = messages.message().await? {
            path = path.or_else(|| message.start.map(|start| start.path));
            bytes.extend_from_slice(&message.data);
            if message.end {
                let path = path.ok_or_else(|| Status::invalid_argument("a file without a path"))?;
                let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                lock(&self.files).insert(path, bytes);
                return Ok(Response::new(v1::WriteFileResponse { size, file_size: size }));
            }
        }
        Err(Status::aborted("the file was cut off"))
    }

    async fn read_file(&self, request: Request<v1::ReadFileRequest>) -> Reply<Self::ReadFileStream> {
        let path = request.into_inner().path;
        self.begin("read a file").await;
        let bytes = lock(&self.files).get(&path).cloned().ok_or_else(|| Status::not_found("there is no such file"))?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let chunk = |data: &[u8]| {
            Ok(v1::ReadFileResponse { size, data: data.to_vec().into(), ..v1::ReadFileResponse::default() })
        };
        let chunks: Vec<_> = bytes.chunks(CHUNK_BYTES).map(chunk).collect();
        let last = Ok(v1::ReadFileResponse { size, end: true, ..v1::ReadFileResponse::default() });
        Ok(Response::new(stream::iter(chunks.into_iter().chain([last])).boxed()))
    }

    async fn append_file(&self, _request: Request<Streaming<v1::WriteFileRequest>>) -> Reply<v1::WriteFileResponse> {
        Err(not_simulated())
    }

    async fn stat(&self, _request: Request<v1::StatRequest>) -> Reply<v1::StatResponse> {
        Err(not_simulated())
    }

    async fn list_folder(&self, _request: Request<v1::ListFolderRequest>) -> Reply<Self::ListFolderStream> {
        Err(not_simulated())
    }

    async fn make_folder(&self, _request: Request<v1::MakeFolderRequest>) -> Reply<v1::MakeFolderResponse> {
        Err(not_simulated())
    }

    async fn r#move(&self, _request: Request<v1::MoveRequest>) -> Reply<v1::MoveResponse> {
        Err(not_simulated())
    }

    async fn remove(&self, _request: Request<v1::RemoveRequest>) -> Reply<v1::RemoveResponse> {
        Err(not_simulated())
    }

    async fn read_archive(&self, _request: Request<v1::ReadArchiveRequest>) -> Reply<Self::ReadArchiveStream> {
        Err(not_simulated())
    }

    async fn write_archive(
        &self,
        _request: Request<Streaming<v1::WriteFileRequest>>,
    ) -> Reply<v1::WriteArchiveResponse> {
        Err(not_simulated())
    }

    async fn watch(&self, _request: Request<v1::WatchRequest>) -> Reply<Self::WatchStream> {
        Err(not_simulated())
    }

    async fn set_idle(&self, _request: Request<v1::SetIdleRequest>) -> Reply<v1::SetIdleResponse> {
        // The node is the one who looks after that here.
        Ok(Response::new(v1::SetIdleResponse {}))
    }

    async fn set_deadline(&self, request: Request<v1::SetDeadlineRequest>) -> Reply<v1::SetDeadlineResponse> {
        self.begin("take a deadline").await;
        self.ends_at.send_replace(Instant::now() + Duration::from_millis(request.into_inner().remaining_ms));
        Ok(Response::new(v1::SetDeadlineResponse {}))
    }
}

/// What changes nothing that the controller keeps.
fn not_simulated() -> Status {
    Status::unimplemented("files are written whole and read whole here")
}

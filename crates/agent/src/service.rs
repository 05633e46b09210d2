//! What `proto/agent.proto` promises, call by call. Each is a few lines: the work is done elsewhere.

use std::{sync::Arc, time::Duration};

use sentinal_agent_protocol::v1::{self, agent_server::Agent};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    deadline::Deadline,
    execution::Follower,
    executions::Executions,
    files::{self, Outgoing, Transfers, Watching},
    idle::Idle,
    limits,
    port::{self, Connected, Ports},
    user::{User, Users},
};

/// The same for every connection.
#[derive(Clone)]
pub(crate) struct Service {
    executions: Arc<Executions>,
    users: Arc<Users>,
    deadline: Arc<Deadline>,
    idle: Idle,
    transfers: Transfers,
    watches: Transfers,
    ports: Ports,
}

impl Service {
    pub(crate) fn new(executions: Arc<Executions>, users: Arc<Users>, deadline: Arc<Deadline>, idle: Idle) -> Self {
        let transfers = Transfers::new(idle.clone(), limits::TRANSFERS_MAX);
        let watches = Transfers::new(idle.clone(), limits::WATCHES_MAX);
        Self { executions, users, deadline, idle, transfers, watches, ports: Ports::default() }
    }

    fn user(&self, asked: Option<&v1::User>) -> Result<User, Status> {
        self.users.find(asked.map_or("", |user| &user.name))
    }
}

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Agent for Service {
    type ExecuteStream = Follower;
    type AttachStream = Follower;
    type ReadFileStream = Outgoing<v1::ReadFileResponse>;
    type ReadArchiveStream = Outgoing<v1::ReadFileResponse>;
    type WatchStream = Watching;
    type ListFolderStream = Outgoing<v1::ListFolderResponse>;
    type ConnectStream = Connected;

    async fn execute(&self, request: Request<v1::ExecuteRequest>) -> Reply<Follower> {
        let execution = self.executions.start(request.into_inner())?;
        let follower = Follower::new(execution, 0, 0)?;
        follower.hold().await;
        Ok(Response::new(follower))
    }

    async fn attach(&self, request: Request<v1::AttachRequest>) -> Reply<Follower> {
        let request = request.into_inner();
        let execution = self.executions.find(&request.execution_id)?;
        Ok(Response::new(Follower::new(execution, request.stdout_offset, request.stderr_offset)?))
    }

    async fn acknowledge(&self, request: Request<v1::AcknowledgeRequest>) -> Reply<v1::AcknowledgeResponse> {
        let request = request.into_inner();
        let execution = self.executions.find(&request.execution_id)?;
        execution.acknowledge(request.stdout_offset, request.stderr_offset);
        Ok(Response::new(v1::AcknowledgeResponse {}))
    }

    async fn stdin(&self, request: Request<Streaming<v1::StdinRequest>>) -> Reply<v1::StdinResponse> {
        let mut chunks = request.into_inner();
        let mut next = chunks.message().await?;
        let id = next.as_ref().map_or("", |first| &first.execution_id);
        let execution = self.executions.find(id)?;
        while let Some(chunk) = next {
            if chunk.append {
                execution.feed_on(&chunk.data).await?;
            } else {
                execution.feed(chunk.offset, &chunk.data).await?;
            }
            if chunk.end {
                execution.end_stdin();
                break;
            }
            next = chunks.message().await?;
        }
        Ok(Response::new(v1::StdinResponse { offset: execution.stdin_given().await }))
    }

    async fn signal(&self, request: Request<v1::SignalRequest>) -> Reply<v1::SignalResponse> {
        let request = request.into_inner();
        self.executions.find(&request.execution_id)?.signal(request.signal)?;
        Ok(Response::new(v1::SignalResponse {}))
    }

    async fn resize(&self, request: Request<v1::ResizeRequest>) -> Reply<v1::ResizeResponse> {
        let request = request.into_inner();
        self.executions.find(&request.execution_id)?.resize(request.size.unwrap_or_default())?;
        Ok(Response::new(v1::ResizeResponse {}))
    }

    async fn open_context(&self, request: Request<v1::OpenContextRequest>) -> Reply<v1::OpenContextResponse> {
        self.executions.open_context(request.into_inner())?;
        Ok(Response::new(v1::OpenContextResponse {}))
    }

    async fn list_contexts(&self, _request: Request<v1::ListContextsRequest>) -> Reply<v1::ListContextsResponse> {
        Ok(Response::new(v1::ListContextsResponse { contexts: self.executions.contexts().list() }))
    }

    async fn close_context(&self, request: Request<v1::CloseContextRequest>) -> Reply<v1::CloseContextResponse> {
        self.executions.contexts().close(&request.into_inner().context_id);
        Ok(Response::new(v1::CloseContextResponse {}))
    }

    async fn list(&self, _request: Request<v1::ListRequest>) -> Reply<v1::ListResponse> {
        Ok(Response::new(v1::ListResponse { executions: self.executions.list() }))
    }

    async fn forget(&self, request: Request<v1::ForgetRequest>) -> Reply<v1::ForgetResponse> {
        self.executions.forget(&request.into_inner().execution_id)?;
        Ok(Response::new(v1::ForgetResponse {}))
    }

    async fn write_file(&self, request: Request<Streaming<v1::WriteFileRequest>>) -> Reply<v1::WriteFileResponse> {
        Ok(Response::new(files::upload(&self.transfers, &self.users, request.into_inner()).await?))
    }

    async fn append_file(&self, request: Request<Streaming<v1::WriteFileRequest>>) -> Reply<v1::WriteFileResponse> {
        Ok(Response::new(files::append(&self.transfers, &self.users, request.into_inner()).await?))
    }

    async fn read_file(&self, request: Request<v1::ReadFileRequest>) -> Reply<Self::ReadFileStream> {
        let request = request.into_inner();
        let user = self.user(request.user.as_ref())?;
        Ok(Response::new(files::download(&self.transfers, user, request).await?))
    }

    async fn stat(&self, request: Request<v1::StatRequest>) -> Reply<v1::StatResponse> {
        let request = request.into_inner();
        let user = self.user(request.user.as_ref())?;
        Ok(Response::new(files::stat(&self.transfers, user, self.users.names(), request).await?))
    }

    async fn list_folder(&self, request: Request<v1::ListFolderRequest>) -> Reply<Self::ListFolderStream> {
        let request = request.into_inner();
        let user = self.user(request.user.as_ref())?;
        Ok(Response::new(files::list(&self.transfers, user, self.users.names(), request).await?))
    }

    async fn make_folder(&self, request: Request<v1::MakeFolderRequest>) -> Reply<v1::MakeFolderResponse> {
        let request = request.into_inner();
        let user = self.user(request.user.as_ref())?;
        Ok(Response::new(files::make_folder(&self.transfers, user, self.users.names(), request).await?))
    }

    async fn r#move(&self, request: Request<v1::MoveRequest>) -> Reply<v1::MoveResponse> {
        let request = request.into_inner();
        let user = self.user(request.user.as_ref())?;
        Ok(Response::new(files::rename(&self.transfers, user, self.users.names(), request).await?))
    }

    async fn remove(&self, request: Request<v1::RemoveRequest>) -> Reply<v1::RemoveResponse> {
        let request = request.into_inner();
        let user = self.user(request.user.as_ref())?;
        Ok(Response::new(files::remove(&self.transfers, user, request).await?))
    }

    async fn read_archive(&self, request: Request<v1::ReadArchiveRequest>) -> Reply<Self::ReadArchiveStream> {
        let request = request.into_inner();
        let user = self.user(request.user.as_ref())?;
        Ok(Response::new(files::pack(&self.transfers, user, request).await?))
    }

    async fn write_archive(
        &self,
        request: Request<Streaming<v1::WriteFileRequest>>,
    ) -> Reply<v1::WriteArchiveResponse> {
        Ok(Response::new(files::unpack(&self.transfers, &self.users, request.into_inner()).await?))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Reply<Watching> {
        let request = request.into_inner();
        let user = self.user(request.user.as_ref())?;
        Ok(Response::new(files::watch(&self.watches, user, request).await?))
    }

    async fn connect(&self, request: Request<Streaming<v1::ConnectRequest>>) -> Reply<Connected> {
        Ok(Response::new(port::connect(&self.ports, &self.idle, request.into_inner()).await?))
    }

    async fn set_deadline(&self, request: Request<v1::SetDeadlineRequest>) -> Reply<v1::SetDeadlineResponse> {
        self.deadline.set(Duration::from_millis(request.into_inner().remaining_ms));
        Ok(Response::new(v1::SetDeadlineResponse {}))
    }

    async fn set_idle(&self, request: Request<v1::SetIdleRequest>) -> Reply<v1::SetIdleResponse> {
        let idle_ms = request.into_inner().idle_ms;
        self.idle.set((idle_ms != 0).then(|| Duration::from_millis(idle_ms)));
        Ok(Response::new(v1::SetIdleResponse {}))
    }
}

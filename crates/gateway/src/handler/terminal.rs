//! Terminals: bytes both ways over a WebSocket, and what is said beside them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{State, ws::Message},
    response::Response,
};
use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use sentinal_api::{Execution, Terminal, TerminalNotice, TerminalQuery, TerminalRequest, parse_json};
use sentinal_auth::{ControlExecution, Execute, Permit, ReadExecution};
use sentinal_controller::{NewExecution, OutputEvent};
use sentinal_model::{Code, Command, Error, ExecutionId, Result, SandboxId, TerminalSize, limits};
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    App, Offsets,
    answer::Reply,
    openapi::Problems,
    present,
    request::{Allowed, Asked, Authenticated, Id, Upgrade, Valid},
    socket::{Received, Room},
};

/// What is to be said beside the bytes and was not said yet.
const NOTICES_MAX: usize = 4;

/// Open a terminal
///
/// A WebSocket. Binary messages are the terminal's bytes, both ways; text messages are JSON: the client sends
/// `{"type":"resize","cols":132,"rows":50}`, the server `attached` first, `exited` with the execution last, `gap` where
/// bytes are missing, and `error` for what it did not do. Without `execution_id` a program is started on a new terminal,
/// a login shell unless told. It goes on when the connection breaks: with `execution_id` and the `offset` after the last
/// byte that was seen a client is attached again, as are others; left by everybody it is hung up after ten minutes.
/// Where no header can be sent the key goes into the subprotocols, `sentinal.v1, sentinal.key.KEY`.
#[utoipa::path(get, operation_id = "openTerminal", path = "/api/v1/sandbox/{id}/terminal", tag = "execution",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("execution_id" = Option<String>, Query, description = "Attaches to the terminal of this execution"),
        ("offset" = Option<u64>, Query, description = "With it: of the first byte wanted; the beginning unless told"),
        ("command" = Option<String>, Query, description = "A line for `/bin/sh -c`; a login shell unless told"),
        ("cwd" = Option<String>, Query, description = "Where it starts; the user's home unless told"),
        ("user" = Option<String>, Query, description = "As whom; the ordinary user (uid 1000) unless told"),
        ("cols" = Option<u32>, Query, description = "Characters in a row; 80 unless told"),
        ("rows" = Option<u32>, Query, description = "Rows; 24 unless told"),
        ("timeout" = Option<f64>, Query, description = "Seconds it may run; 86,400 unless told")),
    responses((status = 101, description = "A WebSocket, of these messages", body = TerminalNotice, content_type = "application/json"), Problems))]
pub(crate) async fn open(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Id(id): Id<SandboxId>,
    Asked(query): Asked<TerminalQuery>,
    upgrade: Upgrade,
) -> Reply<Response> {
    let (control, read) =
        (app.policy.permit::<ControlExecution>(&caller)?, app.policy.permit::<ReadExecution>(&caller)?);
    let room = Room::find(&app, upgrade)?;
    let (execution, offset) = match query {
        TerminalQuery::Attach { execution, offset } => (execution, offset),
        TerminalQuery::Start(command) => (start(&app, &app.policy.permit(&caller)?, id, *command).await?, 0),
    };
    let attached = app.controller.attach(&control, id, execution).await?;
    let output = app.controller.follow(&read, execution, Offsets { stdout: offset, stderr: 0 }).await?;
    let (notices, notices_to_send) = mpsc::channel(NOTICES_MAX);
    let outgoing = screen(execution, offset, output, ReceiverStream::new(notices_to_send).boxed());
    Ok(room.open(outgoing, move |received| {
        let received = Mutex::new(received);
        let keyboard = Arc::new(Keyboard { app, permit: control, execution, notices, received });
        async move {
            keyboard.serve().await;
            drop(attached);
        }
    }))
}

async fn start(app: &App, permit: &Permit<Execute>, id: SandboxId, command: Command) -> Result<ExecutionId> {
    let new = NewExecution { command, wait: limits::WAIT_DEFAULT, once: None };
    app.controller.execute(permit, id, new).await.map(|execution| execution.id)
}

/// What the client sees: until the program has ended.
fn screen(
    execution: ExecutionId,
    offset: u64,
    output: BoxStream<'static, Result<OutputEvent>>,
    notices: BoxStream<'static, Message>,
) -> BoxStream<'static, Message> {
    let first = notice(&TerminalNotice::Attached { execution_id: execution.to_string(), offset });
    let mut expected = offset;
    let shown = output.flat_map(move |event| stream::iter(messages(event, &mut expected).into_iter().map(Some)));
    // The end of the output is the end of all.
    let shown = shown.chain(stream::iter([None]));
    let all = stream::select(shown, notices.map(Some)).take_while(|message| std::future::ready(message.is_some()));
    stream::iter([first]).chain(all.filter_map(std::future::ready)).boxed()
}

fn messages(event: Result<OutputEvent>, expected: &mut u64) -> Vec<Message> {
    match event {
        Ok(OutputEvent::Output { offset, data, .. }) => {
            let gap = (offset != *expected).then(|| notice(&TerminalNotice::Gap { offset }));
            *expected = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            gap.into_iter().chain([Message::Binary(data)]).collect()
        }
        Ok(OutputEvent::Finished(record)) => {
            vec![notice(&TerminalNotice::Exited { execution: Box::new(present::execution(&record)) })]
        }
        Err(error) => vec![failed(&error)],
    }
}

fn failed(error: &Error) -> Message {
    if error.code() == Code::Internal {
        tracing::error!(detail = error.detail(), "terminal broke off");
    }
    notice(&TerminalNotice::Error { code: error.code().as_str().to_owned(), detail: error.message().to_owned() })
}

fn notice(notice: &TerminalNotice) -> Message {
    Message::Text(serde_json::to_string(notice).unwrap_or_default().into())
}

/// What the client types, and what it says beside that.
struct Keyboard {
    app: App,
    permit: Permit<ControlExecution>,
    execution: ExecutionId,
    notices: mpsc::Sender<Message>,
    received: Mutex<mpsc::Receiver<Received>>,
}

impl Keyboard {
    /// Whatever stands in the way is told, and may pass: what is typed next is tried again.
    async fn serve(self: Arc<Self>) {
        while let Err(error) = self.type_on().await {
            self.say(failed(&error));
        }
    }

    /// Types until the client has left. One that only looks on costs the sandbox's agent nothing.
    async fn type_on(self: &Arc<Self>) -> Result<()> {
        let Some(first) = self.next().await else { return Ok(()) };
        let more = stream::unfold(Arc::clone(self), |own| async move { Some((Ok(own.next().await?), own)) });
        let bytes = stream::iter([Ok(first)]).chain(more);
        self.app.controller.type_into(&self.permit, self.execution, bytes.boxed()).await
    }

    async fn next(&self) -> Option<Bytes> {
        loop {
            let received = self.received.lock().await.recv().await?;
            match received {
                Received::Bytes(bytes) => return Some(bytes),
                Received::Text(text) => self.obey(text.as_bytes()).await,
            }
        }
    }

    async fn obey(&self, text: &[u8]) {
        let asked = parse_json(text).map(|TerminalRequest::Resize { cols, rows }| Terminal { cols, rows });
        let done = match asked.and_then(TerminalSize::try_from) {
            Ok(size) => self.app.controller.resize(&self.permit, self.execution, size).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.say(failed(&error));
        }
    }

    fn say(&self, message: Message) {
        // A client that reads so little has enough to read.
        let _ = self.notices.try_send(message);
    }
}

/// Resize a terminal
///
/// Its program is told by `SIGWINCH`. `conflict` if the execution has no terminal, or has ended.
#[utoipa::path(post, operation_id = "resizeTerminal", path = "/api/v1/execution/{id}/resize", tag = "execution",
    params(("id" = String, Path, description = "The execution's id")), request_body = Terminal,
    responses((status = 200, description = "Done; the execution as it was then", body = Execution), Problems))]
pub(crate) async fn resize(
    State(app): State<App>,
    Allowed(permit): Allowed<ControlExecution>,
    Allowed(read): Allowed<ReadExecution>,
    Id(id): Id<ExecutionId>,
    Valid(size): Valid<Terminal>,
) -> Reply<Json<Execution>> {
    app.controller.resize(&permit, id, size.try_into()?).await?;
    let record = app.controller.execution(&read, id).await?;
    Ok(Json(present::execution(&record)))
}

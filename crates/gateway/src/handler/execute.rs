//! Running programs: wait for the result, follow it as events, or neither.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode};
use sentinal_api::{self as v1, ExecutionStarted, ParsedExecute, Target};
use sentinal_auth::{CreateSandbox, Execute, Permit, ReadExecution};
use sentinal_controller::{Execution, NewExecution, OutputEvent};
use sentinal_model::{Error, Once, Result, Stream};

use super::execution::{with_output, with_results};
use crate::{
    App, Offsets,
    answer::{Reply, RequestId},
    openapi::{IdempotencyKey, Problems, ServerSentEvent},
    present,
    request::{Authenticated, Format, Keyed, format_wanted, replayed},
    stream::{Carry, Event, event_response},
};

/// Run a program
///
/// Without `sandbox_id` this is the whole workflow in one call: create, run, collect, destroy. The answer comes when
/// the program has ended; with `Accept: text/event-stream` its output comes as it is written (events `execution`,
/// `stdout`, `stderr`, `result`); with `background` the answer comes at once. A program's own failure is a result.
#[utoipa::path(post, operation_id = "execute", path = "/api/v1/execute", tag = "execution", params(IdempotencyKey),
    request_body = v1::Execute,
    responses(
        (status = 200, description = "It has ended", content((v1::Execution = "application/json"), (ServerSentEvent = "text/event-stream"))),
        (status = 202, description = "It was started in the background", body = v1::Execution),
        Problems))]
pub(crate) async fn execute(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Keyed { body, once }: Keyed<v1::Execute>,
) -> Reply<Response> {
    let (permit, read) = (app.policy.permit::<Execute>(&caller)?, app.policy.permit::<ReadExecution>(&caller)?);
    let create = app.policy.permit::<CreateSandbox>(&caller);
    let parsed = ParsedExecute::try_from(body)?;
    let answer = Answer::of(&parsed, &headers)?;
    let execution = start(&app, &permit, create, (parsed, once)).await?;
    let replayed = replayed(execution.is_replay);
    let answer = match answer {
        Answer::AtOnce => at_once(&app, &read, &execution).await?,
        Answer::Events => follow(&app, &read, execution, request_id).await?,
        Answer::AtTheEnd => at_the_end(&app, &read, &execution).await?,
    };
    Ok((replayed, answer).into_response())
}

/// When and how the caller is answered.
enum Answer {
    AtOnce,
    Events,
    AtTheEnd,
}

impl Answer {
    fn of(parsed: &ParsedExecute, headers: &HeaderMap) -> Result<Self> {
        match (parsed.background, format_wanted(headers)) {
            (true, Format::Json) => Ok(Self::AtOnce),
            (false, Format::Events) => Ok(Self::Events),
            (false, Format::Json) => Ok(Self::AtTheEnd),
            (true, Format::Events) => {
                Err(Error::invalid("background: excludes Accept: text/event-stream; leave one of them out"))
            }
        }
    }
}

async fn start(
    app: &App,
    permit: &Permit<Execute>,
    create: Result<Permit<CreateSandbox>>,
    (parsed, once): (ParsedExecute, Option<Once>),
) -> Result<Execution> {
    let new = NewExecution { command: parsed.command, wait: parsed.wait, once };
    match parsed.target {
        Target::Sandbox(id) => app.controller.execute(permit, id, new).await,
        Target::OneShot(spec) => app.controller.execute_once(permit, &create?, *spec, new).await,
    }
}

async fn at_once(app: &App, read: &Permit<ReadExecution>, execution: &Execution) -> Reply<Response> {
    let record = app.controller.execution(read, execution.id).await?;
    Ok((StatusCode::ACCEPTED, Json(present::execution(&record))).into_response())
}

async fn at_the_end(app: &App, read: &Permit<ReadExecution>, execution: &Execution) -> Reply<Response> {
    let record = app.controller.finished(read, execution.id).await?;
    Ok(Json(with_output(app, read, record).await?).into_response())
}

async fn follow(
    app: &App,
    read: &Permit<ReadExecution>,
    execution: Execution,
    request_id: RequestId,
) -> Reply<Response> {
    let output = app.controller.follow(read, execution.id, Offsets::default()).await?;
    let started = ExecutionStarted { id: execution.id.to_string(), sandbox_id: execution.sandbox.to_string() };
    let first = stream::iter([Ok(Event::new("execution", &started))]);
    let mut carries = Carries::default();
    let rest = output.flat_map(move |event| stream::iter(carries.events(event)));
    Ok(event_response(app, first.chain(rest).boxed(), request_id))
}

/// What is held of both streams.
#[derive(Default)]
struct Carries {
    stdout: Carry,
    stderr: Carry,
}

impl Carries {
    fn events(&mut self, event: Result<OutputEvent>) -> Vec<Result<Event>> {
        match event {
            Err(error) => vec![Err(error)],
            Ok(OutputEvent::Output { stream, offset, data }) => {
                let carry = match stream {
                    Stream::Stdout => &mut self.stdout,
                    Stream::Stderr => &mut self.stderr,
                };
                carry.push(offset, &data).into_iter().map(|chunk| Ok(Event::new(stream.as_str(), &chunk))).collect()
            }
            Ok(OutputEvent::Finished(record)) => {
                let held = [("stdout", self.stdout.flush()), ("stderr", self.stderr.flush())];
                let held = held.into_iter().filter_map(|(name, chunk)| Some(Ok(Event::new(name, &chunk?))));
                held.chain([Ok(Event::new("result", &with_results(&record)))]).collect()
            }
        }
    }
}

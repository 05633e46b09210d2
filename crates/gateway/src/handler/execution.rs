//! Executions: list and read.

use axum::{Json, extract::State};
use bytes::Bytes;
use sentinal_api::{Execution, ExecutionsQuery, Inline, List, WaitQuery};
use sentinal_auth::{Permit, ReadExecution};
use sentinal_controller::{ExecutionRecord, ExecutionState, Output, OutputPart, OutputPlace, Page};
use sentinal_model::{ExecutionId, Result, Stream};
use sentinal_telemetry::Limit;
use tokio::time::timeout;

use crate::{
    App,
    answer::Reply,
    openapi::Problems,
    present,
    request::{Allowed, Asked, Id},
};

/// List executions
///
/// Newest first, without their output.
#[utoipa::path(get, operation_id = "listExecutions", path = "/api/v1/execution", tag = "execution",
    params(("sandbox_id" = Option<String>, Query, description = "Of this sandbox only"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000; 100 unless told"),
        ("cursor" = Option<String>, Query, description = "What `next` of the page before said")),
    responses((status = 200, description = "A page", body = List<Execution>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadExecution>,
    Asked(query): Asked<ExecutionsQuery<ExecutionId>>,
) -> Reply<Json<List<Execution>>> {
    let page = Page { after: query.page.cursor, rows_max: query.page.limit + 1 };
    let records = app.controller.executions(&permit, query.sandbox, page).await?;
    let show = |record| present::execution(&record);
    Ok(Json(List::page(records, query.page.limit, |record| record.id.to_string(), show)))
}

/// Read an execution
///
/// With the beginning of its output, as far as it is there. With `wait`, the answer comes when it has ended, or after so
/// many seconds as it is then.
#[utoipa::path(get, operation_id = "readExecution", path = "/api/v1/execution/{id}", tag = "execution",
    params(("id" = String, Path, description = "The execution's id"),
        ("wait" = Option<f64>, Query, description = "Seconds to wait for its end, at most 120; 0 unless told")),
    responses((status = 200, description = "As it is", body = Execution), Problems))]
pub(crate) async fn read(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadExecution>,
    Id(id): Id<ExecutionId>,
    Asked(WaitQuery { wait }): Asked<WaitQuery>,
) -> Reply<Json<Execution>> {
    let finished = timeout(wait, app.controller.finished(&permit, id)).await;
    let record = match finished {
        Ok(record) => record?,
        Err(_) => app.controller.execution(&permit, id).await?,
    };
    Ok(Json(with_output(&app, &permit, record).await?))
}

/// An execution with the beginning of both streams.
pub(super) async fn with_output(
    app: &App,
    permit: &Permit<ReadExecution>,
    mut record: ExecutionRecord,
) -> Result<Execution> {
    let (stdout, stderr) = match &mut record.state {
        ExecutionState::Running => (None, None),
        ExecutionState::Finished { stdout, stderr, .. } => (Some(std::mem::take(stdout)), Some(std::mem::take(stderr))),
    };
    let stdout = inline(app, permit, &record, (Stream::Stdout, stdout)).await?;
    let stderr = inline(app, permit, &record, (Stream::Stderr, stderr)).await?;
    if stdout.truncated || stderr.truncated {
        app.metrics.limit_reached(Limit::OutputInline);
    }
    Ok(with_results(&record).with_output(stdout, stderr))
}

/// An execution with what it made beside its output.
pub(super) fn with_results(record: &ExecutionRecord) -> Execution {
    let execution = present::execution(record);
    match &record.state {
        ExecutionState::Finished { results, .. } if record.command.context.is_some() => {
            execution.with_results(&results.items, results.is_truncated)
        }
        ExecutionState::Finished { .. } | ExecutionState::Running => execution,
    }
}

async fn inline(
    app: &App,
    permit: &Permit<ReadExecution>,
    record: &ExecutionRecord,
    (stream, output): (Stream, Option<Output>),
) -> Result<Inline> {
    let bytes_max = app.limits.output_inline_bytes;
    let bytes_total = output.as_ref().map(|output| output.bytes_total);
    let mut first = match output.map(|output| output.place) {
        Some(OutputPlace::Row(bytes)) => bytes,
        Some(OutputPlace::File) | None => {
            let part = OutputPart { stream, offset: 0, bytes_max: bytes_max + 1 };
            app.controller.output(permit, record.id, part).await.map(Bytes::into)?
        }
    };
    let bytes_total = bytes_total.unwrap_or_else(|| u64::try_from(first.len()).unwrap_or(u64::MAX));
    first.truncate(usize::try_from(bytes_max).unwrap_or(usize::MAX));
    Ok(Inline::new(first, bytes_total))
}

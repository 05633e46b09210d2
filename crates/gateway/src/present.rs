//! Records of the controller in the words of the API.

mod image;
mod key;
mod usage;
mod webhook;

pub(crate) use image::{image, image_details, image_job, removed_images};
pub(crate) use key::key;
use sentinal_api as v1;
use sentinal_controller::{
    EngineStatus, EventRecord, ExecutionRecord, ExecutionState, HostUsage, LogEntry, SandboxRecord,
};
use sentinal_model::{EngineChoice, Isolation, Phase};
pub(crate) use usage::{quota, usage};
pub(crate) use webhook::{created_webhook, delivery, webhook, webhook_test};

/// A sandbox as callers see it.
pub(crate) fn sandbox(record: SandboxRecord) -> v1::Sandbox {
    let asked_for = match record.spec.engine {
        EngineChoice::Named(engine) => Some(engine),
        EngineChoice::Auto => None,
    };
    let engine = record.engine.or(asked_for);
    let isolation: Option<Isolation> = engine.map(sentinal_model::EngineName::isolation);
    let outcome = match &record.phase {
        Phase::Finished(end) => Some(end.as_str().to_owned()),
        Phase::Pending | Phase::Booting(_) | Phase::Running(_) | Phase::Paused(_) | Phase::Stopping(..) => None,
    };
    v1::Sandbox {
        id: record.id.to_string(),
        state: record.phase.state().to_string(),
        engine: engine.map(|engine| engine.to_string()),
        isolation: isolation.map(|tier| tier.to_string()),
        engine_reason: non_empty(record.engine_reason),
        cpu: record.spec.cpu.cores(),
        memory: record.spec.memory.to_string(),
        disk: record.spec.disk.to_string(),
        image: record.spec.image.to_string(),
        labels: record.spec.labels.as_map().clone(),
        created_at: v1::time_text(record.created_at),
        expires_at: v1::time_text(record.expires_at),
        idle_timeout: record.spec.idle_timeout.map(|idle| idle.as_secs_f64()),
        finished_at: record.finished_at.map(v1::time_text),
        outcome,
        message: non_empty(record.message),
    }
}

/// An engine as callers see it.
pub(crate) fn engine(status: EngineStatus) -> v1::Engine {
    let (version, reason) = match status.usable {
        Ok(version) => (Some(version), None),
        Err(reason) => (None, Some(reason)),
    };
    v1::Engine {
        name: status.name.to_string(),
        isolation: status.name.isolation().to_string(),
        allowed: status.allowed,
        available: version.is_some(),
        version,
        reason,
    }
}

/// An execution as callers see it, without its output.
pub(crate) fn execution(record: &ExecutionRecord) -> v1::Execution {
    let (ended, finished_at) = match &record.state {
        ExecutionState::Running => (None, None),
        ExecutionState::Finished { ended, finished_at, .. } => (Some(ended), Some(*finished_at)),
    };
    v1::Execution {
        id: record.id.to_string(),
        sandbox_id: record.sandbox.to_string(),
        state: if ended.is_some() { "finished" } else { "running" }.to_owned(),
        context_id: record.command.context.map(|id| id.to_string()),
        terminal: record.command.terminal.map(Into::into),
        outcome: ended.map(|ended| ended.outcome.as_str().to_owned()),
        exit_code: ended.and_then(|ended| ended.outcome.exit_code()),
        signal: ended.and_then(|ended| ended.outcome.signal()),
        stdout: None,
        stderr: None,
        stdout_encoding: None,
        stderr_encoding: None,
        results: None,
        results_truncated: None,
        stdout_truncated: None,
        stderr_truncated: None,
        duration_ms: ended.map(|ended| millis(ended.duration_us)),
        usage: ended.map(|ended| v1::Usage {
            cpu_ms: millis(ended.usage.cpu_us),
            memory_peak_bytes: ended.usage.memory_peak_bytes,
        }),
        created_at: v1::time_text(record.created_at),
        finished_at: finished_at.map(v1::time_text),
    }
}

/// A line of a log as callers see it.
pub(crate) fn event(record: EventRecord) -> v1::EventItem {
    let event = record.event;
    v1::EventItem {
        cursor: record.cursor.to_string(),
        time: v1::time_text(event.at),
        name: v1::event_type(&event.name),
        kind: event.kind,
        sandbox_id: event.sandbox.map(|id| id.to_string()),
        execution_id: event.execution.map(|id| id.to_string()),
        message: event.message,
    }
}

/// An event as callers read it, and as it is sent to webhooks.
pub fn event_document(record: EventRecord) -> Vec<u8> {
    // Strings are always JSON.
    serde_json::to_vec(&event(record)).unwrap_or_default()
}

pub(crate) fn stats(record: &SandboxRecord, usage: HostUsage) -> v1::SandboxStats {
    v1::SandboxStats {
        cpu_ms: millis(usage.cpu_us),
        memory_bytes: usage.memory_bytes,
        memory_peak_bytes: usage.memory_peak_bytes,
        memory_limit_bytes: record.spec.memory.bytes(),
        disk_bytes: usage.disk_bytes,
        disk_limit_bytes: record.spec.disk.bytes(),
        processes: usage.processes,
        oom_kills: usage.oom_kills,
    }
}

pub(crate) fn log_item(entry: LogEntry) -> v1::LogItem {
    v1::LogItem {
        time: v1::time_text(entry.time),
        kind: entry.kind,
        sandbox_id: entry.sandbox.map(|id| id.to_string()),
        execution_id: entry.execution.map(|id| id.to_string()),
        stream: entry.stream.map(|stream| stream.as_str().to_owned()),
        message: entry.message,
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
fn millis(us: u64) -> f64 {
    us as f64 / 1000.0
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

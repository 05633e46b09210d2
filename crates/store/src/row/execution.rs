//! The table `execution`.

use std::time::Duration;

use rusqlite::Row;
use sentinal_model::{
    Command, Ended, ExecutionOutcome, GuestPath, Millis, Results, TenantId, TerminalSize, Usage, UsageSum,
};
use serde::{Deserialize, Serialize};

use super::{CorruptRow, Reader, UsageKey, micros, stored};
use crate::{ExecutionRecord, ExecutionState, Output, OutputPlace};

/// A row of the table `execution`. All that only an end brings is there if and only if the state is `finished`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExecutionRow {
    pub(crate) id: String,
    pub(crate) sandbox_id: String,
    pub(crate) tenant_id: String,
    pub(crate) command: String,
    pub(crate) state: String,
    pub(crate) outcome: Option<String>,
    pub(crate) exit_code: Option<i64>,
    pub(crate) signal: Option<i64>,
    pub(crate) duration_us: Option<i64>,
    pub(crate) cpu_us: Option<i64>,
    pub(crate) memory_peak_bytes: Option<i64>,
    pub(crate) stdout_place: Option<String>,
    pub(crate) stdout_total: Option<i64>,
    pub(crate) stdout_stored: Option<i64>,
    pub(crate) stdout: Option<Vec<u8>>,
    pub(crate) stderr_place: Option<String>,
    pub(crate) stderr_total: Option<i64>,
    pub(crate) stderr_stored: Option<i64>,
    pub(crate) stderr: Option<Vec<u8>>,
    pub(crate) results: Option<String>,
    pub(crate) key_id: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) finished_at: Option<i64>,
}

impl TryFrom<&Row<'_>> for ExecutionRow {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            sandbox_id: row.get("sandbox_id")?,
            tenant_id: row.get("tenant_id")?,
            command: row.get("command")?,
            state: row.get("state")?,
            outcome: row.get("outcome")?,
            exit_code: row.get("exit_code")?,
            signal: row.get("signal")?,
            duration_us: row.get("duration_us")?,
            cpu_us: row.get("cpu_us")?,
            memory_peak_bytes: row.get("memory_peak_bytes")?,
            stdout_place: row.get("stdout_place")?,
            stdout_total: row.get("stdout_total")?,
            stdout_stored: row.get("stdout_stored")?,
            stdout: row.get("stdout")?,
            stderr_place: row.get("stderr_place")?,
            stderr_total: row.get("stderr_total")?,
            stderr_stored: row.get("stderr_stored")?,
            stderr: row.get("stderr")?,
            results: row.get("results")?,
            key_id: row.get("key_id")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            finished_at: row.get("finished_at")?,
        })
    }
}

/// The column `command`. Standard input is not kept.
#[derive(Serialize, Deserialize)]
struct CommandJson {
    argv: Vec<String>,
    env: Vec<(String, String)>,
    cwd: Option<String>,
    user: Option<String>,
    timeout_us: u64,
    /// Missing in rows of earlier versions.
    #[serde(default)]
    stdin_open: bool,
    /// Columns and rows. Missing in rows of earlier versions.
    #[serde(default)]
    terminal: Option<(u16, u16)>,
    /// Missing in rows of earlier versions.
    #[serde(default)]
    context: Option<String>,
    /// Missing in rows of earlier versions.
    #[serde(default)]
    is_whole: bool,
}

/// The column `results`.
#[derive(Serialize, Deserialize)]
struct ResultsJson {
    items: Vec<String>,
    truncated: bool,
}

impl From<&ExecutionRecord> for ExecutionRow {
    fn from(record: &ExecutionRecord) -> Self {
        let row = Self {
            id: record.id.to_string(),
            sandbox_id: record.sandbox.to_string(),
            tenant_id: record.tenant.to_string(),
            command: command_column(record),
            state: Self::RUNNING.to_owned(),
            key_id: record.key.map(|key| key.to_string()),
            created_at: record.created_at.0,
            expires_at: record.created_at.after(record.command.timeout).0,
            ..Self::default()
        };
        match &record.state {
            ExecutionState::Running => row,
            ExecutionState::Finished { ended, finished_at, stdout, stderr, results } => {
                row.finished(ended, *finished_at).with_output(stdout, stderr).with_results(results)
            }
        }
    }
}

fn command_column(record: &ExecutionRecord) -> String {
    let command = &record.command;
    let json = CommandJson {
        argv: command.argv.clone(),
        env: command.env.clone(),
        cwd: command.cwd.as_ref().map(ToString::to_string),
        user: command.user.clone(),
        timeout_us: micros(command.timeout),
        stdin_open: command.stdin_open,
        terminal: command.terminal.map(|size| (size.columns, size.rows)),
        context: command.context.map(|id| id.to_string()),
        is_whole: record.is_whole,
    };
    serde_json::to_string(&json).expect("strings and numbers are always JSON")
}

impl ExecutionRow {
    /// What the column `state` says until the end.
    const RUNNING: &'static str = "running";
    /// What the column `state` says from the end on.
    const FINISHED: &'static str = "finished";
    /// What a column of an output's place says when a file holds it.
    pub(crate) const FILE: &'static str = "file";
    const ROW: &'static str = "row";

    /// Whether it has ended.
    #[cfg(feature = "memory")]
    pub(crate) fn is_finished(&self) -> bool {
        self.state == Self::FINISHED
    }

    /// Where it counts in that hour, on this engine.
    pub(crate) fn usage_key(&self, hour: i64, engine: String) -> UsageKey {
        let (tenant_id, key_id) = (self.tenant_id.clone(), self.key_id.clone().unwrap_or_default());
        UsageKey { tenant_id, hour, engine, key_id }
    }

    /// What counts of it, and when; `None` until it has ended.
    pub(crate) fn used(&self) -> Option<(i64, UsageSum)> {
        let outcome = ExecutionOutcome::from_stored(self.outcome.as_deref()?, Some(0), Some(0))?;
        let bytes = [self.stdout_total, self.stderr_total].map(|total| total.unwrap_or(0).cast_unsigned());
        Some((self.finished_at?, UsageSum::execution(outcome, bytes[0].saturating_add(bytes[1]))))
    }

    /// How much of its output is stored.
    #[cfg(feature = "memory")]
    pub(crate) fn stored_bytes(&self) -> u64 {
        [self.stdout_stored, self.stderr_stored].map(|stored| stored.unwrap_or(0).cast_unsigned()).iter().sum()
    }

    /// As lists show it.
    #[cfg(feature = "memory")]
    pub(crate) fn listed(&self) -> Self {
        Self { results: None, ..self.clone() }
    }

    /// Whether a file holds some of its output.
    #[cfg(feature = "memory")]
    pub(crate) fn has_file(&self) -> bool {
        [&self.stdout_place, &self.stderr_place].into_iter().any(|place| place.as_deref() == Some(Self::FILE))
    }

    fn with_results(self, results: &Results) -> Self {
        if *results == Results::default() {
            return self;
        }
        let json = ResultsJson { items: results.items.clone(), truncated: results.is_truncated };
        Self { results: Some(serde_json::to_string(&json).expect("strings are always JSON")), ..self }
    }

    fn read_results(&self, reader: &Reader<'_>) -> Result<Results, CorruptRow> {
        let Some(text) = &self.results else { return Ok(Results::default()) };
        let json: ResultsJson = reader.parsed("results", serde_json::from_str(text))?;
        Ok(Results { items: json.items, is_truncated: json.truncated })
    }

    fn finished(self, ended: &Ended, at: Millis) -> Self {
        Self {
            state: Self::FINISHED.to_owned(),
            outcome: Some(ended.outcome.as_str().to_owned()),
            exit_code: ended.outcome.exit_code().map(i64::from),
            signal: ended.outcome.signal().map(i64::from),
            duration_us: Some(stored(ended.duration_us)),
            cpu_us: Some(stored(ended.usage.cpu_us)),
            memory_peak_bytes: Some(stored(ended.usage.memory_peak_bytes)),
            finished_at: Some(at.0),
            ..self
        }
    }

    fn with_output(self, stdout: &Output, stderr: &Output) -> Self {
        Self {
            stdout_place: Some(place_column(&stdout.place).to_owned()),
            stdout_total: Some(stored(stdout.bytes_total)),
            stdout_stored: Some(stored(stdout.bytes_stored)),
            stdout: bytes_column(&stdout.place),
            stderr_place: Some(place_column(&stderr.place).to_owned()),
            stderr_total: Some(stored(stderr.bytes_total)),
            stderr_stored: Some(stored(stderr.bytes_stored)),
            stderr: bytes_column(&stderr.place),
            ..self
        }
    }
}

const fn place_column(place: &OutputPlace) -> &'static str {
    match place {
        OutputPlace::Row(_) => ExecutionRow::ROW,
        OutputPlace::File => ExecutionRow::FILE,
    }
}

fn bytes_column(place: &OutputPlace) -> Option<Vec<u8>> {
    match place {
        OutputPlace::Row(bytes) => Some(bytes.clone()),
        OutputPlace::File => None,
    }
}

impl TryFrom<ExecutionRow> for ExecutionRecord {
    type Error = CorruptRow;

    fn try_from(mut row: ExecutionRow) -> Result<Self, CorruptRow> {
        let id = std::mem::take(&mut row.id);
        let reader = Reader { table: "execution", id: &id };
        Ok(Self {
            id: reader.parsed("id", id.parse())?,
            sandbox: reader.parsed("sandbox_id", row.sandbox_id.parse())?,
            tenant: TenantId::from_stored(&row.tenant_id),
            is_whole: row.command_json(&reader)?.is_whole,
            command: row.command(&reader)?,
            key: reader.parsed("key_id", row.key_id.as_deref().map(str::parse).transpose())?,
            created_at: Millis(row.created_at),
            state: row.into_state(&reader)?,
        })
    }
}

impl ExecutionRow {
    fn command_json(&self, reader: &Reader<'_>) -> Result<CommandJson, CorruptRow> {
        reader.parsed("command", serde_json::from_str(&self.command))
    }

    fn command(&self, reader: &Reader<'_>) -> Result<Command, CorruptRow> {
        let json = self.command_json(reader)?;
        Ok(Command {
            argv: json.argv,
            env: json.env,
            cwd: reader.parsed("command.cwd", json.cwd.map(|path| GuestPath::of_folder(&path)).transpose())?,
            user: json.user,
            stdin: Vec::new(),
            stdin_open: json.stdin_open,
            timeout: Duration::from_micros(json.timeout_us),
            terminal: json.terminal.map(|(columns, rows)| TerminalSize { columns, rows }),
            context: reader.parsed("command.context", json.context.map(|id| id.parse()).transpose())?,
        })
    }

    fn into_state(self, reader: &Reader<'_>) -> Result<ExecutionState, CorruptRow> {
        match self.state.as_str() {
            Self::RUNNING => Ok(ExecutionState::Running),
            Self::FINISHED => Ok(ExecutionState::Finished {
                results: self.read_results(reader)?,
                ended: self.ended(reader)?,
                finished_at: Millis(reader.some("finished_at", self.finished_at)?),
                stdout: StreamRow {
                    place: self.stdout_place,
                    total: self.stdout_total,
                    stored: self.stdout_stored,
                    bytes: self.stdout,
                }
                .into_output(reader, "stdout")?,
                stderr: StreamRow {
                    place: self.stderr_place,
                    total: self.stderr_total,
                    stored: self.stderr_stored,
                    bytes: self.stderr,
                }
                .into_output(reader, "stderr")?,
            }),
            _ => Err(reader.corrupt("state")),
        }
    }

    fn ended(&self, reader: &Reader<'_>) -> Result<Ended, CorruptRow> {
        let narrow = |column, value: Option<i64>| reader.parsed(column, value.map(i32::try_from).transpose());
        let exit_code = narrow("exit_code", self.exit_code)?;
        let signal = narrow("signal", self.signal)?;
        let name = reader.some("outcome", self.outcome.as_deref())?;
        Ok(Ended {
            outcome: reader.some("outcome", ExecutionOutcome::from_stored(name, exit_code, signal))?,
            duration_us: amount(reader, "duration_us", self.duration_us)?,
            usage: Usage {
                cpu_us: amount(reader, "cpu_us", self.cpu_us)?,
                memory_peak_bytes: amount(reader, "memory_peak_bytes", self.memory_peak_bytes)?,
            },
        })
    }
}

fn amount(reader: &Reader<'_>, column: &'static str, value: Option<i64>) -> Result<u64, CorruptRow> {
    reader.some(column, value.and_then(|value| u64::try_from(value).ok()))
}

/// The columns of one stream.
struct StreamRow {
    place: Option<String>,
    total: Option<i64>,
    stored: Option<i64>,
    bytes: Option<Vec<u8>>,
}

impl StreamRow {
    fn into_output(self, reader: &Reader<'_>, stream: &'static str) -> Result<Output, CorruptRow> {
        let place = match self.place.as_deref() {
            Some(ExecutionRow::ROW) => OutputPlace::Row(reader.some(stream, self.bytes)?),
            Some(ExecutionRow::FILE) => OutputPlace::File,
            _ => return Err(reader.corrupt(stream)),
        };
        Ok(Output {
            bytes_total: amount(reader, stream, self.total)?,
            bytes_stored: amount(reader, stream, self.stored)?,
            place,
        })
    }
}

/// How much output of a tenant is stored.
#[derive(Debug)]
pub(crate) struct OutputRow {
    tenant_id: String,
    bytes: i64,
}

impl TryFrom<&Row<'_>> for OutputRow {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { tenant_id: row.get("tenant_id")?, bytes: row.get("bytes")? })
    }
}

impl TryFrom<OutputRow> for (TenantId, u64) {
    type Error = CorruptRow;

    fn try_from(row: OutputRow) -> Result<Self, CorruptRow> {
        let reader = Reader { table: "execution", id: &row.tenant_id };
        let bytes = reader.parsed("stdout_stored", u64::try_from(row.bytes))?;
        Ok((TenantId::from_stored(&row.tenant_id), bytes))
    }
}

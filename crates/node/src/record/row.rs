//! A record as JSON. Read back strictly: a file that does not say what a record says is nobody's intent.

use std::{path::PathBuf, time::Duration};

use sentinal_model::{Cpu, Disk, Generation, Memory, Millis};
use sentinal_node_protocol::{EndReason, HostBootId};
use serde::{Deserialize, Serialize};

use super::{PlacedImage, Record, Stage};

/// The layout that this build writes.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    version: u32,
    sandbox_id: String,
    generation: u64,
    engine: String,
    image: ImageRow,
    cpu_milli: u32,
    memory_bytes: u64,
    disk_bytes: u64,
    expires_at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle_timeout_ms: Option<u64>,
    /// Missing in records of earlier versions.
    #[serde(default)]
    busy_until_ms: i64,
    /// Missing in records of earlier versions.
    #[serde(default)]
    said_at_ms: i64,
    host_boot_id: String,
    state: StateRow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_reason: Option<ReasonRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ImageRow {
    name: String,
    digest: String,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateRow {
    Placed,
    Booting,
    Up,
    Paused,
    Ended,
    Halting,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReasonRow {
    Exited,
    Oom,
    Expired,
    Idle,
    HostRestarted,
}

/// Why a file is no record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidRecord {
    #[error("the record is not JSON of the expected shape")]
    Json(#[from] serde_json::Error),
    #[error("the record has layout version {0}, which this build does not know")]
    Version(u32),
    #[error("the record's field {field} is wrong: {why}")]
    Field { field: &'static str, why: String },
}

impl Record {
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(&Row::from(self))
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, InvalidRecord> {
        Self::try_from(serde_json::from_slice::<Row>(json)?)
    }
}

impl From<&Record> for Row {
    fn from(record: &Record) -> Self {
        let (state, end_reason) = state_row(record.stage);
        Self {
            version: VERSION,
            sandbox_id: record.id.to_string(),
            generation: record.generation.0,
            engine: record.engine.to_string(),
            image: ImageRow {
                name: record.image.name.to_string(),
                digest: record.image.digest.clone(),
                path: record.image.path.clone(),
            },
            cpu_milli: record.cpu.milli(),
            memory_bytes: record.memory.bytes(),
            disk_bytes: record.disk.bytes(),
            expires_at_ms: record.expires_at.0,
            idle_timeout_ms: record.idle_timeout.map(|idle| u64::try_from(idle.as_millis()).unwrap_or(u64::MAX)),
            busy_until_ms: record.busy_until.0,
            said_at_ms: record.said_at.0,
            host_boot_id: record.host_boot_id.0.clone(),
            state,
            end_reason,
        }
    }
}

impl TryFrom<Row> for Record {
    type Error = InvalidRecord;

    fn try_from(row: Row) -> Result<Self, InvalidRecord> {
        if row.version != VERSION {
            return Err(InvalidRecord::Version(row.version));
        }
        let image = PlacedImage {
            name: row.image.name.parse().map_err(wrong("image.name"))?,
            digest: row.image.digest,
            path: row.image.path,
        };
        Ok(Self {
            id: row.sandbox_id.parse().map_err(wrong("sandbox_id"))?,
            generation: Generation(row.generation),
            engine: row.engine.parse().map_err(wrong("engine"))?,
            image,
            cpu: Cpu::try_from_cores(f64::from(row.cpu_milli) / 1000.0).map_err(wrong("cpu_milli"))?,
            memory: Memory::try_from_bytes(row.memory_bytes).map_err(wrong("memory_bytes"))?,
            disk: Disk::try_from_bytes(row.disk_bytes).map_err(wrong("disk_bytes"))?,
            expires_at: Millis(row.expires_at_ms),
            idle_timeout: row.idle_timeout_ms.map(Duration::from_millis),
            busy_until: Millis(row.busy_until_ms),
            said_at: Millis(row.said_at_ms),
            host_boot_id: HostBootId(row.host_boot_id),
            stage: stage(row.state, row.end_reason)?,
        })
    }
}

const fn state_row(stage: Stage) -> (StateRow, Option<ReasonRow>) {
    match stage {
        Stage::Placed => (StateRow::Placed, None),
        Stage::Booting => (StateRow::Booting, None),
        Stage::Up => (StateRow::Up, None),
        Stage::Paused => (StateRow::Paused, None),
        Stage::Halting => (StateRow::Halting, None),
        Stage::Ended(reason) => (StateRow::Ended, Some(reason_row(reason))),
    }
}

const fn reason_row(reason: EndReason) -> ReasonRow {
    match reason {
        EndReason::Exited => ReasonRow::Exited,
        EndReason::Oom => ReasonRow::Oom,
        EndReason::Expired => ReasonRow::Expired,
        EndReason::Idle => ReasonRow::Idle,
        EndReason::HostRestarted => ReasonRow::HostRestarted,
    }
}

fn stage(state: StateRow, reason: Option<ReasonRow>) -> Result<Stage, InvalidRecord> {
    let reason = reason.map(|reason| match reason {
        ReasonRow::Exited => EndReason::Exited,
        ReasonRow::Oom => EndReason::Oom,
        ReasonRow::Expired => EndReason::Expired,
        ReasonRow::Idle => EndReason::Idle,
        ReasonRow::HostRestarted => EndReason::HostRestarted,
    });
    match (state, reason) {
        (StateRow::Placed, None) => Ok(Stage::Placed),
        (StateRow::Booting, None) => Ok(Stage::Booting),
        (StateRow::Up, None) => Ok(Stage::Up),
        (StateRow::Paused, None) => Ok(Stage::Paused),
        (StateRow::Halting, None) => Ok(Stage::Halting),
        (StateRow::Ended, Some(reason)) => Ok(Stage::Ended(reason)),
        (StateRow::Ended, None) | (_, Some(_)) => {
            Err(wrong("end_reason")("belongs to the state ended, and only there"))
        }
    }
}

fn wrong<E: std::fmt::Display>(field: &'static str) -> impl FnOnce(E) -> InvalidRecord {
    move |why| InvalidRecord::Field { field, why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use sentinal_model::{EngineName, ImageName, SandboxId};

    use super::*;

    fn record(stage: Stage) -> Record {
        Record {
            id: SandboxId::from_bytes([1; 16]),
            generation: Generation(3),
            engine: EngineName::Gvisor,
            image: PlacedImage {
                name: ImageName::default(),
                digest: "sha256:00".to_owned(),
                path: PathBuf::from("/images/a.erofs"),
            },
            cpu: Cpu::try_from_cores(0.5).unwrap(),
            memory: Memory::try_from_bytes(64 << 20).unwrap(),
            disk: Disk::try_from_bytes(16 << 20).unwrap(),
            expires_at: Millis(7),
            idle_timeout: Some(Duration::from_secs(3)),
            busy_until: Millis(5),
            said_at: Millis(4),
            host_boot_id: HostBootId("boot".to_owned()),
            stage,
        }
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let reasons =
            [EndReason::Exited, EndReason::Oom, EndReason::Expired, EndReason::Idle, EndReason::HostRestarted];
        let stages = [Stage::Placed, Stage::Booting, Stage::Up, Stage::Paused, Stage::Halting];
        for stage in stages.into_iter().chain(reasons.map(Stage::Ended)) {
            let record = record(stage);
            assert_eq!(Record::from_json(&record.to_json().unwrap()).unwrap(), record);
        }
    }

    #[test]
    fn half_a_record_is_none() {
        let json = record(Stage::Ended(EndReason::Oom)).to_json().unwrap();
        for length in 0..json.len() {
            assert!(Record::from_json(&json[..length]).is_err());
        }
    }

    #[test]
    fn a_record_that_contradicts_itself_is_none() {
        let json = String::from_utf8(record(Stage::Up).to_json().unwrap()).unwrap();
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"up\"", "\"ended\""),
            ("sbx_", "../"),
            ("\"generation\": 3", "\"generation\": -1"),
            ("\"cpu_milli\": 500", "\"cpu_milli\": 0"),
        ] {
            assert_ne!(json.replace(from, to), json);
            assert!(Record::from_json(json.replace(from, to).as_bytes()).is_err(), "{to}");
        }
    }
}

//! The table `sandbox`.

use std::{collections::BTreeMap, time::Duration};

use rusqlite::Row;
use sentinal_model::{
    Cpu, Disk, End, EngineName, Generation, Labels, Memory, Millis, NodeId, Phase, Placement, Spec, TenantId,
};
use serde::{Deserialize, Serialize};

use super::{CorruptRow, Reader, UsageKey, micros, stored};
use crate::{Build, SandboxRecord};

/// A row of the table `sandbox`.
#[derive(Debug, Clone)]
pub(crate) struct SandboxRow {
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) node_id: Option<String>,
    pub(crate) generation: i64,
    pub(crate) phase: String,
    pub(crate) ending: Option<String>,
    pub(crate) engine: Option<String>,
    pub(crate) engine_reason: String,
    pub(crate) spec: String,
    pub(crate) message: String,
    pub(crate) token: Vec<u8>,
    pub(crate) one_shot: i64,
    pub(crate) pooled: Option<String>,
    pub(crate) key_id: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) paused_at: Option<i64>,
    pub(crate) paused_ms: i64,
    pub(crate) finished_at: Option<i64>,
}

impl TryFrom<&Row<'_>> for SandboxRow {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            tenant_id: row.get("tenant_id")?,
            node_id: row.get("node_id")?,
            generation: row.get("generation")?,
            phase: row.get("phase")?,
            ending: row.get("ending")?,
            engine: row.get("engine")?,
            engine_reason: row.get("engine_reason")?,
            spec: row.get("spec")?,
            message: row.get("message")?,
            token: row.get("token")?,
            one_shot: row.get("one_shot")?,
            pooled: row.get("pooled")?,
            key_id: row.get("key_id")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            paused_at: row.get("paused_at")?,
            paused_ms: row.get("paused_ms")?,
            finished_at: row.get("finished_at")?,
        })
    }
}

/// The column `pooled`.
#[derive(Serialize, Deserialize)]
struct BuildJson {
    image: String,
    agent: String,
    engine: String,
}

/// The column `spec`.
#[derive(Serialize, Deserialize)]
struct SpecJson {
    engine: String,
    cpu_milli: u32,
    memory_bytes: u64,
    disk_bytes: u64,
    image: String,
    ttl_us: u64,
    /// Missing in rows of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle_timeout_us: Option<u64>,
    labels: BTreeMap<String, String>,
}

impl From<&SandboxRecord> for SandboxRow {
    fn from(record: &SandboxRecord) -> Self {
        let placement = record.phase.placement();
        let (phase, ending) = phase_columns(&record.phase);
        Self {
            id: record.id.to_string(),
            tenant_id: record.tenant.to_string(),
            node_id: placement.map(|p| &p.node).or(record.node.as_ref()).map(ToString::to_string),
            generation: stored(record.generation.0),
            phase: phase.to_owned(),
            ending: ending.map(|end| end.as_str().to_owned()),
            engine: placement.map(|p| p.engine).or(record.engine).map(|engine| engine.as_str().to_owned()),
            engine_reason: placement.map_or(&record.engine_reason, |p| &p.reason).clone(),
            spec: spec_column(&record.spec),
            message: record.message.clone(),
            token: record.token.to_vec(),
            one_shot: i64::from(record.one_shot),
            pooled: record.pooled.as_ref().map(pooled_column),
            key_id: record.key.map(|key| key.to_string()),
            created_at: record.created_at.0,
            expires_at: record.expires_at.0,
            paused_at: record.paused_at.map(|at| at.0),
            paused_ms: i64::try_from(record.paused_for.as_millis()).unwrap_or(i64::MAX),
            finished_at: record.finished_at.map(|at| at.0),
        }
    }
}

const fn phase_columns(phase: &Phase) -> (&'static str, Option<End>) {
    match phase {
        Phase::Pending => ("pending", None),
        Phase::Booting(_) => ("booting", None),
        Phase::Running(_) | Phase::Paused(_) => (SandboxRow::RUNNING, None),
        Phase::Stopping(_, end) => ("stopping", Some(*end)),
        Phase::Finished(end) => (SandboxRow::FINISHED, Some(*end)),
    }
}

fn pooled_column(build: &Build) -> String {
    let Build { image, agent, engine } = build.clone();
    serde_json::to_string(&BuildJson { image, agent, engine }).expect("strings are always JSON")
}

fn spec_column(spec: &Spec) -> String {
    let json = SpecJson {
        engine: spec.engine.to_string(),
        cpu_milli: spec.cpu.milli(),
        memory_bytes: spec.memory.bytes(),
        disk_bytes: spec.disk.bytes(),
        image: spec.image.to_string(),
        ttl_us: micros(spec.ttl),
        idle_timeout_us: spec.idle_timeout.map(micros),
        labels: spec.labels.as_map().clone(),
    };
    serde_json::to_string(&json).expect("strings and numbers are always JSON")
}

impl TryFrom<SandboxRow> for SandboxRecord {
    type Error = CorruptRow;

    fn try_from(row: SandboxRow) -> Result<Self, CorruptRow> {
        let reader = Reader { table: "sandbox", id: &row.id };
        let engine = row.engine.as_deref().map(str::parse::<EngineName>).transpose();
        let engine = reader.parsed("engine", engine)?;
        let node = row.node_id.as_deref().map(NodeId::from_stored);
        Ok(Self {
            id: reader.parsed("id", row.id.parse())?,
            tenant: TenantId::from_stored(&row.tenant_id),
            generation: row.generation(&reader)?,
            phase: row.phase(&reader, node.as_ref(), engine)?,
            spec: row.spec(&reader)?,
            node,
            engine,
            token: reader.parsed("token", row.token.as_slice().try_into())?,
            one_shot: row.one_shot != 0,
            pooled: row.pooled.as_deref().map(|json| pooled(&reader, json)).transpose()?,
            key: reader.parsed("key_id", row.key_id.as_deref().map(str::parse).transpose())?,
            created_at: Millis(row.created_at),
            expires_at: Millis(row.expires_at),
            paused_at: row.paused_at.map(Millis),
            paused_for: reader.parsed("paused_ms", u64::try_from(row.paused_ms)).map(Duration::from_millis)?,
            finished_at: row.finished_at.map(Millis),
            engine_reason: row.engine_reason,
            message: row.message,
        })
    }
}

fn pooled(reader: &Reader<'_>, json: &str) -> Result<Build, CorruptRow> {
    let BuildJson { image, agent, engine } = reader.parsed("pooled", serde_json::from_str(json))?;
    Ok(Build { image, agent, engine })
}

impl SandboxRow {
    /// What the column `phase` says of what runs, paused or not.
    const RUNNING: &'static str = "running";

    /// What the column `phase` says when nothing can happen to it any more.
    const FINISHED: &'static str = "finished";

    /// Whether nothing can happen to it any more.
    #[cfg(feature = "memory")]
    pub(crate) fn is_finished(&self) -> bool {
        self.phase == Self::FINISHED
    }

    /// What the upsert of a database says in SQL.
    #[cfg(feature = "memory")]
    pub(crate) fn may_replace(&self, stored: &Self) -> bool {
        stored.generation <= self.generation
            && (stored.tenant_id == self.tenant_id || stored.pooled.is_some())
            && (!stored.is_finished() || self.is_finished())
    }

    /// Memory that is kept for it.
    #[cfg(feature = "memory")]
    pub(crate) fn memory_mib(&self) -> u64 {
        serde_json::from_str::<SpecJson>(&self.spec).map_or(0, |json| json.memory_bytes >> 20)
    }

    /// Where it counts in that hour.
    pub(crate) fn usage_key(&self, hour: i64) -> UsageKey {
        let (tenant_id, key_id) = (self.tenant_id.clone(), self.key_id.clone().unwrap_or_default());
        UsageKey { tenant_id, hour, engine: self.engine.clone().unwrap_or_default(), key_id }
    }

    fn generation(&self, reader: &Reader<'_>) -> Result<Generation, CorruptRow> {
        reader.parsed("generation", u64::try_from(self.generation)).map(Generation)
    }

    fn phase(
        &self,
        reader: &Reader<'_>,
        node: Option<&NodeId>,
        engine: Option<EngineName>,
    ) -> Result<Phase, CorruptRow> {
        let placement = || {
            let node = reader.some("node_id", node)?.clone();
            Ok(Placement { node, engine: reader.some("engine", engine)?, reason: self.engine_reason.clone() })
        };
        let ending = || reader.some("ending", self.ending.as_deref().and_then(End::from_stored));
        match self.phase.as_str() {
            "pending" => Ok(Phase::Pending),
            "booting" => Ok(Phase::Booting(placement()?)),
            Self::RUNNING if self.paused_at.is_some() => Ok(Phase::Paused(placement()?)),
            Self::RUNNING => Ok(Phase::Running(placement()?)),
            "stopping" => Ok(Phase::Stopping(placement()?, ending()?)),
            Self::FINISHED => Ok(Phase::Finished(ending()?)),
            _ => Err(reader.corrupt("phase")),
        }
    }

    fn spec(&self, reader: &Reader<'_>) -> Result<Spec, CorruptRow> {
        let json: SpecJson = reader.parsed("spec", serde_json::from_str(&self.spec))?;
        Ok(Spec {
            engine: reader.parsed("spec.engine", json.engine.parse())?,
            cpu: reader.parsed("spec.cpu_milli", Cpu::try_from_cores(f64::from(json.cpu_milli) / 1000.0))?,
            memory: reader.parsed("spec.memory_bytes", Memory::try_from_bytes(json.memory_bytes))?,
            disk: reader.parsed("spec.disk_bytes", Disk::try_from_bytes(json.disk_bytes))?,
            image: reader.parsed("spec.image", json.image.parse())?,
            ttl: Duration::from_micros(json.ttl_us),
            idle_timeout: json.idle_timeout_us.map(Duration::from_micros),
            labels: reader.parsed("spec.labels", Labels::try_from(json.labels))?,
        })
    }
}

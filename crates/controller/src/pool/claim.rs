//! How a pooled sandbox becomes somebody's.

use std::{collections::BTreeMap, sync::Arc};

use sentinal_model::{EngineName, Event, KeyId, Millis, Spec, TenantId, limits};
use sentinal_node_protocol::NodeView;
use sentinal_store::SandboxRecord;

use super::build;
use crate::{
    decide::{Observed, Terms},
    entry::Entry,
    idempotency::Mark,
};

/// Who claims, what for, and why this one.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) tenant: TenantId,
    /// With which key it is asked for.
    pub(crate) key: Option<KeyId>,
    pub(crate) spec: Spec,
    pub(crate) one_shot: bool,
    /// Why it was placed there.
    pub(crate) reason: String,
    pub(crate) at: Millis,
    /// What the claim is written down with.
    pub(crate) mark: Option<Mark>,
}

impl Owner {
    /// A pooled sandbox as the owner's, as if it had been created now; `None` unless it is pooled and runs.
    pub(crate) fn of(self, pooled: &SandboxRecord) -> Option<SandboxRecord> {
        pooled.pooled.as_ref()?;
        let phase = pooled.phase.clone().on(Event::Claimed(self.reason.clone())).ok()?;
        Some(SandboxRecord {
            tenant: self.tenant,
            generation: pooled.generation.next(),
            phase,
            expires_at: self.at.after(self.spec.ttl),
            spec: self.spec,
            engine_reason: self.reason,
            one_shot: self.one_shot,
            pooled: None,
            key: self.key,
            created_at: self.at,
            ..pooled.clone()
        })
    }
}

/// The pooled sandboxes that fit `spec` and may be claimed now: the oldest on each engine.
pub(crate) fn waiting(
    entries: &[Arc<Entry>],
    spec: &Spec,
    view: &NodeView,
    now: Millis,
) -> BTreeMap<EngineName, Arc<Entry>> {
    let mut oldest: BTreeMap<EngineName, (Arc<SandboxRecord>, Arc<Entry>)> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| is_ready(entry, now)) {
        let record = entry.record();
        let Some(engine) = record.engine.filter(|engine| fits(&record, spec, *engine, view)) else { continue };
        let age = |record: &SandboxRecord| (record.created_at, record.id);
        if oldest.get(&engine).is_none_or(|(other, _)| age(&record) < age(other)) {
            oldest.insert(engine, (record, Arc::clone(entry)));
        }
    }
    oldest.into_iter().map(|(engine, (_, entry))| (engine, entry)).collect()
}

/// Whether a pooled sandbox can be handed out: it runs as far as anybody knows, its agent is connected and has
/// answered, nobody has taken it, and its own end is far enough away.
pub(super) fn is_ready(entry: &Entry, now: Millis) -> bool {
    let record = entry.record();
    record.pooled.is_some()
        && !entry.is_taken()
        && matches!(record.phase, sentinal_model::Phase::Running(_))
        && *entry.observed().borrow() == Observed::AsRecorded
        && entry.known().agent == Some(Terms::of(&record))
        && limits::POOL_TTL_LEFT_MIN < record.expires_at.since(now)
        && entry.connected_agent().is_some()
}

/// Whether it is what a create with this spec would get on that engine.
fn fits(record: &SandboxRecord, spec: &Spec, engine: EngineName, view: &NodeView) -> bool {
    let shape = |spec: &Spec| (spec.image.clone(), spec.cpu, spec.memory, spec.disk);
    shape(&record.spec) == shape(spec) && record.pooled == build(view, engine, &spec.image)
}

/// What has room already. A pooled sandbox that has given way to a caller does not count; one whose claim the store may
/// have taken does, until that is known.
pub(crate) fn promised(entries: &[Arc<Entry>]) -> impl Iterator<Item = Arc<SandboxRecord>> {
    let counts =
        |record: &SandboxRecord, entry: &Entry| record.pooled.is_none() || !entry.is_abandoned() || entry.is_in_doubt();
    entries
        .iter()
        .map(|entry| (entry.record(), entry))
        .filter(move |(record, entry)| counts(record, entry))
        .map(|it| it.0)
}

/// The pooled sandboxes that give way to a caller for whom there is no room, the oldest first.
pub(crate) fn yielding(entries: &[Arc<Entry>]) -> Vec<Arc<Entry>> {
    let pooled = entries.iter().filter(|entry| entry.record().pooled.is_some() && !entry.is_taken());
    let mut pooled: Vec<_> = pooled.cloned().collect();
    pooled.sort_by_key(|entry| (entry.record().created_at, entry.record().id));
    pooled
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sentinal_model::{Cpu, End, EngineChoice, Generation, ImageName, Labels, NodeId, Phase, Placement, SandboxId};
    use sentinal_store::Build;

    use super::*;

    fn spec() -> Spec {
        Spec {
            engine: EngineChoice::Named(EngineName::Gvisor),
            cpu: Cpu::try_from_cores(1.0).unwrap(),
            memory: "512Mi".parse().unwrap(),
            disk: "1Gi".parse().unwrap(),
            image: ImageName::default(),
            ttl: limits::POOL_TTL,
            idle_timeout: None,
            labels: Labels::default(),
        }
    }

    fn placement(reason: &str) -> Placement {
        Placement { node: NodeId::local(), engine: EngineName::Gvisor, reason: reason.to_owned() }
    }

    fn pooled(phase: Phase) -> SandboxRecord {
        let build = Build { image: "sha256:1".to_owned(), agent: "sha256:2".to_owned(), engine: "runsc 1".to_owned() };
        SandboxRecord {
            id: SandboxId::from_bytes([1; 16]),
            tenant: TenantId::nobody(),
            generation: Generation(2),
            phase,
            spec: spec(),
            node: Some(NodeId::local()),
            engine: Some(EngineName::Gvisor),
            engine_reason: "for the pool".to_owned(),
            message: String::new(),
            token: [7; 32],
            one_shot: false,
            pooled: Some(build),
            key: None,
            created_at: Millis(1000),
            expires_at: Millis(1000).after(limits::POOL_TTL),
            paused_at: None,
            paused_for: Duration::ZERO,
            finished_at: None,
        }
    }

    fn owner() -> Owner {
        let spec = Spec {
            engine: EngineChoice::Auto,
            ttl: Duration::from_secs(60),
            idle_timeout: Some(Duration::from_secs(9)),
            ..spec()
        };
        let (tenant, reason) = (TenantId::default_tenant(), "it was waiting".to_owned());
        Owner {
            tenant,
            key: Some(KeyId::from_bytes([7; 16])),
            spec,
            one_shot: true,
            reason,
            at: Millis(9000),
            mark: None,
        }
    }

    #[test]
    fn a_claimed_sandbox_is_as_if_its_owner_had_created_it_now() {
        let before = pooled(Phase::Running(placement("for the pool")));
        let expect = SandboxRecord {
            tenant: TenantId::default_tenant(),
            generation: Generation(3),
            phase: Phase::Running(placement("it was waiting")),
            spec: owner().spec,
            engine_reason: "it was waiting".to_owned(),
            one_shot: true,
            pooled: None,
            key: Some(KeyId::from_bytes([7; 16])),
            created_at: Millis(9000),
            expires_at: Millis(69_000),
            ..before.clone()
        };
        assert_eq!(owner().of(&before), Some(expect));
    }

    #[test]
    fn only_what_runs_and_is_nobodys_can_be_claimed() {
        let somebodys = SandboxRecord { pooled: None, ..pooled(Phase::Running(placement("asked for"))) };
        let placement = || placement("for the pool");
        let phases = [
            Phase::Pending,
            Phase::Booting(placement()),
            Phase::Paused(placement()),
            Phase::Stopping(placement(), End::Expired),
            Phase::Finished(End::Expired),
        ];
        for record in phases.map(pooled).into_iter().chain([somebodys]) {
            assert_eq!(owner().of(&record), None, "{record:?}");
        }
    }
}

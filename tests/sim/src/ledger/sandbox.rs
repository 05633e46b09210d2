//! What must be true when a sandbox's row changes.

use std::time::Duration;

use sentinal_controller::{ExecutionState, SandboxRecord};
use sentinal_model::{End, Event, Failure, Phase, Spec, TenantId, limits};

use super::{Known, Ledger};
use crate::{machine::Harm, parts::ROOM, plan::Kind, world::lock};

/// A ttl may be seen to be over a little earlier: clocks are rounded to milliseconds.
const SLACK: Duration = Duration::from_millis(600);

impl Ledger {
    pub(super) fn sandbox(&self, record: &SandboxRecord) -> Result<(), String> {
        let known = lock(&self.books).sandboxes.get(&record.id).cloned();
        if record.pooled.is_some() != (record.tenant == TenantId::nobody()) {
            return Err(format!("{record:?} is neither pooled nor somebody's"));
        }
        match &known {
            Some(known) => self.changes(known, record)?,
            None => self.begins(record)?,
        }
        // For its owner the life of a pooled sandbox begins when it is claimed.
        let goes_on = known.filter(|known| !is_claim(&known.record, record));
        let since = goes_on.map_or_else(|| self.world.elapsed(), |known| known.since);
        self.ends(record)?;
        lock(&self.books).sandboxes.insert(record.id, Known { record: record.clone(), since });
        self.quotas()
    }

    fn begins(&self, record: &SandboxRecord) -> Result<(), String> {
        if lock(&self.books).removed.contains(&record.id) {
            return Err(format!("{} comes back after its record was removed", record.id));
        }
        let begins = matches!(record.phase, Phase::Booting(_) | Phase::Stopping(_, End::Destroyed));
        if begins { Ok(()) } else { Err(format!("{} begins as {:?}", record.id, record.phase)) }
    }

    fn changes(&self, known: &Known<SandboxRecord>, after: &SandboxRecord) -> Result<(), String> {
        let before = &known.record;
        if before == after {
            return Ok(());
        }
        if after.generation <= before.generation {
            return Err(format!("{}: generation {} after {}", after.id, after.generation, before.generation));
        }
        if before.phase != after.phase && !leads_to(before, after) {
            return Err(format!("{}: no way leads from {:?} to {:?}", after.id, before.phase, after.phase));
        }
        if is_claim(before, after) && !matches!((&before.phase, &after.phase), (Phase::Running(_), Phase::Running(_))) {
            return Err(format!("{} was {:?} when it was claimed", after.id, before.phase));
        }
        if !is_the_same(before, after) {
            return Err(format!("{}: {after:?} is not the sandbox that was {before:?}", after.id));
        }
        if matches!((&before.phase, &after.phase), (Phase::Paused(_), Phase::Running(_)))
            && self.journal.is_paused(after.id)
        {
            return Err(format!("{} goes on, and nobody asked for that", after.id));
        }
        if let Phase::Stopping(_, end) = after.phase
            && !matches!(before.phase, Phase::Stopping(..))
        {
            return self.is_justified(known, end);
        }
        Ok(())
    }

    /// Nobody's sandbox ends without a reason.
    fn is_justified(&self, known: &Known<SandboxRecord>, end: End) -> Result<(), String> {
        let record = &known.record;
        let harms = self.machine.harms(&record.id);
        let ttl_over = record.expires_at <= self.world.latest().after(SLACK)
            || record.spec.ttl <= self.world.elapsed().saturating_sub(known.since) + SLACK;
        let justified = match end {
            End::Destroyed => {
                record.one_shot || self.journal.is_unwanted(record.id) || !self.journal.is_promised(record.id)
            }
            End::Expired => ttl_over,
            // Of one that vanished while no node ran, the next one can only guess.
            End::Idle => record.spec.idle_timeout.is_some_and(|idle| !harms.is_empty() || self.is_idle(known, idle)),
            End::Failed(Failure::BootFailed) => matches!(record.phase, Phase::Booting(_)),
            End::Failed(Failure::Oom) => harms.contains(&Harm::Oom),
            End::Failed(Failure::HostRestarted) => harms.contains(&Harm::HostRestarted),
            End::Failed(Failure::EngineExited | Failure::Lost) => !harms.is_empty(),
            // Its agent is dead, or nothing comes from it in time.
            End::Failed(Failure::AgentSilent) => !harms.is_empty() || self.world.plan.agents_may_be_silent(),
        };
        if justified {
            return Ok(());
        }
        Err(format!("{} was {:?} and ends as {end:?} without a reason; harm: {harms:?}", record.id, record.phase))
    }

    /// Whether nothing runs in a sandbox and nothing has ended in it for so long.
    fn is_idle(&self, known: &Known<SandboxRecord>, idle: Duration) -> bool {
        let books = lock(&self.books);
        let own = books.executions.values().filter(|execution| execution.record.sandbox == known.record.id);
        let mut used_at = known.since;
        for execution in own {
            let truth = self.machine.truth(execution.record.id);
            if truth.starts == 0 {
                continue;
            }
            if truth.outcome.is_none() {
                return false;
            }
            used_at = used_at.max(execution.since);
        }
        let idle_for = self.world.elapsed().saturating_sub(used_at) + SLACK;
        // What the node counts after its own start is measured by a clock that may have jumped.
        idle <= idle_for || self.world.plan.has(Kind::Jumps)
    }

    /// When a row says that nothing is left, nothing is.
    fn ends(&self, record: &SandboxRecord) -> Result<(), String> {
        if !record.phase.is_finished() {
            return Ok(());
        }
        if let Some(instance) = self.machine.get(&record.id) {
            return Err(format!("an instance without a row: {} is finished, but there is {instance:?}", record.id));
        }
        let books = lock(&self.books);
        let mut own =
            books.executions.values().map(|known| &known.record).filter(|execution| execution.sandbox == record.id);
        match own.find(|execution| execution.state == ExecutionState::Running) {
            Some(running) => Err(format!("{} is finished, but its {} is not", record.id, running.id)),
            None => Ok(()),
        }
    }

    /// What callers have never exceeds the room. What waits in a pool may, for the moment in which it gives way to them.
    fn quotas(&self) -> Result<(), String> {
        let callers: Vec<_> = self.unfinished().into_iter().filter(|record| record.pooled.is_none()).collect();
        within_room(&callers)
    }
}

fn within_room(promised: &[SandboxRecord]) -> Result<(), String> {
    let cpu: u64 = promised.iter().map(|record| u64::from(record.spec.cpu.milli())).sum();
    let memory: u64 = promised.iter().map(|record| record.spec.memory.bytes()).sum();
    let cpu_max = u64::from(ROOM.cpu_milli_total) * limits::CPU_OVERCOMMIT;
    let memory_max = ROOM.memory_bytes_total * limits::MEMORY_OVERCOMMIT;
    if cpu <= cpu_max && memory <= memory_max && promised.len() <= limits::SANDBOXES_PER_NODE_MAX {
        return Ok(());
    }
    Err(format!(
        "more is promised than may be: {cpu} of {cpu_max} thousandths of a core, {memory} of {memory_max} bytes"
    ))
}

/// Whether what was nobody's is somebody's now.
fn is_claim(before: &SandboxRecord, after: &SandboxRecord) -> bool {
    before.pooled.is_some() && after.pooled.is_none()
}

/// Whether only that has changed which may.
fn is_the_same(before: &SandboxRecord, after: &SandboxRecord) -> bool {
    let shape = |record: &SandboxRecord| {
        let Spec { cpu, memory, disk, image, .. } = record.spec.clone();
        (cpu, memory, disk, image, record.engine, record.token)
    };
    let own = |record: &SandboxRecord| {
        let (created, expires) = (record.created_at, record.expires_at);
        (record.tenant.clone(), record.spec.clone(), record.pooled.clone(), record.one_shot, created, expires)
    };
    shape(before) == shape(after) && (is_claim(before, after) || own(before) == own(after))
}

/// Whether one event leads from one phase to the other.
fn leads_to(before: &SandboxRecord, after: &SandboxRecord) -> bool {
    let events = match &after.phase {
        Phase::Pending => return false,
        Phase::Booting(placement) => vec![Event::Placed(placement.clone())],
        Phase::Running(placement) if is_claim(before, after) => vec![Event::Claimed(placement.reason.clone())],
        Phase::Running(_) => vec![Event::Booted, Event::Resumed],
        Phase::Paused(_) => vec![Event::Paused],
        Phase::Stopping(_, end) => vec![Event::Stop(*end)],
        Phase::Finished(end) => vec![Event::Halted, Event::Stop(*end)],
    };
    events.into_iter().any(|event| before.phase.clone().on(event).as_ref() == Ok(&after.phase))
}

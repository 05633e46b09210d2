//! The tables of a store in memory, and what a write does to them.

use std::collections::{BTreeMap, BTreeSet};

use sentinal_model::{Generation, Millis, Result, TenantId, UsageSum};

use super::webhooks::Webhooks;
use crate::{
    ExecutionRecord, IdempotencyRecord, KeyRecord, NewEvent, Removed, SandboxRecord, Write, check,
    meter::Meter,
    row::{EventRow, ExecutionRow, IdempotencyRow, KeyRow, SandboxRow, UsageKey},
};

/// Every table by its primary key.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub(super) sandboxes: BTreeMap<String, SandboxRow>,
    pub(super) executions: BTreeMap<String, ExecutionRow>,
    /// By tenant and key.
    pub(super) idempotency: BTreeMap<(String, String), IdempotencyRow>,
    pub(super) keys: BTreeMap<String, KeyRow>,
    pub(super) events: BTreeMap<i64, EventRow>,
    pub(super) usage: BTreeMap<UsageKey, UsageSum>,
    pub(super) meters: BTreeMap<String, Meter>,
    pub(super) webhooks: Webhooks,
    last_cursor: i64,
}

/// What a row was before a batch, to put it back.
pub(super) enum Before {
    Sandbox(String, Option<SandboxRow>),
    Execution(String, Option<ExecutionRow>),
    Idempotency((String, String), Option<IdempotencyRow>),
    Key(String),
    Revoked(String),
    Event(i64),
    Usage(UsageKey, Option<UsageSum>),
    Meter(String, Option<Meter>),
    Webhooks(Webhooks),
}

impl Tables {
    /// Applies all of `writes`, or none.
    pub(super) fn write(&mut self, writes: &[Write]) -> Result<()> {
        let mut undo = Vec::with_capacity(writes.len());
        let outcome = writes.iter().try_for_each(|write| self.apply(write, &mut undo));
        if outcome.is_err() {
            undo.into_iter().rev().for_each(|before| self.put_back(before));
        }
        outcome
    }

    fn apply(&mut self, write: &Write, undo: &mut Vec<Before>) -> Result<()> {
        match write {
            Write::Sandbox(record) => self.sandbox(record, undo),
            Write::Execution(record) => self.execution(record, undo),
            Write::Idempotency(record) => self.idempotency(record, undo),
            Write::Key(record) => self.key(record, undo),
            Write::RevokeKey { id, at } => {
                if let Some(row) = self.keys.get_mut(&id.to_string()).filter(|row| row.revoked_at.is_none()) {
                    row.revoked_at = Some(at.0);
                    undo.push(Before::Revoked(row.id.clone()));
                }
                Ok(())
            }
            Write::Usage { sandbox, at, cpu_us } => {
                let to = Meter { at: at.0, cpu_us: i64::try_from(*cpu_us).unwrap_or(i64::MAX) };
                self.metered(&sandbox.to_string(), to, undo);
                Ok(())
            }
            Write::Transferred(record) => {
                self.transferred(record, undo);
                Ok(())
            }
            Write::Event(event) => {
                self.event(event, undo);
                Ok(())
            }
            Write::Webhook(record) => {
                let newest_event = self.last_cursor;
                self.webhooks(undo).write(record, newest_event)
            }
            Write::WebhookProgress { id, generation, progress } => {
                self.webhooks(undo).progress(*id, *generation, progress);
                Ok(())
            }
            Write::Delivery(delivery) => {
                self.webhooks(undo).deliver(delivery);
                Ok(())
            }
            Write::RemoveWebhook(id) => {
                self.webhooks(undo).remove(*id);
                Ok(())
            }
        }
    }

    fn sandbox(&mut self, record: &SandboxRecord, undo: &mut Vec<Before>) -> Result<()> {
        let row = SandboxRow::from(record);
        if let Some(stored) = self.sandboxes.get(&row.id)
            && !row.may_replace(stored)
        {
            let generation = Generation(u64::try_from(stored.generation).unwrap_or(0));
            return Err(check::stale_sandbox(record.id, record.generation, generation, &stored.phase));
        }
        undo.push(Before::Sandbox(row.id.clone(), self.sandboxes.insert(row.id.clone(), row.clone())));
        self.sandbox_used(&row, undo);
        Ok(())
    }

    fn execution(&mut self, record: &ExecutionRecord, undo: &mut Vec<Before>) -> Result<()> {
        let row = ExecutionRow::from(record);
        if self.executions.get(&row.id).is_some_and(ExecutionRow::is_finished) {
            return Ok(());
        }
        if !self.sandboxes.contains_key(&row.sandbox_id) {
            return Err(check::orphan_execution(record.id, record.sandbox));
        }
        undo.push(Before::Execution(row.id.clone(), self.executions.insert(row.id.clone(), row.clone())));
        self.execution_used(&row, undo);
        Ok(())
    }

    fn idempotency(&mut self, record: &IdempotencyRecord, undo: &mut Vec<Before>) -> Result<()> {
        let row = IdempotencyRow::from(record);
        let key = (row.tenant_id.clone(), row.key.clone());
        let stored = self.idempotency.get(&key).cloned();
        let row = match &stored {
            Some(stored) if stored.request != row.request => return Err(check::known_request(&record.once.key)),
            Some(stored) => IdempotencyRow { created_at: stored.created_at, ..row },
            None => row,
        };
        self.idempotency.insert(key.clone(), row);
        undo.push(Before::Idempotency(key, stored));
        Ok(())
    }

    fn key(&mut self, record: &KeyRecord, undo: &mut Vec<Before>) -> Result<()> {
        let row = KeyRow::from(record);
        if self.keys.contains_key(&row.id) {
            return Err(check::known_key(record.id));
        }
        undo.push(Before::Key(row.id.clone()));
        self.keys.insert(row.id.clone(), row);
        Ok(())
    }

    fn event(&mut self, event: &NewEvent, undo: &mut Vec<Before>) {
        self.last_cursor += 1;
        undo.push(Before::Event(self.last_cursor));
        self.events.insert(self.last_cursor, EventRow::new(self.last_cursor, event));
    }

    /// The webhooks, to be changed.
    fn webhooks(&mut self, undo: &mut Vec<Before>) -> &mut Webhooks {
        undo.push(Before::Webhooks(self.webhooks.clone()));
        &mut self.webhooks
    }

    fn put_back(&mut self, before: Before) {
        match before {
            Before::Sandbox(id, row) => put_back(&mut self.sandboxes, id, row),
            Before::Execution(id, row) => put_back(&mut self.executions, id, row),
            Before::Idempotency(key, row) => put_back(&mut self.idempotency, key, row),
            Before::Key(id) => put_back(&mut self.keys, id, None),
            Before::Revoked(id) => {
                if let Some(row) = self.keys.get_mut(&id) {
                    row.revoked_at = None;
                }
            }
            Before::Event(cursor) => put_back(&mut self.events, cursor, None),
            Before::Usage(key, used) => put_back(&mut self.usage, key, used),
            Before::Meter(id, meter) => put_back(&mut self.meters, id, meter),
            Before::Webhooks(webhooks) => self.webhooks = webhooks,
        }
    }

    /// As [`crate::Store::remove_finished`].
    pub(super) fn remove_finished(&mut self, before: Millis, rows_max: u32) -> Removed {
        let ended = |row: &SandboxRow| row.finished_at.filter(|at| *at < before.0).map(|at| (at, row.id.clone()));
        let mut oldest: Vec<_> = self.sandboxes.values().filter_map(ended).collect();
        oldest.sort_unstable();
        oldest.truncate(usize::try_from(rows_max).unwrap_or(usize::MAX));
        let gone: BTreeSet<String> = oldest.into_iter().map(|(_, id)| id).collect();
        self.sandboxes.retain(|id, _| !gone.contains(id));
        let is_old = |row: &EventRow| match &row.sandbox_id {
            Some(id) => gone.contains(id),
            None => row.created_at < before.0,
        };
        let removed: Vec<EventRow> = self.events.extract_if(.., |_, row| is_old(row)).map(|(_, row)| row).collect();
        self.webhooks.lose(&removed);
        self.idempotency.retain(|_, row| before.0 <= row.created_at);
        self.meters.retain(|id, _| !gone.contains(id));
        self.forget_usage(before);
        let executions: Vec<_> = self.executions.extract_if(.., |_, row| gone.contains(&row.sandbox_id)).collect();
        let output_bytes = output_bytes(executions.iter().map(|(_, row)| row));
        let with_files = executions.iter().filter(|(_, row)| row.has_file()).filter_map(|(id, _)| id.parse().ok());
        Removed { with_files: with_files.collect(), output_bytes }
    }

    /// As [`crate::Store::stored_output`].
    pub(super) fn stored_output(&self) -> Vec<(TenantId, u64)> {
        output_bytes(self.executions.values().filter(|row| row.is_finished()))
    }
}

fn output_bytes<'a>(rows: impl Iterator<Item = &'a ExecutionRow>) -> Vec<(TenantId, u64)> {
    let mut sums = BTreeMap::<TenantId, u64>::new();
    for row in rows {
        *sums.entry(TenantId::from_stored(&row.tenant_id)).or_default() += row.stored_bytes();
    }
    sums.into_iter().collect()
}

fn put_back<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(table.insert(key, value)),
        None => drop(table.remove(&key)),
    }
}

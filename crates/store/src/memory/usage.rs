//! What was used, as a database adds it up.

use std::collections::BTreeMap;

use sentinal_model::{Millis, Result, TenantId, UsageBy, UsageSum, limits::USAGE_RETENTION};

use super::tables::{Before, Tables};
use crate::{
    UsageQuery, UsageRecord,
    meter::{HOUR_MS, Meter, hour_of},
    row::{ExecutionRow, SandboxRow, UsageKey, UsageRow},
};

impl Tables {
    /// As the statements of `sqlite::usage::sandbox`.
    pub(super) fn sandbox_used(&mut self, row: &SandboxRow, undo: &mut Vec<Before>) {
        if row.tenant_id.is_empty() {
            return;
        }
        if !self.meters.contains_key(&row.id) {
            self.meters.insert(row.id.clone(), Meter { at: row.finished_at.unwrap_or(row.created_at), cpu_us: 0 });
            undo.push(Before::Meter(row.id.clone(), None));
            if row.finished_at.is_none() {
                self.add(
                    row.usage_key(hour_of(row.created_at)),
                    UsageSum { sandboxes: 1, ..UsageSum::default() },
                    undo,
                );
            }
        }
        if let Some(at) = row.finished_at {
            self.advance(row, Meter { at, cpu_us: 0 }, undo);
        }
    }

    /// As `sqlite::usage::metered`.
    pub(super) fn metered(&mut self, sandbox: &str, to: Meter, undo: &mut Vec<Before>) {
        let row = self.sandboxes.get(sandbox).filter(|row| !row.is_finished()).cloned();
        if let Some(row) = row {
            self.advance(&row, to, undo);
        }
    }

    /// As `sqlite::usage::execution`.
    pub(super) fn execution_used(&mut self, row: &ExecutionRow, undo: &mut Vec<Before>) {
        let Some((at, used)) = row.used() else { return };
        let engine = self.sandboxes.get(&row.sandbox_id).and_then(|sandbox| sandbox.engine.clone());
        self.add(row.usage_key(hour_of(at), engine.unwrap_or_default()), used, undo);
    }

    /// As `sqlite::usage::transferred`.
    pub(super) fn transferred(&mut self, record: &UsageRecord, undo: &mut Vec<Before>) {
        self.add(UsageKey::of(record), record.used, undo);
    }

    pub(super) fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        let mut sums = BTreeMap::<UsageKey, UsageSum>::new();
        let of_tenant = self.usage.iter().filter(|(key, _)| key.tenant_id == tenant.as_str());
        for (key, used) in of_tenant.filter(|(key, _)| query.since.0 <= key.hour && key.hour < query.until.0) {
            let sum = sums.entry(grouped(key, query.by)).or_default();
            *sum = sum.plus(*used);
        }
        let rows = sums.into_iter().map(|(key, used)| UsageRow::new(key, used));
        Ok(rows.map(UsageRecord::try_from).collect::<std::result::Result<_, _>>()?)
    }

    pub(super) fn forget_usage(&mut self, before: Millis) {
        let kept_ms = i64::try_from(USAGE_RETENTION.as_millis()).unwrap_or(i64::MAX);
        self.usage.retain(|key, _| before.0.saturating_sub(kept_ms) <= key.hour);
    }

    fn advance(&mut self, row: &SandboxRow, to: Meter, undo: &mut Vec<Before>) {
        let Some(known) = self.meters.get(&row.id).copied() else { return };
        let (next, shares) = known.advance(to, row.memory_mib());
        self.meters.insert(row.id.clone(), next);
        undo.push(Before::Meter(row.id.clone(), Some(known)));
        for share in shares {
            self.add(row.usage_key(share.hour), share.used, undo);
        }
    }

    fn add(&mut self, key: UsageKey, used: UsageSum, undo: &mut Vec<Before>) {
        let before = self.usage.get(&key).copied();
        undo.push(Before::Usage(key.clone(), before));
        self.usage.insert(key, before.unwrap_or_default().plus(used));
    }
}

fn grouped(key: &UsageKey, by: UsageBy) -> UsageKey {
    let (mut engine, mut key_id, mut hour) = (String::new(), String::new(), 0);
    match by {
        UsageBy::Hour => hour = key.hour,
        UsageBy::Day => hour = key.hour.div_euclid(24 * HOUR_MS) * 24 * HOUR_MS,
        UsageBy::Key => key_id.clone_from(&key.key_id),
        UsageBy::Engine => engine.clone_from(&key.engine),
    }
    UsageKey { tenant_id: key.tenant_id.clone(), hour, engine, key_id }
}

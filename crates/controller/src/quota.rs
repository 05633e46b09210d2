//! How much a tenant has at once, and that it is not more than it may.
//!
//! What sandboxes have is counted where one is placed, under the table's lock, and executions where one is entered, under
//! theirs: nobody comes in between. Nothing is kept of it but the sandboxes and executions themselves, so whatever ends,
//! however it ends, is not counted any more. Stored output is a sum that is read at the start.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sentinal_auth::{Permit, ReadQuota};
use sentinal_model::{Amounts, QuotaName, Result, Spec, TenantId};
use sentinal_store::ExecutionState;

use crate::{api::Controller, context::Context, entry::Entry, live::Live};

/// A quota, and how much of it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Of what.
    pub name: QuotaName,
    /// How much there may be; `None` is as much as the node has room for.
    pub limit: Option<u64>,
    /// How much there is.
    pub used: u64,
}

impl Controller {
    /// Every quota of a tenant, and how much of it is in use now.
    pub fn quotas(&self, permit: &Permit<ReadQuota>) -> Vec<Quota> {
        let (context, tenant) = (&self.context, permit.tenant());
        let limits = &context.parts.settings.quotas;
        let used = of_sandboxes(&context.table.all(), tenant).plus(of_executions(context, tenant));
        let quota = |name| Quota { name, limit: limits.limit(name), used: used.of(name) };
        QuotaName::ALL.map(quota).into()
    }
}

/// What a sandbox takes of the quotas.
pub(crate) fn of_spec(spec: &Spec) -> Amounts {
    Amounts::default()
        .with(QuotaName::Sandboxes, 1)
        .with(QuotaName::Cpu, spec.cpu.milli().into())
        .with(QuotaName::Memory, spec.memory.bytes())
        .with(QuotaName::Disk, spec.disk.bytes())
}

/// What the sandboxes of a tenant take, those that it is just claiming included.
pub(crate) fn of_sandboxes(entries: &[Arc<Entry>], tenant: &TenantId) -> Amounts {
    let taken = entries.iter().filter(|entry| entry.is_kept_for(tenant)).map(|entry| of_spec(&entry.record().spec));
    taken.fold(Amounts::default(), Amounts::plus)
}

/// Refuses one more execution, before anything is done for it: how many run is decided once more where it is entered. What
/// those that run go on to write is bounded by what one may store.
pub(crate) fn check_execution(context: &Context, tenant: &TenantId) -> Result<()> {
    let one = Amounts::default().with(QuotaName::Executions, 1).with(QuotaName::Output, 1);
    context.parts.settings.quotas.check(&of_executions(context, tenant), &one)
}

/// What the executions of a tenant take.
fn of_executions(context: &Context, tenant: &TenantId) -> Amounts {
    let stored = context.stored.of_tenant(tenant).saturating_add(context.live.stored_by(tenant));
    Amounts::default().with(QuotaName::Executions, context.live.of_tenant(tenant)).with(QuotaName::Output, stored)
}

/// The output of executions that have ended, in bytes by tenant, for as long as it is kept.
#[derive(Debug, Default)]
pub(crate) struct StoredOutput(Mutex<HashMap<TenantId, u64>>);

impl StoredOutput {
    /// As the store has it.
    pub(crate) fn of(sums: Vec<(TenantId, u64)>) -> Self {
        Self(Mutex::new(sums.into_iter().collect()))
    }

    /// An execution has ended, durably.
    pub(crate) fn ended(&self, live: &Live, state: &ExecutionState) {
        if let ExecutionState::Finished { stdout, stderr, .. } = state {
            let bytes = stdout.bytes_stored.saturating_add(stderr.bytes_stored);
            let mut sums = self.lock();
            let sum = sums.entry(live.record.tenant.clone()).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }

    /// Records are gone, and their output with them.
    pub(crate) fn removed(&self, removed: &[(TenantId, u64)]) {
        let mut sums = self.lock();
        for (tenant, bytes) in removed {
            if let Some(sum) = sums.get_mut(tenant) {
                *sum = sum.saturating_sub(*bytes);
            }
        }
    }

    fn of_tenant(&self, tenant: &TenantId) -> u64 {
        self.lock().get(tenant).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

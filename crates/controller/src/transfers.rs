//! Bytes of files on their way into sandboxes and out of them, for the sums of what was used. They are counted here, as
//! they pass: nothing is believed that an agent says of them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use sentinal_auth::{Action, Permit};
use sentinal_model::{EngineName, KeyId, Millis, Result, TenantId, UsageSum};
use sentinal_store::{UsageRecord, Write};

use crate::{activity::Use, context::Context};

/// With which key on which engine: as many as there are of both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Party {
    tenant: TenantId,
    key: KeyId,
    engine: Option<EngineName>,
}

/// What was downloaded and is in no sum yet, by whom.
#[derive(Debug, Default)]
pub(crate) struct Downloads(Mutex<BTreeMap<Party, u64>>);

/// How much has passed of one upload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passed(Arc<AtomicU64>);

impl Party {
    pub(crate) fn of<A: Action>(permit: &Permit<A>, used: &Use) -> Self {
        Self { tenant: permit.tenant().clone(), key: permit.key(), engine: used.entry().record().engine }
    }

    fn record(self, at: Millis, used: UsageSum) -> Write {
        let Self { tenant, key, engine } = self;
        Write::Transferred(Box::new(UsageRecord { tenant, hour: at, engine, key: Some(key), used }))
    }
}

impl Passed {
    /// The same bytes, counted.
    pub(crate) fn count(&self, body: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
        let passed = Self(Arc::clone(&self.0));
        body.inspect(move |piece| passed.add(piece)).boxed()
    }

    fn add(&self, piece: &Result<Bytes>) {
        self.0.fetch_add(length(piece), Ordering::Relaxed);
    }

    /// Adds it to the sums: for the commit that says that the upload is there.
    pub(crate) fn uploaded(&self, by: Party, at: Millis) -> Write {
        by.record(at, UsageSum { uploaded_bytes: self.0.load(Ordering::Relaxed), ..UsageSum::default() })
    }
}

impl Downloads {
    /// One more piece has gone out.
    pub(crate) fn add(&self, by: &Party, piece: &Result<Bytes>) {
        self.plus(by, length(piece));
    }

    fn plus(&self, by: &Party, bytes: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(by) {
            Some(sum) => *sum = sum.saturating_add(bytes),
            None => drop(all.insert(by.clone(), bytes)),
        }
    }

    fn take(&self) -> BTreeMap<Party, u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Adds what was downloaded since the last time to the sums.
pub(crate) async fn write_downloads(context: &Context) {
    let (all, now) = (context.downloads.take(), context.now());
    if all.is_empty() {
        return;
    }
    let sum = |bytes| UsageSum { downloaded_bytes: bytes, ..UsageSum::default() };
    let writes = all.iter().map(|(by, bytes)| by.clone().record(now, sum(*bytes))).collect();
    if let Err(error) = context.write(writes).await {
        tracing::warn!(?error, "what was downloaded is not added up yet");
        for (by, bytes) in &all {
            context.downloads.plus(by, *bytes);
        }
    }
}

fn length(piece: &Result<Bytes>) -> u64 {
    piece.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX))
}

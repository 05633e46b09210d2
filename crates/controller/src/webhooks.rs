//! Webhooks: events, delivered to addresses of their owners.
//!
//! The events that are kept are the queue. A webhook is a position among them, written down with every attempt, and a task
//! of its own ([`deliver`]) that sends one event at a time, in order: what one receiver does is no trouble to another. What
//! follows from an answer is pure ([`decide`]); how something is sent is somebody else's matter ([`SendWebhooks`]).

mod decide;
mod deliver;
mod send;

pub use self::send::{NoWebhooks, SendWebhooks, WebhookAnswer, WebhookMessage, event_id};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sentinal_auth::{CreateWebhook, Permit, ReadWebhook, RemoveWebhook, TestWebhook, UpdateWebhook};
use sentinal_model::{
    Code, Error, EventName, Generation, Made, Once, Result, TenantId, WebhookId, WebhookSecret, WebhookSpec,
    WebhookUpdate, limits,
};
use sentinal_store::{DeliveryRecord, Page, WebhookProgress, WebhookRecord, Write};
use tokio::sync::{Mutex as Lock, Semaphore, watch};

use crate::{
    api::Controller,
    context::Context,
    events,
    idempotency::{self, Mark, Outcome},
};

/// A webhook to be created.
#[derive(Debug)]
pub struct NewWebhook {
    /// What it shall be.
    pub spec: WebhookSpec,
    /// What its caller calls the request, if it may be sent again.
    pub once: Option<Once>,
}

/// A webhook that is there.
#[derive(Debug)]
pub struct CreatedWebhook {
    /// As it is.
    pub record: WebhookRecord,
    /// Whether the same request had created it before.
    pub is_replay: bool,
}

/// The tasks of all webhooks.
#[derive(Debug)]
pub(crate) struct Webhooks {
    /// Changes are made one at a time.
    changes: Lock<()>,
    /// Tells the task of each that it was changed.
    changed: Mutex<HashMap<WebhookId, watch::Sender<()>>>,
    /// Room for attempts.
    attempts: Semaphore,
}

impl Default for Webhooks {
    fn default() -> Self {
        let attempts = Semaphore::new(limits::WEBHOOK_ATTEMPTS_MAX);
        Self { changes: Lock::default(), changed: Mutex::default(), attempts }
    }
}

impl Webhooks {
    fn changed(&self) -> MutexGuard<'_, HashMap<WebhookId, watch::Sender<()>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, id: WebhookId) {
        if let Some(changed) = self.changed().get(&id) {
            changed.send_replace(());
        }
    }
}

/// Goes on with every webhook there is.
pub(crate) async fn start(context: &Arc<Context>) -> Result<()> {
    for record in context.store().all_webhooks().await? {
        start_one(context, record.id, record.tenant);
    }
    Ok(())
}

fn start_one(context: &Arc<Context>, id: WebhookId, tenant: TenantId) {
    let (changed, seen) = watch::channel(());
    context.webhooks.changed().insert(id, changed);
    context.spawn(deliver::deliver(Arc::clone(context), id, tenant, seen));
}

impl Controller {
    /// Has events delivered that happen from now on. The same request again is answered with the same webhook.
    pub async fn create_webhook(&self, permit: &Permit<CreateWebhook>, new: NewWebhook) -> Result<CreatedWebhook> {
        let NewWebhook { spec, once } = new;
        self.context.parts.webhooks.check(&spec.url)?;
        let (context, tenant) = (Arc::clone(&self.context), permit.tenant().clone());
        let make = |mark| async move {
            let own = Arc::clone(&context);
            context.complete(async move { create(&own, tenant, spec, mark).await }).await
        };
        match idempotency::once(&self.context, permit.tenant(), once, make).await? {
            Outcome::New(record) => Ok(CreatedWebhook { record, is_replay: false }),
            Outcome::Again(made) => {
                let Made::Webhook(id) = made else { return Err(idempotency::forgotten(made)) };
                let is_gone = |error: &Error| error.code() == Code::NotFound;
                let record = find(&self.context, permit.tenant(), id).await;
                let record =
                    record.map_err(|error| if is_gone(&error) { idempotency::forgotten(made) } else { error })?;
                Ok(CreatedWebhook { record, is_replay: true })
            }
        }
    }

    /// Webhooks, newest first.
    pub async fn webhooks(&self, permit: &Permit<ReadWebhook>, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        self.context.store().webhooks(permit.tenant(), page).await
    }

    /// A webhook as it is.
    pub async fn webhook(&self, permit: &Permit<ReadWebhook>, id: WebhookId) -> Result<WebhookRecord> {
        find(&self.context, permit.tenant(), id).await
    }

    /// Attempts of a webhook that are remembered, newest first.
    pub async fn deliveries(
        &self,
        permit: &Permit<ReadWebhook>,
        id: WebhookId,
        page: Page<i64>,
    ) -> Result<Vec<DeliveryRecord>> {
        find(&self.context, permit.tenant(), id).await?;
        self.context.store().deliveries(id, page).await
    }

    /// Changes a webhook. What could not be delivered is tried again at once.
    pub async fn update_webhook(
        &self,
        permit: &Permit<UpdateWebhook>,
        id: WebhookId,
        update: WebhookUpdate,
    ) -> Result<WebhookRecord> {
        if let Some(url) = &update.url {
            self.context.parts.webhooks.check(url)?;
        }
        let (context, tenant) = (Arc::clone(&self.context), permit.tenant().clone());
        self.context.complete(async move { change(&context, &tenant, id, update).await }).await
    }

    /// Delivers nothing any more, and forgets what was delivered.
    pub async fn remove_webhook(&self, permit: &Permit<RemoveWebhook>, id: WebhookId) -> Result<()> {
        let (context, tenant) = (Arc::clone(&self.context), permit.tenant().clone());
        self.context.complete(async move { remove(&context, &tenant, id).await }).await
    }

    /// Sends an event that never happened, once, and answers what came back.
    pub async fn test_webhook(&self, permit: &Permit<TestWebhook>, id: WebhookId) -> Result<WebhookAnswer> {
        let (context, record) = (&self.context, find(&self.context, permit.tenant(), id).await?);
        let _turn = context.webhooks.attempts.try_acquire().map_err(|_| {
            Error::new(Code::RateLimited, "as many events are being delivered as can be at once; try again")
        })?;
        let (at, random) = (context.now(), context.parts.entropy.token()?);
        let number = u64::from_be_bytes(random[..8].try_into().unwrap_or_default());
        let event = events::webhook_test(&record, at);
        let message = WebhookMessage { record: &record, id: format!("test_{number:016x}"), at, event: &event };
        Ok(context.parts.webhooks.send(message).await)
    }
}

async fn create(
    context: &Arc<Context>,
    tenant: TenantId,
    spec: WebhookSpec,
    mark: Option<Mark>,
) -> Result<WebhookRecord> {
    let _changes = context.webhooks.changes.lock().await;
    let page = Page { after: None, rows_max: u32::MAX };
    if limits::WEBHOOKS_MAX <= context.store().webhooks(&tenant, page).await?.len() {
        let message = format!("there are {} webhooks, the most there may be; remove one", limits::WEBHOOKS_MAX);
        return Err(Error::new(Code::QuotaExceeded, message));
    }
    let record = WebhookRecord {
        id: context.parts.entropy.webhook(),
        tenant,
        generation: Generation::FIRST,
        spec,
        secret: WebhookSecret::from_bytes(context.parts.entropy.token()?),
        is_enabled: true,
        disabled_reason: String::new(),
        created_at: context.now(),
        progress: WebhookProgress::default(),
        lost: 0,
    };
    // In this order: the first event that it delivers is not its own creation.
    let mut writes = vec![Write::Event(events::webhook(&record, record.created_at, EventName::WebhookCreated))];
    writes.push(Write::Webhook(Box::new(record.clone())));
    writes.extend(mark.map(|mark| mark.write(Made::Webhook(record.id))));
    let written = context.write(writes).await;
    // Also where it is not known whether it is there: the task finds out.
    start_one(context, record.id, record.tenant.clone());
    written?;
    tracing::info!(tenant = %record.tenant, webhook = %record.id, "webhook created");
    find(context, &record.tenant, record.id).await
}

async fn change(context: &Context, tenant: &TenantId, id: WebhookId, update: WebhookUpdate) -> Result<WebhookRecord> {
    let _changes = context.webhooks.changes.lock().await;
    let before = find(context, tenant, id).await?;
    let WebhookUpdate { url, events, description, is_enabled } = update;
    let is_enabled = is_enabled.unwrap_or(before.is_enabled);
    let record = WebhookRecord {
        generation: before.generation.next(),
        spec: WebhookSpec {
            url: url.unwrap_or(before.spec.url),
            events: events.unwrap_or(before.spec.events),
            description: description.unwrap_or(before.spec.description),
        },
        disabled_reason: if is_enabled { String::new() } else { before.disabled_reason },
        is_enabled,
        ..before
    };
    let event = events::webhook(&record, context.now(), EventName::WebhookUpdated);
    let written = context.write(vec![Write::Webhook(Box::new(record)), Write::Event(event)]).await;
    context.webhooks.wake(id);
    written?;
    find(context, tenant, id).await
}

async fn remove(context: &Context, tenant: &TenantId, id: WebhookId) -> Result<()> {
    let _changes = context.webhooks.changes.lock().await;
    let record = find(context, tenant, id).await?;
    let event = events::webhook(&record, context.now(), EventName::WebhookRemoved);
    context.write(vec![Write::RemoveWebhook(id), Write::Event(event)]).await?;
    // Its task finds nothing any more, and ends.
    context.webhooks.changed().remove(&id);
    tracing::info!(%tenant, webhook = %id, "webhook removed");
    Ok(())
}

/// A webhook of the tenant; another one's does not exist for it.
async fn find(context: &Context, tenant: &TenantId, id: WebhookId) -> Result<WebhookRecord> {
    let stored = context.store().webhook(id).await?;
    stored
        .filter(|record| record.tenant == *tenant)
        .ok_or_else(|| Error::not_found(format!("webhook {id} does not exist")))
}

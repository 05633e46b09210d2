//! The task of one webhook: the next event it wants, one attempt, what follows from it, again.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sentinal_model::{Code, EventName, Generation, Millis, Result, TenantId, WebhookId};
use sentinal_store::{EventRecord, NewDelivery, WebhookProgress, WebhookRecord, Write};
use tokio::{sync::watch, time::sleep};

use super::{
    WebhookAnswer, WebhookMessage,
    decide::{Moment, Verdict, after, decide, rest},
    event_id,
};
use crate::{context::Context, events};

/// Events read from the store at a time.
const EVENTS_PER_READ: u32 = 64;
/// Events that are not wanted and are looked at again by the next server.
const SKIPPED_MAX: usize = 256;
/// How long events may gather before the store is asked for them.
const GATHER: Duration = Duration::from_millis(20);
/// How soon a store that fails is asked again.
const STORE_REST: Duration = Duration::from_secs(1);
/// The longest sleep: the wall clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// What a step leads to.
enum Next {
    /// The webhook was removed.
    Gone,
    /// Another step.
    Step,
    /// Nothing, until it is changed.
    Change,
    /// Nothing, until something happens.
    News,
    /// Nothing for so long.
    Rest(Duration),
}

/// Delivers until the webhook is removed.
pub(super) async fn deliver(context: Arc<Context>, id: WebhookId, tenant: TenantId, mut changed: watch::Receiver<()>) {
    let mut news = context.news.subscribe(tenant, None);
    let mut course =
        Course { context, id, known: None, seen: 0, ahead: VecDeque::new(), skipped: 0, generation: None, lost: None };
    loop {
        // What comes after this is noticed, however long the step takes.
        news.mark_unchanged();
        if changed.borrow_and_update().has_changed() {
            course.known = None;
        }
        let next = course.step().await.unwrap_or_else(|error| {
            tracing::warn!(webhook = %id, ?error, "the store does not say what is to be delivered; tried again");
            Next::Rest(STORE_REST)
        });
        match next {
            Next::Gone => return,
            Next::Step => {}
            Next::News => tokio::select! {
                _ = changed.changed() => course.known = None,
                _ = news.changed() => sleep(GATHER).await,
            },
            Next::Change => {
                // That nobody can change it any more is a change, too: it is gone.
                drop(changed.changed().await);
                course.known = None;
            }
            Next::Rest(rest) => {
                tokio::select! {
                    _ = changed.changed() => {}
                    () = sleep(rest.min(SLEEP_MAX)) => {}
                }
                course.known = None;
            }
        }
    }
}

/// Where a webhook is on its way through the events.
struct Course {
    context: Arc<Context>,
    id: WebhookId,
    /// As it was read, until something may have changed it: news alone are no reason to read it again.
    known: Option<WebhookRecord>,
    /// The last event of which it is known that nothing is to be done. Ahead of what is written down by events that are
    /// not wanted: they are looked at again by the next server, and cost no write.
    seen: i64,
    /// Events after that, as they were read.
    ahead: VecDeque<EventRecord>,
    /// How many were not wanted since that was written down.
    skipped: usize,
    /// Of the webhook, when events were read.
    generation: Option<Generation>,
    /// As many as were said to be lost.
    lost: Option<u64>,
}

impl Course {
    async fn step(&mut self) -> Result<Next> {
        if self.known.is_none() {
            self.known = self.context.store().webhook(self.id).await?;
        }
        let Some(record) = self.known.clone() else { return Ok(Next::Gone) };
        self.tell_of_lost(record.lost);
        self.seen = self.seen.max(record.progress.position);
        if self.generation.replace(record.generation) != Some(record.generation) {
            // What was attempted while it was changed does not count: it may have to be read again.
            self.ahead.clear();
        }
        if !record.is_enabled {
            return Ok(Next::Change);
        }
        if let Some(rest) = rest(&record.progress, self.context.now()) {
            return Ok(Next::Rest(rest));
        }
        if self.ahead.is_empty() {
            let events = self.context.store().events(&record.tenant, None, self.seen, EVENTS_PER_READ).await?;
            if events.is_empty() {
                return Ok(Next::News);
            }
            self.ahead.extend(events);
        }
        match self.wanted(&record) {
            Some(event) => self.attempt(record, event).await,
            None => self.skip(&record).await,
        }
    }

    fn tell_of_lost(&mut self, lost: u64) {
        let more = lost.saturating_sub(self.lost.replace(lost).unwrap_or(lost));
        if 0 < more {
            self.context.metrics().webhook_lost(more);
            tracing::warn!(webhook = %self.id, events = more, "events were removed before they could be delivered");
        }
    }

    /// The next event that it wants.
    fn wanted(&mut self, record: &WebhookRecord) -> Option<EventRecord> {
        while let Some(event) = self.ahead.pop_front() {
            if record.spec.events.takes(&event.event.name) {
                return Some(event);
            }
            self.seen = event.cursor;
            self.skipped += 1;
        }
        None
    }

    /// Writes down what was not wanted, once it is much.
    async fn skip(&mut self, record: &WebhookRecord) -> Result<Next> {
        if SKIPPED_MAX <= self.skipped {
            let progress = WebhookProgress { position: self.seen, ..record.progress };
            self.known = None;
            self.context.write(vec![progressed(record, progress)]).await?;
            self.skipped = 0;
        }
        Ok(Next::Step)
    }

    async fn attempt(&mut self, record: WebhookRecord, event: EventRecord) -> Result<Next> {
        let context = Arc::clone(&self.context);
        self.known = None;
        let turn = context.webhooks.attempts.acquire().await;
        let (at, id) = (context.now(), event_id(event.cursor));
        let answer = context.parts.webhooks.send(WebhookMessage { record: &record, id, at, event: &event }).await;
        drop(turn);
        let chance = context.parts.entropy.token().map_or(0.5, |random| f64::from(random[0]) / f64::from(u8::MAX));
        let first_wait = context.parts.settings.webhook_retry;
        let verdict = decide(&answer, &record.progress, Moment { now: context.now(), first_wait, chance });
        context.metrics().webhook_attempted(verdict.result(), answer.took);
        if verdict == Verdict::GivenUp {
            tracing::warn!(webhook = %self.id, event = event.cursor, "an event was given up");
        }
        let delivery = Write::Delivery(Box::new(delivered(&record, &event, at, (&answer, &verdict))));
        let progress = after(record.progress, &verdict, event.cursor, context.now());
        if !verdict.is_over() {
            // The same event again, if it is still kept by then.
            self.ahead.clear();
        }
        match &verdict {
            Verdict::Disabled(reason) => {
                patiently(self.id, || self.disable(&record, reason, delivery.clone())).await?;
            }
            Verdict::Delivered | Verdict::Retry(_) | Verdict::GivenUp => {
                let writes = [progressed(&record, progress), delivery];
                patiently(self.id, || context.write(writes.to_vec())).await?;
            }
        }
        Ok(Next::Step)
    }

    /// Unless it was changed while the attempt was under way.
    async fn disable(&self, record: &WebhookRecord, reason: &str, delivery: Write) -> Result<()> {
        let context = &self.context;
        let _changes = context.webhooks.changes.lock().await;
        let stored = context.store().webhook(self.id).await?;
        let Some(stored) = stored.filter(|stored| stored.generation == record.generation) else {
            return context.write(vec![delivery]).await;
        };
        let generation = stored.generation.next();
        let record = WebhookRecord { generation, is_enabled: false, disabled_reason: reason.to_owned(), ..stored };
        let event = events::webhook(&record, context.now(), EventName::WebhookDisabled);
        context.write(vec![delivery, Write::Webhook(Box::new(record)), Write::Event(event)]).await?;
        tracing::warn!(webhook = %self.id, reason, "webhook disabled");
        context.metrics().webhook_disabled();
        Ok(())
    }
}

/// Writes down what was done, however long the store cannot: it is not done again for want of a disk.
async fn patiently<F: Future<Output = Result<()>>>(id: WebhookId, mut write: impl FnMut() -> F) -> Result<()> {
    loop {
        match write().await {
            Err(error) if matches!(error.code(), Code::NoCapacity | Code::Unavailable) => {
                tracing::warn!(webhook = %id, ?error, "a delivery is not written down yet");
                sleep(STORE_REST).await;
            }
            done => return done,
        }
    }
}

fn progressed(record: &WebhookRecord, progress: WebhookProgress) -> Write {
    Write::WebhookProgress { id: record.id, generation: record.generation, progress }
}

fn delivered(
    record: &WebhookRecord,
    event: &EventRecord,
    at: Millis,
    (answer, verdict): (&WebhookAnswer, &Verdict),
) -> NewDelivery {
    NewDelivery {
        webhook: record.id,
        tenant: record.tenant.clone(),
        event: event.cursor,
        name: event.event.name.clone(),
        attempt: record.progress.failures.saturating_add(1),
        at,
        took: answer.took,
        result: verdict.result(),
        status: answer.status,
        error: answer.error.clone().unwrap_or_default(),
        retry_at: verdict.retry_at(),
    }
}

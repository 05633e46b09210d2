//! What every store does with webhooks.

use std::time::Duration;

use sentinal_model::{
    Code, DeliveryResult, EventFilter, EventName, Generation, Millis, WebhookId, WebhookSecret, WebhookSpec, limits,
};
use sentinal_store::{
    MemoryStore, NewDelivery, NewEvent, Page, SqliteStore, Store, WebhookProgress, WebhookRecord, Write,
};

use crate::{
    conformance::conformance,
    records::{event, finished, tenant, write},
};

conformance!(
    a_webhook_begins_after_what_has_happened,
    webhooks_are_listed_newest_first_in_pages_of_one_tenant,
    a_change_leaves_where_a_webhook_is,
    an_older_change_of_a_webhook_is_a_conflict,
    how_far_a_webhook_is_counts_for_what_it_was,
    attempts_are_remembered_newest_first_and_not_for_ever,
    a_webhook_that_is_removed_leaves_nothing,
    retention_counts_what_a_webhook_lost,
);

fn id(number: u8) -> WebhookId {
    WebhookId::from_bytes([number; 16])
}

fn webhook(number: u8) -> WebhookRecord {
    let events = EventFilter::Named([EventName::SandboxCreated, EventName::FileMoved].into());
    WebhookRecord {
        id: id(number),
        tenant: tenant("default"),
        generation: Generation::FIRST,
        spec: WebhookSpec { url: format!("https://example.com/{number}"), events, description: "for the team".into() },
        secret: WebhookSecret::from_bytes([number; 32]),
        is_enabled: true,
        disabled_reason: String::new(),
        created_at: Millis(1000),
        progress: WebhookProgress::default(),
        lost: 0,
    }
}

fn put(record: &WebhookRecord) -> Write {
    Write::Webhook(Box::new(record.clone()))
}

fn delivery(number: u8, event: i64, result: DeliveryResult) -> NewDelivery {
    NewDelivery {
        webhook: id(number),
        tenant: tenant("default"),
        event,
        name: "Sandbox Created".to_owned(),
        attempt: 3,
        at: Millis(2000),
        took: Duration::from_micros(1234),
        result,
        status: Some(500),
        error: "no".to_owned(),
        retry_at: Some(Millis(3000)),
    }
}

async fn stored(store: &dyn Store, number: u8) -> WebhookRecord {
    store.webhook(id(number)).await.unwrap().unwrap()
}

async fn a_webhook_begins_after_what_has_happened(store: &dyn Store) {
    let wrong = WebhookProgress { position: 99, failures: 3, ..WebhookProgress::default() };
    let record = WebhookRecord { progress: wrong, ..webhook(1) };
    store.write(vec![Write::Event(event(None, 1)), put(&record), Write::Event(event(None, 2))]).await.unwrap();
    let first = store.events(&record.tenant, None, 0, 1).await.unwrap().pop().unwrap();
    let progress = WebhookProgress { position: first.cursor, ..WebhookProgress::default() };
    assert_eq!(stored(store, 1).await, WebhookRecord { progress, ..record.clone() });
    assert_eq!(store.events(&record.tenant, None, progress.position, 10).await.unwrap()[0].event.at, Millis(2));
    let all = EventFilter::All;
    let record = WebhookRecord {
        spec: WebhookSpec { events: all, ..webhook(2).spec },
        is_enabled: false,
        disabled_reason: "it is gone".to_owned(),
        ..webhook(2)
    };
    store.write(vec![put(&record)]).await.unwrap();
    let second = stored(store, 2).await;
    assert_eq!((&second.spec, second.is_enabled), (&record.spec, false));
    assert_eq!(second.disabled_reason, record.disabled_reason);
    assert_eq!(store.webhook(id(9)).await.unwrap(), None);
}

async fn webhooks_are_listed_newest_first_in_pages_of_one_tenant(store: &dyn Store) {
    let others = WebhookRecord { tenant: tenant("other"), ..webhook(4) };
    store.write(vec![put(&webhook(1)), put(&webhook(2)), put(&webhook(3)), put(&others)]).await.unwrap();
    let ids = |rows: Vec<WebhookRecord>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    let page = Page { after: None, rows_max: 2 };
    assert_eq!(ids(store.webhooks(&tenant("default"), page).await.unwrap()), [id(3), id(2)]);
    let page = Page { after: Some(id(2)), rows_max: 2 };
    assert_eq!(ids(store.webhooks(&tenant("default"), page).await.unwrap()), [id(1)]);
    assert_eq!(ids(store.all_webhooks().await.unwrap()), [id(1), id(2), id(3), id(4)]);
}

async fn a_change_leaves_where_a_webhook_is(store: &dyn Store) {
    store.write(vec![Write::Event(event(None, 1)), put(&webhook(1))]).await.unwrap();
    let before = stored(store, 1).await;
    let failing = WebhookProgress {
        failures: 2,
        retry_at: Some(Millis(5)),
        failing_since: Some(Millis(4)),
        given_up: 1,
        ..before.progress
    };
    let write = Write::WebhookProgress { id: id(1), generation: before.generation, progress: failing };
    store.write(vec![write, Write::Event(event(None, 2))]).await.unwrap();
    assert_eq!(stored(store, 1).await.progress, failing);
    let spec = WebhookSpec { url: "https://example.com/new".to_owned(), ..before.spec.clone() };
    let secret = WebhookSecret::from_bytes([9; 32]);
    let changed = WebhookRecord { generation: before.generation.next(), spec, secret, ..before.clone() };
    store.write(vec![put(&changed)]).await.unwrap();
    let position = before.progress.position;
    let progress = WebhookProgress { position, given_up: 1, ..WebhookProgress::default() };
    assert_eq!(stored(store, 1).await, WebhookRecord { progress, secret: before.secret, ..changed });
}

async fn an_older_change_of_a_webhook_is_a_conflict(store: &dyn Store) {
    let newer = WebhookRecord { generation: Generation(2), ..webhook(1) };
    store.write(vec![put(&newer), put(&newer)]).await.unwrap();
    let others = WebhookRecord { tenant: tenant("other"), generation: Generation(3), ..webhook(1) };
    for late in [webhook(1), others] {
        let error = store.write(vec![put(&webhook(2)), put(&late)]).await.unwrap_err();
        assert_eq!(error.code(), Code::Conflict);
    }
    assert_eq!(store.webhook(id(2)).await.unwrap(), None);
    assert_eq!(stored(store, 1).await, newer);
}

async fn how_far_a_webhook_is_counts_for_what_it_was(store: &dyn Store) {
    store.write(vec![put(&webhook(1))]).await.unwrap();
    let progress = WebhookProgress { position: 7, ..WebhookProgress::default() };
    let late = Write::WebhookProgress { id: id(1), generation: Generation(9), progress };
    let of_nobody = Write::WebhookProgress { id: id(2), generation: Generation::FIRST, progress };
    store.write(vec![late, of_nobody]).await.unwrap();
    assert_eq!(stored(store, 1).await.progress, WebhookProgress::default());
}

async fn attempts_are_remembered_newest_first_and_not_for_ever(store: &dyn Store) {
    store.write(vec![put(&webhook(1)), put(&webhook(2))]).await.unwrap();
    let other = delivery(2, 1, DeliveryResult::Delivered);
    store.write(vec![Write::Delivery(Box::new(other.clone()))]).await.unwrap();
    let kept = i64::from(limits::WEBHOOK_DELIVERIES_KEPT_MAX);
    let attempts = (1..=kept + 5).map(|event| delivery(1, event, DeliveryResult::GivenUp));
    store.write(attempts.map(|delivery| Write::Delivery(Box::new(delivery))).collect()).await.unwrap();
    let of_nobody = Write::Delivery(Box::new(delivery(3, 1, DeliveryResult::Failed)));
    store.write(vec![of_nobody]).await.unwrap();

    let all = store.deliveries(id(1), Page { after: None, rows_max: 1000 }).await.unwrap();
    let events: Vec<i64> = all.iter().map(|row| row.delivery.event).collect();
    assert_eq!(events, (6..=kept + 5).rev().collect::<Vec<_>>());
    assert_eq!(all[0].delivery, delivery(1, kept + 5, DeliveryResult::GivenUp));
    let page = Page { after: Some(all[1].number), rows_max: 1 };
    assert_eq!(store.deliveries(id(1), page).await.unwrap(), [all[2].clone()]);
    let of_other = store.deliveries(id(2), Page { after: None, rows_max: 9 }).await.unwrap();
    assert_eq!(of_other.into_iter().map(|row| row.delivery).collect::<Vec<_>>(), [other]);
    assert!(store.deliveries(id(3), Page { after: None, rows_max: 9 }).await.unwrap().is_empty());
}

async fn a_webhook_that_is_removed_leaves_nothing(store: &dyn Store) {
    let made = Write::Delivery(Box::new(delivery(1, 1, DeliveryResult::Failed)));
    store.write(vec![put(&webhook(1)), put(&webhook(2)), made]).await.unwrap();
    for _ in 0..2 {
        store.write(vec![Write::RemoveWebhook(id(1))]).await.unwrap();
    }
    assert_eq!(store.webhook(id(1)).await.unwrap(), None);
    assert!(store.deliveries(id(1), Page { after: None, rows_max: 9 }).await.unwrap().is_empty());
    assert_eq!(store.all_webhooks().await.unwrap().len(), 1);
}

async fn retention_counts_what_a_webhook_lost(store: &dyn Store) {
    let moved = |sandbox| NewEvent { name: "File Moved".to_owned(), ..event(sandbox, 1) };
    let paused = NewEvent { name: "Sandbox Paused".to_owned(), ..event(None, 1) };
    let theirs = NewEvent { tenant: tenant("other"), ..event(None, 1) };
    let old = finished(1, 5000);
    let before = vec![write(&old), Write::Event(event(None, 1)), put(&webhook(1)), put(&webhook(2))];
    store.write(before).await.unwrap();
    let events = [moved(Some(old.id)), event(Some(old.id), 2), moved(None), paused, theirs, event(None, 9000)];
    store.write(events.map(Write::Event).into()).await.unwrap();
    // The second has delivered the first of them.
    let webhook = stored(store, 2).await;
    let first = store.events(&webhook.tenant, None, webhook.progress.position, 1).await.unwrap().pop().unwrap();
    let progress = WebhookProgress { position: first.cursor, ..webhook.progress };
    let write = Write::WebhookProgress { id: id(2), generation: webhook.generation, progress };
    store.write(vec![write]).await.unwrap();
    store.remove_finished(Millis(6000), 100).await.unwrap();
    assert_eq!((stored(store, 1).await.lost, stored(store, 2).await.lost), (3, 2));
    store.remove_finished(Millis(6000), 100).await.unwrap();
    assert_eq!(stored(store, 1).await.lost, 3);
}

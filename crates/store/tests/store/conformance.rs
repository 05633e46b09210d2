//! What every store does, as one suite that runs over each of them.

use std::collections::BTreeMap;

use sentinal_model::{
    Code, End, ExecutionId, Failure, Generation, KeyId, Made, Millis, Once, Phase, TenantId, UsageBy, UsageSum,
};
use sentinal_store::{
    IdempotencyRecord, MemoryStore, NewEvent, OutputPlace, Page, Removed, SandboxFilter, SqliteStore, Store,
    UsageQuery, Write,
};

use crate::records::{
    ended, event, execution, finished, key, pooled, running, sandbox, sandbox_id, tenant, write, write_execution,
};

macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let store = super::SqliteStore::open(&folder.path().join("store.db")).await.unwrap();
                super::$name(&store).await;
                store.close().await;
            })+
        }

        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::MemoryStore::new()).await;
            })+
        }
    };
}
pub(crate) use conformance;

conformance!(
    what_was_written_is_read,
    an_unknown_id_is_no_row,
    an_older_generation_is_a_conflict,
    the_same_generation_may_be_written_again,
    a_finished_sandbox_is_never_unfinished,
    another_tenant_cannot_take_a_sandbox_over,
    what_is_pooled_becomes_somebodys_once,
    what_is_pooled_is_nobodys,
    a_list_goes_by_creation,
    a_batch_is_applied_as_a_whole_or_not_at_all,
    a_batch_is_applied_in_order,
    a_finished_sandbox_without_a_time_is_refused,
    a_finished_execution_stays_as_it_is,
    an_execution_needs_its_sandbox,
    lists_are_newest_first_in_pages_of_one_tenant,
    sandboxes_are_listed_by_their_labels,
    executions_are_listed_by_sandbox,
    the_unfinished_are_found,
    what_a_request_has_made_is_found_again,
    retention_forgets_requests,
    a_revoked_key_is_gone_for_good,
    keys_are_listed_newest_first_in_pages,
    the_largest_page_says_that_there_is_another,
    what_was_used_is_added_up_once,
    what_was_used_is_added_up_by_what_is_asked_for,
    what_was_transferred_is_added_up,
    what_was_used_outlives_what_used_it,
    events_come_by_cursor,
    the_newest_event_of_a_tenant_is_found,
    retention_takes_what_ended_before,
    stored_output_is_known_until_it_goes,
    retention_takes_the_oldest_first,
    retention_takes_more_than_one_transaction_holds,
    a_ping_and_a_touch_are_taken,
);

const ALL: SandboxFilter = SandboxFilter { labels: BTreeMap::new() };
const FROM_THE_NEWEST: Page<sentinal_model::SandboxId> = Page { after: None, rows_max: 100 };

async fn check_conflict(store: &dyn Store, writes: Vec<Write>) {
    let error = store.write(writes).await.unwrap_err();
    assert_eq!(error.code(), Code::Conflict, "{error:?}");
}

async fn what_was_written_is_read(store: &dyn Store) {
    let stopping = {
        let running = running(2);
        let placement = running.phase.placement().unwrap().clone();
        let phase = Phase::Stopping(placement, End::Failed(Failure::Oom));
        sentinal_store::SandboxRecord { phase, message: "out of memory".to_owned(), one_shot: true, ..running }
    };
    for record in [sandbox(1), stopping, running(3), finished(4, 5000)] {
        store.write(vec![write(&record)]).await.unwrap();
        assert_eq!(store.sandbox(record.id).await.unwrap(), Some(record));
    }
    let started = execution(1, &running(3));
    for record in [started.clone(), ended(&started, 3, OutputPlace::Row(b"hello\n".to_vec()))] {
        store.write(vec![write_execution(&record)]).await.unwrap();
        assert_eq!(store.execution(record.id).await.unwrap(), Some(record));
    }
    store.write(vec![Write::Key(key(1))]).await.unwrap();
    assert_eq!(store.keys().await.unwrap(), [key(1)]);
}

async fn an_unknown_id_is_no_row(store: &dyn Store) {
    assert_eq!(store.sandbox(sandbox_id(1)).await.unwrap(), None);
    assert_eq!(store.execution(ExecutionId::generate()).await.unwrap(), None);
    assert!(store.events(&tenant("default"), None, 0, 10).await.unwrap().is_empty());
}

async fn an_older_generation_is_a_conflict(store: &dyn Store) {
    let newer = running(1);
    store.write(vec![write(&newer)]).await.unwrap();
    check_conflict(store, vec![write(&sandbox(1))]).await;
    assert_eq!(store.sandbox(newer.id).await.unwrap(), Some(newer));
}

async fn the_same_generation_may_be_written_again(store: &dyn Store) {
    let mut record = sandbox(1);
    store.write(vec![write(&record)]).await.unwrap();
    record.message.push_str("still waiting for room");
    store.write(vec![write(&record)]).await.unwrap();
    assert_eq!(store.sandbox(record.id).await.unwrap(), Some(record));
}

async fn a_finished_sandbox_is_never_unfinished(store: &dyn Store) {
    let end = finished(1, 5000);
    store.write(vec![write(&end)]).await.unwrap();
    for generation in [end.generation, end.generation.next()] {
        let mut late = running(1);
        late.generation = generation;
        check_conflict(store, vec![write(&late)]).await;
    }
    store.write(vec![write(&end)]).await.unwrap();
    assert_eq!(store.sandbox(end.id).await.unwrap(), Some(end));
}

async fn another_tenant_cannot_take_a_sandbox_over(store: &dyn Store) {
    let mut record = sandbox(1);
    store.write(vec![write(&record)]).await.unwrap();
    record.tenant = tenant("other");
    record.generation = Generation(9);
    check_conflict(store, vec![write(&record)]).await;
}

async fn what_is_pooled_becomes_somebodys_once(store: &dyn Store) {
    let waiting = pooled(1);
    store.write(vec![write(&waiting)]).await.unwrap();
    assert_eq!(store.sandbox(waiting.id).await.unwrap(), Some(waiting.clone()));
    assert_eq!(store.unfinished_sandboxes().await.unwrap(), std::slice::from_ref(&waiting));
    assert_eq!(store.sandboxes(&tenant("default"), &ALL, FROM_THE_NEWEST).await.unwrap(), []);
    let claimed = sentinal_store::SandboxRecord { generation: waiting.generation.next(), ..running(1) };
    store.write(vec![write(&claimed)]).await.unwrap();
    assert_eq!(
        store.sandboxes(&tenant("default"), &ALL, FROM_THE_NEWEST).await.unwrap(),
        std::slice::from_ref(&claimed)
    );
    let generation = claimed.generation.next();
    let of_another = sentinal_store::SandboxRecord { tenant: tenant("other"), generation, ..claimed.clone() };
    check_conflict(store, vec![write(&of_another)]).await;
    check_conflict(store, vec![write(&sentinal_store::SandboxRecord { generation, ..waiting })]).await;
    assert_eq!(store.sandbox(claimed.id).await.unwrap(), Some(claimed));
}

async fn what_is_pooled_is_nobodys(store: &dyn Store) {
    let nobodys = sentinal_store::SandboxRecord { pooled: None, ..pooled(1) };
    let somebodys = sentinal_store::SandboxRecord { tenant: tenant("default"), ..pooled(1) };
    let key = sentinal_store::KeyRecord { tenant: sentinal_model::TenantId::nobody(), ..key(1) };
    for refused in [write(&nobodys), write(&somebodys), Write::Key(key)] {
        assert_eq!(store.write(vec![refused]).await.unwrap_err().code(), Code::Internal);
    }
}

async fn a_list_goes_by_creation(store: &dyn Store) {
    let created =
        |number, at| sentinal_store::SandboxRecord { created_at: Millis(at), finished_at: None, ..running(number) };
    let rows = [created(1, 5000), created(2, 1000), created(3, 5000), created(4, 3000)];
    store.write(rows.iter().map(write).collect()).await.unwrap();
    let mut page = Page { after: None, rows_max: 1 };
    let mut seen = Vec::new();
    while let Some(row) = store.sandboxes(&tenant("default"), &ALL, page).await.unwrap().pop() {
        page.after = Some(row.id);
        seen.push(row.id);
    }
    assert_eq!(seen, [3, 1, 4, 2].map(sandbox_id));
    // A row that is gone, or somebody else's, stands where its id says.
    let gone = sentinal_model::SandboxId::from_bytes([0; 16]);
    let after_gone = Page { after: Some(gone), rows_max: 9 };
    assert_eq!(store.sandboxes(&tenant("default"), &ALL, after_gone).await.unwrap(), []);
}

async fn a_batch_is_applied_as_a_whole_or_not_at_all(store: &dyn Store) {
    store.write(vec![write(&running(1)), Write::Key(key(1))]).await.unwrap();
    let revoke = Write::RevokeKey { id: key(1).id, at: Millis(1) };
    let other = sandbox(2);
    let batch = vec![
        write(&other),
        write_execution(&execution(1, &other)),
        Write::Event(event(Some(other.id), 1)),
        Write::Key(key(2)),
        revoke,
        write(&finished(1, 5000)),
        write(&sandbox(1)),
    ];
    check_conflict(store, batch).await;
    assert_eq!(store.sandboxes(&tenant("default"), &ALL, FROM_THE_NEWEST).await.unwrap(), [running(1)]);
    assert_eq!(store.running_executions().await.unwrap(), []);
    assert_eq!(store.events(&tenant("default"), None, 0, 10).await.unwrap(), []);
    assert_eq!(store.keys().await.unwrap(), [key(1)]);
}

async fn a_batch_is_applied_in_order(store: &dyn Store) {
    let started = execution(1, &running(1));
    let done = ended(&started, 0, OutputPlace::default());
    let batch = vec![write(&sandbox(1)), write(&running(1)), write_execution(&started), write_execution(&done)];
    store.write(batch).await.unwrap();
    assert_eq!(store.sandbox(sandbox_id(1)).await.unwrap(), Some(running(1)));
    assert_eq!(store.execution(done.id).await.unwrap(), Some(done));
}

async fn a_finished_sandbox_without_a_time_is_refused(store: &dyn Store) {
    let mut record = finished(1, 5000);
    record.finished_at = None;
    assert_eq!(store.write(vec![write(&record)]).await.unwrap_err().code(), Code::Internal);
    let mut record = running(1);
    record.finished_at = Some(Millis(1));
    assert_eq!(store.write(vec![write(&record)]).await.unwrap_err().code(), Code::Internal);
}

async fn a_finished_execution_stays_as_it_is(store: &dyn Store) {
    let started = execution(1, &running(1));
    let done = ended(&started, 3, OutputPlace::default());
    store.write(vec![write(&running(1)), write_execution(&done)]).await.unwrap();
    let again = ended(&started, 9, OutputPlace::File);
    store.write(vec![write_execution(&started), write_execution(&again)]).await.unwrap();
    assert_eq!(store.execution(done.id).await.unwrap(), Some(done));
}

async fn an_execution_needs_its_sandbox(store: &dyn Store) {
    check_conflict(store, vec![write_execution(&execution(1, &sandbox(1)))]).await;
}

async fn lists_are_newest_first_in_pages_of_one_tenant(store: &dyn Store) {
    let mut batch: Vec<_> = (1..=5).map(|number| write(&sandbox(number))).collect();
    let mut others = sandbox(6);
    others.tenant = tenant("other");
    batch.push(write(&others));
    store.write(batch).await.unwrap();
    let mut page = Page { after: None, rows_max: 2 };
    let mut seen = Vec::new();
    loop {
        let rows = store.sandboxes(&tenant("default"), &ALL, page).await.unwrap();
        assert!(rows.len() <= 2);
        let Some(last) = rows.last() else { break };
        page.after = Some(last.id);
        seen.extend(rows.into_iter().map(|row| row.id));
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(sandbox_id));
    assert_eq!(store.sandboxes(&tenant("other"), &ALL, FROM_THE_NEWEST).await.unwrap(), [others]);
    let of_nobody = store.sandboxes(&tenant("nobody"), &ALL, FROM_THE_NEWEST).await.unwrap();
    assert!(of_nobody.is_empty());
}

async fn sandboxes_are_listed_by_their_labels(store: &dyn Store) {
    let labels =
        |all: &[(&str, &str)]| all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let labelled = |number, all: &[(&str, &str)]| {
        let mut record = sandbox(number);
        record.spec.labels = sentinal_model::Labels::try_from(labels(all)).unwrap();
        record
    };
    let records = [
        labelled(1, &[("team", "blue"), ("stage", "a=b")]),
        labelled(2, &[("team", "blue")]),
        labelled(3, &[("team", "red"), ("it's \"$.x\"", "")]),
        labelled(4, &[]),
    ];
    store.write(records.iter().map(write).collect()).await.unwrap();
    for (wanted, expected) in [
        (labels(&[]), vec![4, 3, 2, 1]),
        (labels(&[("team", "blue")]), vec![2, 1]),
        (labels(&[("team", "blue"), ("stage", "a=b")]), vec![1]),
        (labels(&[("it's \"$.x\"", "")]), vec![3]),
        (labels(&[("team", "")]), vec![]),
        (labels(&[("blue", "team")]), vec![]),
    ] {
        let filter = SandboxFilter { labels: wanted };
        let found = store.sandboxes(&tenant("default"), &filter, FROM_THE_NEWEST).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(sandbox_id).collect();
        assert_eq!(found.into_iter().map(|record| record.id).collect::<Vec<_>>(), expected, "{filter:?}");
    }
    let page = Page { after: Some(sandbox_id(2)), rows_max: 1 };
    let filter = SandboxFilter { labels: labels(&[("team", "blue")]) };
    assert_eq!(store.sandboxes(&tenant("default"), &filter, page).await.unwrap(), [records[0].clone()]);
}

async fn executions_are_listed_by_sandbox(store: &dyn Store) {
    let (first, second) = (running(1), running(2));
    let of_first = [execution(1, &first), execution(3, &first)];
    let of_second = execution(2, &second);
    let mut batch = vec![write(&first), write(&second), write_execution(&of_second)];
    batch.extend(of_first.iter().map(write_execution));
    store.write(batch).await.unwrap();
    let page = Page { after: None, rows_max: 10 };
    let listed = |sandbox| store.executions(&first.tenant, sandbox, page);
    assert_eq!(listed(Some(first.id)).await.unwrap(), [of_first[1].clone(), of_first[0].clone()]);
    assert_eq!(listed(None).await.unwrap(), [of_first[1].clone(), of_second.clone(), of_first[0].clone()]);
    let after_newest = Page { after: Some(of_first[1].id), rows_max: 1 };
    assert_eq!(store.executions(&first.tenant, None, after_newest).await.unwrap(), [of_second]);
    assert!(store.executions(&tenant("other"), Some(first.id), page).await.unwrap().is_empty());
}

async fn the_unfinished_are_found(store: &dyn Store) {
    let started = execution(1, &running(2));
    let done = ended(&execution(2, &running(2)), 0, OutputPlace::default());
    let records = [sandbox(1), running(2), finished(3, 5000)];
    let mut batch: Vec<_> = records.iter().map(write).collect();
    batch.extend([write_execution(&started), write_execution(&done)]);
    store.write(batch).await.unwrap();
    assert_eq!(store.unfinished_sandboxes().await.unwrap(), [sandbox(1), running(2)]);
    assert_eq!(store.running_executions().await.unwrap(), [started]);
}

async fn what_a_request_has_made_is_found_again(store: &dyn Store) {
    let made = request("k1", Made::Sandbox(running(1).id));
    store.write(vec![write(&running(1)), Write::Idempotency(made.clone())]).await.unwrap();
    assert_eq!(store.idempotency(&made.tenant, &made.once.key).await.unwrap(), Some(made.clone()));
    // What may have been written is written again.
    store.write(vec![write(&running(1)), Write::Idempotency(made.clone())]).await.unwrap();

    let mut other = request("k1", Made::Sandbox(running(2).id));
    other.once.request = [9; 32];
    check_conflict(store, vec![write(&running(2)), Write::Idempotency(other)]).await;
    assert_eq!(store.sandbox(running(2).id).await.unwrap(), None);

    // What it had made first turned out to be of no use.
    let instead = request("k1", Made::Execution(execution(1, &running(1)).id));
    store.write(vec![Write::Idempotency(instead.clone())]).await.unwrap();
    assert_eq!(store.idempotency(&made.tenant, &made.once.key).await.unwrap(), Some(instead));

    let webhook = request("hook", Made::Webhook(sentinal_model::WebhookId::from_bytes([1; 16])));
    store.write(vec![Write::Idempotency(webhook.clone())]).await.unwrap();
    assert_eq!(store.idempotency(&webhook.tenant, &webhook.once.key).await.unwrap(), Some(webhook));

    // Another tenant's key, and another key.
    let theirs = IdempotencyRecord { tenant: TenantId::nobody(), ..made.clone() };
    let second = request("k2", Made::Execution(execution(1, &running(1)).id));
    store.write(vec![Write::Idempotency(theirs), Write::Idempotency(second.clone())]).await.unwrap();
    assert_eq!(store.idempotency(&second.tenant, &second.once.key).await.unwrap(), Some(second));
    assert_eq!(store.idempotency(&made.tenant, &"k3".parse().unwrap()).await.unwrap(), None);
}

async fn retention_forgets_requests(store: &dyn Store) {
    let old = request("old", Made::Sandbox(running(1).id));
    let young = IdempotencyRecord { created_at: Millis(6000), ..request("young", old.made) };
    store.write(vec![Write::Idempotency(old.clone()), Write::Idempotency(young.clone())]).await.unwrap();
    store.remove_finished(Millis(6000), 100).await.unwrap();
    assert_eq!(store.idempotency(&old.tenant, &old.once.key).await.unwrap(), None);
    assert_eq!(store.idempotency(&young.tenant, &young.once.key).await.unwrap(), Some(young));
}

fn request(key: &str, made: Made) -> IdempotencyRecord {
    let once = Once { key: key.parse().unwrap(), request: [7; 32] };
    IdempotencyRecord { tenant: tenant("one"), once, made, created_at: Millis(5000) }
}

async fn a_revoked_key_is_gone_for_good(store: &dyn Store) {
    store.write(vec![Write::Key(key(1)), Write::Key(key(2))]).await.unwrap();
    check_conflict(store, vec![Write::Key(key(2))]).await;
    for id in [key(1).id, key(1).id, KeyId::generate()] {
        store.write(vec![Write::RevokeKey { id, at: Millis(9) }]).await.unwrap();
    }
    assert_eq!(store.keys().await.unwrap(), [key(2)]);
    check_conflict(store, vec![Write::Key(key(1))]).await;
}

async fn keys_are_listed_newest_first_in_pages(store: &dyn Store) {
    let at = |number, at| sentinal_store::KeyRecord { created_at: Millis(at), ..key(number) };
    let others = sentinal_store::KeyRecord { tenant: tenant("other"), ..key(9) };
    let written = [at(3, 10), at(1, 20), at(2, 20), others];
    store.write(written.iter().cloned().map(Write::Key).collect()).await.unwrap();
    store.write(vec![Write::RevokeKey { id: key(1).id, at: Millis(30) }]).await.unwrap();
    store.touch_key(key(2).id, Millis(40)).await.unwrap();
    let revoked = sentinal_store::KeyRecord { revoked_at: Some(Millis(30)), ..at(1, 20) };
    let used = sentinal_store::KeyRecord { last_used_at: Some(Millis(40)), ..at(2, 20) };
    let tenant = tenant("default");
    let page = |after: Option<u64>| Page { after: after.map(|number| key(number).id), rows_max: 2 };
    assert_eq!(store.keys_of(&tenant, page(None)).await.unwrap(), [used, revoked.clone()]);
    assert_eq!(store.keys_of(&tenant, page(Some(1))).await.unwrap(), [at(3, 10)]);
    assert!(store.keys_of(&tenant, page(Some(3))).await.unwrap().is_empty());
    assert!(store.keys_of(&tenant, page(Some(7))).await.unwrap().is_empty());
    assert_eq!(store.key(key(1).id).await.unwrap(), Some(revoked));
    assert_eq!(store.key(key(7).id).await.unwrap(), None);
}

async fn the_largest_page_says_that_there_is_another(store: &dyn Store) {
    let max = sentinal_model::limits::PAGE_ROWS_MAX;
    store.write((0..u64::from(max) + 2).map(|number| Write::Key(key(number))).collect()).await.unwrap();
    for (rows_max, found) in [(max, 1000), (max + 1, 1001), (u32::MAX, 1001)] {
        let page = store.keys_of(&tenant("default"), Page { after: None, rows_max }).await.unwrap();
        assert_eq!(page.len(), found, "{rows_max}");
    }
}

const HOUR: i64 = 3_600_000;

fn usage_by(by: UsageBy) -> UsageQuery {
    UsageQuery { since: Millis(0), until: Millis(i64::MAX), by }
}

async fn total(store: &dyn Store) -> UsageSum {
    let all = store.usage(&tenant("default"), usage_by(UsageBy::Hour)).await.unwrap();
    all.into_iter().fold(UsageSum::default(), |sum, record| sum.plus(record.used))
}

fn used(number: u64, at: i64, cpu_us: u64) -> Write {
    Write::Usage { sandbox: sandbox_id(number), at: Millis(at), cpu_us }
}

async fn what_was_used_is_added_up_once(store: &dyn Store) {
    let memory_mib = running(1).spec.memory.bytes() >> 20;
    let check = async |sandboxes: u64, sandbox_ms: u64, cpu_us: u64| {
        let (memory_mib_ms, sum) = (memory_mib * sandbox_ms, total(store).await);
        assert_eq!(sum, UsageSum { sandboxes, sandbox_ms, cpu_us, memory_mib_ms, ..UsageSum::default() });
    };
    // What is pooled is nobody's use.
    store.write(vec![write(&pooled(1)), used(1, 500, 70)]).await.unwrap();
    check(0, 0, 0).await;
    let claimed = sentinal_store::SandboxRecord { generation: pooled(1).generation.next(), ..running(1) };
    for _ in 0..2 {
        store.write(vec![write(&claimed)]).await.unwrap();
        check(1, 0, 0).await;
    }
    for _ in 0..2 {
        store.write(vec![used(1, 3000, 50)]).await.unwrap();
        check(1, 2000, 50).await;
    }
    store.write(vec![used(1, 2000, 40)]).await.unwrap();
    check_conflict(store, vec![used(1, 9000, 900), write(&sandbox(1))]).await;
    check(1, 2000, 50).await;
    let end = sentinal_store::SandboxRecord { generation: claimed.generation.next(), ..finished(1, 5000) };
    for _ in 0..2 {
        store.write(vec![used(1, 5000, 80), write(&end)]).await.unwrap();
        check(1, 4000, 80).await;
    }
    store.write(vec![used(1, 8000, 90), used(2, 8000, 90)]).await.unwrap();
    check(1, 4000, 80).await;
}

async fn what_was_used_is_added_up_by_what_is_asked_for(store: &dyn Store) {
    let late = sentinal_store::SandboxRecord { created_at: Millis(30 * HOUR), key: None, ..running(2) };
    let (started, other) = (execution(1, &running(1)), execution(2, &late));
    store.write(vec![write(&running(1)), write(&late), write_execution(&started)]).await.unwrap();
    let first = ended(&started, 3, OutputPlace::Row(b"hello\n".to_vec()));
    for _ in 0..2 {
        store.write(vec![write_execution(&first)]).await.unwrap();
    }
    store.write(vec![write_execution(&ended(&other, 0, OutputPlace::Row(b"hi\n".to_vec())))]).await.unwrap();
    store.write(vec![used(1, HOUR + 1000, 5), used(2, 30 * HOUR + 1000, 7)]).await.unwrap();
    let by = async |by| store.usage(&tenant("default"), usage_by(by)).await.unwrap();
    let hours = by(UsageBy::Hour).await;
    let times: Vec<_> = hours.iter().map(|record| (record.hour.0 / HOUR, record.used.sandbox_ms)).collect();
    assert_eq!(times, [(0, 3_599_000), (1, 1000), (30, 1000)]);
    let days = by(UsageBy::Day).await;
    let times: Vec<_> = days.iter().map(|record| (record.hour.0 / HOUR, record.used.sandboxes)).collect();
    assert_eq!(times, [(0, 1), (24, 1)]);
    let engines = by(UsageBy::Engine).await;
    assert_eq!((engines.len(), engines[0].engine), (1, running(1).engine));
    assert_eq!((engines[0].used.executions[0], engines[0].used.cpu_us), (2, 12));
    let keys: Vec<_> = by(UsageBy::Key).await.iter().map(|record| (record.key, record.used.sandbox_ms)).collect();
    let (none, one) = ((None, 1000), (running(1).key, 3_600_000));
    assert!(keys.contains(&none) && keys.contains(&one), "{keys:?}");
    let some = UsageQuery { since: Millis(HOUR), until: Millis(30 * HOUR), by: UsageBy::Hour };
    assert_eq!(store.usage(&tenant("default"), some).await.unwrap(), hours[1..2]);
    assert!(store.usage(&tenant("other"), usage_by(UsageBy::Hour)).await.unwrap().is_empty());
}

/// Twice, and not at all with what is refused; in the hour of its moment.
async fn what_was_transferred_is_added_up(store: &dyn Store) {
    let record = |at, up, down| sentinal_store::UsageRecord {
        tenant: tenant("default"),
        hour: Millis(at),
        engine: running(1).engine,
        key: running(1).key,
        used: UsageSum { uploaded_bytes: up, downloaded_bytes: down, ..UsageSum::default() },
    };
    let transferred = |at, up, down| Write::Transferred(Box::new(record(at, up, down)));
    for _ in 0..2 {
        store.write(vec![transferred(HOUR + 5, 10, 1), transferred(2 * HOUR - 1, 0, 100)]).await.unwrap();
    }
    store.write(vec![write(&running(1)), write(&finished(1, 5000))]).await.unwrap();
    check_conflict(store, vec![transferred(HOUR, 1000, 1000), write(&running(1))]).await;
    let found = store.usage(&tenant("default"), usage_by(UsageBy::Hour)).await.unwrap();
    let bytes: Vec<_> =
        found.iter().map(|one| (one.hour.0, one.used.uploaded_bytes, one.used.downloaded_bytes)).collect();
    assert_eq!(bytes, [(0, 0, 0), (HOUR, 20, 202)]);
    let keys = store.usage(&tenant("default"), usage_by(UsageBy::Key)).await.unwrap();
    assert_eq!((keys.len(), keys[0].key, keys[0].used.uploaded_bytes), (1, running(1).key, 20));
}

async fn what_was_used_outlives_what_used_it(store: &dyn Store) {
    store.write(vec![write(&running(1)), used(1, 3000, 50), write(&finished(1, 5000))]).await.unwrap();
    let before = total(store).await;
    assert_eq!(before.sandbox_ms, 4000);
    store.remove_finished(Millis(HOUR), 10).await.unwrap();
    // Whoever was not told that its end was written down writes it again.
    store.write(vec![used(1, 5000, 50), write(&finished(1, 5000))]).await.unwrap();
    assert_eq!(total(store).await, before);
    store.remove_finished(Millis(HOUR), 10).await.unwrap();
    assert_eq!((store.sandbox(sandbox_id(1)).await.unwrap(), total(store).await), (None, before));
    let kept_ms = i64::try_from(sentinal_model::limits::USAGE_RETENTION.as_millis()).unwrap();
    store.remove_finished(Millis(kept_ms + HOUR), 10).await.unwrap();
    assert_eq!(total(store).await, UsageSum::default());
}

async fn events_come_by_cursor(store: &dyn Store) {
    let mut others = event(None, 4);
    others.tenant = tenant("other");
    let written = [event(Some(sandbox_id(1)), 1), event(None, 2), event(Some(sandbox_id(1)), 3)];
    store.write(written.iter().chain([&others]).cloned().map(Write::Event).collect()).await.unwrap();
    let tenant = tenant("default");
    let all = store.events(&tenant, None, 0, 10).await.unwrap();
    assert_eq!(all.iter().map(|row| row.event.clone()).collect::<Vec<_>>(), written);
    assert!(all.is_sorted_by(|a, b| a.cursor < b.cursor));
    assert_eq!(store.events(&tenant, None, all[0].cursor, 1).await.unwrap(), [all[1].clone()]);
    let of_sandbox = store.events(&tenant, Some(sandbox_id(1)), all[0].cursor, 10).await.unwrap();
    assert_eq!(of_sandbox, [all[2].clone()]);
}

async fn the_newest_event_of_a_tenant_is_found(store: &dyn Store) {
    assert_eq!(store.last_event(&tenant("one")).await.unwrap(), None);
    let theirs = NewEvent { tenant: tenant("two"), ..event(None, 3) };
    store.write(vec![Write::Event(event(None, 1)), Write::Event(event(None, 2)), Write::Event(theirs)]).await.unwrap();
    let newest = store.last_event(&event(None, 0).tenant).await.unwrap().unwrap();
    assert_eq!(newest.event, event(None, 2));
    let after = store.events(&tenant("two"), None, newest.cursor, 10).await.unwrap();
    assert_eq!(after.len(), 1);
}

async fn retention_takes_what_ended_before(store: &dyn Store) {
    let (old, young, alive) = (finished(1, 5000), finished(2, 6000), running(3));
    let of_old = [
        ended(&execution(1, &old), 0, OutputPlace::default()),
        ended(&execution(2, &old), 0, OutputPlace::File),
        execution(3, &old),
    ];
    let of_young = ended(&execution(4, &young), 0, OutputPlace::File);
    let mut batch = vec![write(&old), write(&young), write(&alive), write_execution(&of_young)];
    batch.extend(of_old.iter().map(write_execution));
    let events = [(Some(old.id), 5500), (Some(alive.id), 10), (None, 4999), (None, 6000)];
    batch.extend(events.map(|(id, at)| Write::Event(event(id, at))));
    store.write(batch).await.unwrap();

    assert_eq!(store.remove_finished(Millis(6000), 100).await.unwrap().with_files, [of_old[1].id]);
    assert_eq!(store.sandboxes(&old.tenant, &ALL, FROM_THE_NEWEST).await.unwrap(), [alive, young.clone()]);
    let page = Page { after: None, rows_max: 10 };
    assert_eq!(store.executions(&old.tenant, None, page).await.unwrap(), [of_young]);
    let left = store.events(&old.tenant, None, 0, 10).await.unwrap();
    assert_eq!(left.iter().map(|row| row.event.at.0).collect::<Vec<_>>(), [10, 6000]);
    assert_eq!(store.remove_finished(Millis(6000), 100).await.unwrap(), Removed::default());

    // The cursor of a removed event does not come back.
    let last = left.last().unwrap().cursor;
    store.remove_finished(Millis(9000), 100).await.unwrap();
    store.write(vec![Write::Event(event(None, 9999))]).await.unwrap();
    let newest = store.events(&old.tenant, None, 0, 10).await.unwrap().pop().unwrap();
    assert!(last < newest.cursor);
}

async fn stored_output_is_known_until_it_goes(store: &dyn Store) {
    assert!(store.stored_output().await.unwrap().is_empty());
    let (old, young) = (finished(1, 5000), finished(2, 6000));
    let of_old = ended(&execution(1, &old), 0, OutputPlace::File);
    let of_young = ended(&execution(2, &young), 0, OutputPlace::Row(b"hello".to_vec()));
    let mut batch = vec![write(&old), write(&young)];
    batch.extend([&of_old, &of_young, &execution(3, &young)].map(write_execution));
    store.write(batch).await.unwrap();
    let bytes = |record: &sentinal_store::ExecutionRecord| match &record.state {
        sentinal_store::ExecutionState::Finished { stdout, stderr, .. } => stdout.bytes_stored + stderr.bytes_stored,
        sentinal_store::ExecutionState::Running => 0,
    };
    let (old_bytes, young_bytes) = (bytes(&of_old), bytes(&of_young));
    assert!(0 < old_bytes && 0 < young_bytes);
    assert_eq!(store.stored_output().await.unwrap(), [(tenant("default"), old_bytes + young_bytes)]);
    let removed = store.remove_finished(Millis(6000), 100).await.unwrap();
    assert_eq!(removed.output_bytes, [(tenant("default"), old_bytes)]);
    assert_eq!(store.stored_output().await.unwrap(), [(tenant("default"), young_bytes)]);
}

async fn retention_takes_the_oldest_first(store: &dyn Store) {
    let records = [finished(1, 3000), finished(2, 1000), finished(3, 2000)];
    store.write(records.iter().map(write).collect()).await.unwrap();
    store.remove_finished(Millis(9000), 2).await.unwrap();
    assert_eq!(store.sandboxes(&records[0].tenant, &ALL, FROM_THE_NEWEST).await.unwrap(), [records[0].clone()]);
}

async fn retention_takes_more_than_one_transaction_holds(store: &dyn Store) {
    let old = finished(1, 5000);
    store.write(vec![write(&old)]).await.unwrap();
    let executions: Vec<_> = (1..=700).map(|number| ended(&execution(number, &old), 0, OutputPlace::File)).collect();
    store.write(executions.iter().map(write_execution).collect()).await.unwrap();
    store.write((0..700).map(|at| Write::Event(event(Some(old.id), at))).collect()).await.unwrap();
    let mut removed = store.remove_finished(Millis(6000), 1).await.unwrap().with_files;
    removed.sort_unstable();
    assert_eq!(removed, executions.iter().map(|record| record.id).collect::<Vec<_>>());
    assert_eq!(store.sandbox(old.id).await.unwrap(), None);
    assert!(store.events(&old.tenant, None, 0, 1).await.unwrap().is_empty());
}

async fn a_ping_and_a_touch_are_taken(store: &dyn Store) {
    store.write(vec![Write::Key(key(1))]).await.unwrap();
    store.ping().await.unwrap();
    store.touch_key(key(1).id, Millis(5)).await.unwrap();
    store.touch_key(KeyId::generate(), Millis(5)).await.unwrap();
    assert_eq!(store.key(key(1).id).await.unwrap().unwrap().last_used_at, Some(Millis(5)));
}

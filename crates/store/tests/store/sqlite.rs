//! What only the store on a disk has: a file, a lock, versions, one writer for many.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use rusqlite::Connection;
use sentinal_model::{Code, SandboxId, TenantId};
use sentinal_store::{OpenError, Page, SandboxFilter, SqliteStore, Store, Write};

use crate::records::{event, key, running, sandbox, write};

async fn open(folder: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(&folder.join("store.db")).await
}

/// Does by hand what no server does.
fn tamper(folder: &Path, sql: &str) {
    Connection::open(folder.join("store.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    store.write(vec![write(&running(1))]).await.unwrap();
    store.close().await;
    let store = open(folder.path()).await.unwrap();
    assert_eq!(store.unfinished_sandboxes().await.unwrap(), [running(1)]);
}

#[tokio::test]
async fn nobody_else_may_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    store.write(vec![Write::Key(key(1))]).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn a_second_server_is_kept_out_until_the_first_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    let refused = open(folder.path()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains("in use by another server"), "{refused}");
    store.close().await;
    open(folder.path()).await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.unwrap().close().await;
    tamper(folder.path(), "PRAGMA user_version = 9999");
    let refused = open(folder.path()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Newer { version: 9999, .. }), "{refused}");
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, "a letter to my aunt, long enough to be taken for a header of a database".repeat(9)).unwrap();
    let refused = open(folder.path()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Database { .. } | OpenError::Migrate { .. }), "{refused:?}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("a letter"));
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let refused = open(Path::new("/nonexistent/folder")).await.unwrap_err();
    assert!(refused.to_string().contains("/nonexistent/folder"), "{refused}");
}

#[tokio::test]
async fn a_damaged_row_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    let damages = [
        "UPDATE sandbox SET spec = '{}'",
        "UPDATE sandbox SET node_id = NULL",
        "UPDATE sandbox SET engine = 'steam'",
        "UPDATE sandbox SET phase = 'stopping', ending = 'happily'",
        "UPDATE sandbox SET token = x'00'",
        "UPDATE sandbox SET pooled = 'yes'",
        "UPDATE sandbox SET generation = -1",
    ];
    for damage in damages {
        let mut whole = running(1);
        whole.generation = sentinal_model::Generation(5);
        store.write(vec![write(&whole)]).await.unwrap();
        tamper(folder.path(), damage);
        let error = store.sandbox(whole.id).await.unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{damage}");
        let detail = error.detail().unwrap();
        assert!(detail.contains("sandbox") && detail.contains(&whole.id.to_string()), "{damage}: {detail}");
        assert!(!error.message().contains(&whole.id.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_fails_only_its_own_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).await.unwrap());
    store.write(vec![write(&running(1))]).await.unwrap();
    let tasks: Vec<_> = (2..130)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let good = vec![write(&sandbox(number)), Write::Event(event(None, 1))];
                let bad = vec![write(&sandbox(1000 + number)), write(&sandbox(1))];
                tokio::join!(store.write(good), store.write(bad))
            })
        })
        .collect();
    for task in tasks {
        let (good, bad) = task.await.unwrap();
        good.unwrap();
        assert_eq!(bad.unwrap_err().code(), Code::Conflict);
    }
    let page = Page::<SandboxId> { after: None, rows_max: 1000 };
    assert_eq!(store.sandboxes(&TenantId::default_tenant(), &SandboxFilter::default(), page).await.unwrap().len(), 129);
    assert_eq!(store.events(&TenantId::default_tenant(), None, 0, 1000).await.unwrap().len(), 128);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).await.unwrap());
    let mut largest = 0;
    let started = tokio::time::Instant::now();
    let mut number = 0;
    while started.elapsed() < std::time::Duration::from_secs(4) {
        let batch = (0..500).map(|_| {
            number += 1;
            let mut record = sandbox(number);
            record.message = "x".repeat(4000);
            write(&record)
        });
        store.write(batch.collect()).await.unwrap();
        largest = largest.max(std::fs::metadata(folder.path().join("store.db-wal")).unwrap().len());
    }
    println!("{number} rows; the log had {largest} bytes at most");
    assert!(largest < 512 << 20, "{largest}");
}

#[test]
fn a_store_that_is_dropped_with_its_runtime_finishes_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open(folder.path()).await.unwrap();
        store.write(vec![write(&sandbox(1))]).await.unwrap();
    });
    drop(runtime);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        let store = loop {
            match open(folder.path()).await {
                Ok(store) => break store,
                Err(OpenError::Locked { .. }) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        assert!(store.sandbox(sandbox(1).id).await.unwrap().is_some());
    });
}

//! A full disk: callers are told so, nothing is half-written, and with room again the store goes on by itself.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use sentinal_model::{Code, TenantId};
use sentinal_store::{OutputPlace, SqliteStore, Store, Write};

use crate::records::{ended, event, execution, running, write, write_execution};

const FOLDER: &str = "SENTINAL_STORE_FULL_FOLDER";

/// Not a test by itself: the test below starts it with a small disk of its own.
#[test]
fn a_child_with_a_small_disk() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(fill_and_go_on(&folder));
}

async fn fill_and_go_on(folder: &Path) {
    let reserve = folder.join("reserve");
    std::fs::write(&reserve, vec![1; 4 << 20]).unwrap();
    let store = SqliteStore::open(&folder.join("store.db")).await.unwrap();
    let mut stored = 0;
    let error = loop {
        match store.write(batch(stored)).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::NoCapacity, "{error:?}");
    assert!(error.message().contains(&folder.display().to_string()), "{error}");
    assert_eq!(store.write(batch(stored)).await.unwrap_err().code(), Code::NoCapacity);
    check(&store, stored).await;

    std::fs::remove_file(&reserve).unwrap();
    store.ping().await.unwrap();
    store.write(batch(stored)).await.unwrap();
    check(&store, stored + 1).await;
    store.close().await;
    check(&SqliteStore::open(&folder.join("store.db")).await.unwrap(), stored + 1).await;
}

fn batch(number: u64) -> Vec<Write> {
    let sandbox = running(number);
    let done = ended(&execution(number, &sandbox), 0, OutputPlace::Row(vec![b'x'; 16_000]));
    vec![write(&sandbox), write_execution(&done), Write::Event(event(None, 1))]
}

/// So many batches are there, each whole.
async fn check(store: &SqliteStore, batches: u64) {
    assert_eq!(store.unfinished_sandboxes().await.unwrap().len() as u64, batches);
    let tenant = TenantId::default_tenant();
    assert_eq!(store.events(&tenant, None, 0, 1000).await.unwrap().len() as u64, batches.min(1000));
    for number in 0..batches {
        assert!(store.execution(execution(number, &running(number)).id).await.unwrap().is_some());
    }
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let in_a_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh"]).arg(folder.path());
        command
    };
    let mount = "mount -t tmpfs -o size=8m tmpfs \"$1\"";
    if !in_a_namespace(mount).output().is_ok_and(|output| output.status.success()) {
        println!("skipped: a small disk needs a mount namespace, and this machine gives none");
        return;
    }
    let output = in_a_namespace(&format!("{mount}; shift; exec \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "disk_full::a_child_with_a_small_disk", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

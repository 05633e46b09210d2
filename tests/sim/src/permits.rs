//! A caller who may do everything. Its key is made once and has no part in any simulation.

use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use sentinal_auth::{Action, Caller, Keys, Permit, Policy};
use sentinal_model::{Clock, SystemClock};
use sentinal_store::MemoryStore;

static CALLER: OnceLock<Caller> = OnceLock::new();

/// Makes the caller. Called before the first simulation.
pub(crate) fn prepare() -> Result<()> {
    if CALLER.get().is_some() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let caller = runtime.block_on(caller())?;
    // Somebody else may have been first.
    let _ = CALLER.set(caller);
    Ok(())
}

async fn caller() -> Result<Caller> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("admin.key");
    let store = MemoryStore::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Keys::ensure_admin_key(&store, clock.as_ref(), &path).await.context("make a key")?;
    let keys = Keys::load(&store, clock).await.context("read the keys")?;
    let text = std::fs::read_to_string(&path)?;
    Ok(keys.authenticate(text.trim())?)
}

/// A permit for anything.
pub(crate) fn permit<A: Action>() -> Permit<A> {
    let caller = CALLER.get().expect("prepare() comes first");
    Policy.permit(caller).expect("an admin may do everything")
}

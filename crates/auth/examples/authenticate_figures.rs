//! Prints what authenticating a request costs here: `cargo run --release -p sentinal-auth --example authenticate_figures`.
#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::{hint::black_box, sync::Arc, time::Instant};

use sentinal_auth::{ApiKey, Keys};
use sentinal_model::{Millis, Role, SystemClock, TenantId};
use sentinal_store::{MemoryStore, Store, Write};

const CALLS: u32 = 2_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    let keys = (0..1000).map(|_| ApiKey::generate()).collect::<Result<Vec<_>, _>>()?;
    let record = |key: &ApiKey| Write::Key(key.record(TenantId::default_tenant(), Role::Admin, "figures", Millis(0)));
    store.write(keys.iter().map(record).collect()).await?;
    let known: Vec<_> = keys.iter().map(ApiKey::expose).collect();
    let loaded = Keys::load(&store, Arc::new(SystemClock)).await?;
    measure("known", &loaded, &known);
    measure("unknown", &loaded, &[ApiKey::generate()?.expose()]);
    measure("malformed", &loaded, &["x".repeat(10_000)]);
    Ok(())
}

fn measure(what: &str, keys: &Keys, bearers: &[String]) {
    let start = Instant::now();
    for bearer in bearers.iter().cycle().zip(0..CALLS).map(|(bearer, _)| bearer) {
        let _ = black_box(keys.authenticate(black_box(bearer)));
    }
    let each = start.elapsed() / CALLS;
    println!("{what:>9}: {each:?} each, {} per second", 1_000_000_000 / each.as_nanos().max(1));
}

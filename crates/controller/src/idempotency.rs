//! Requests that make something at most once, however often they are sent.
//!
//! What a request has made is written in the transaction that makes it. Of requests with the same key one is under way
//! at a time, and none is over before it is known what it has made, so what another one looks up before it makes anything
//! is the last word.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use sentinal_model::{Code, Error, IdempotencyKey, Made, Millis, Once, Result, TenantId, limits};
use sentinal_store::{IdempotencyRecord, Write};
use tokio::{
    sync::{Mutex as Lock, OwnedMutexGuard},
    time::timeout,
};

use crate::context::Context;

/// A tenant's key.
type Name = (TenantId, IdempotencyKey);

/// The keys of requests that are under way.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<BTreeMap<Name, Arc<Lock<()>>>>);

/// A request of which no other one with its key is under way.
struct Turn {
    context: Arc<Context>,
    name: Name,
    held: OwnedMutexGuard<()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self.context.requests.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = OwnedMutexGuard::mutex(&self.held);
        // The table's own, and this one's: nobody waits.
        if Arc::strong_count(lock) <= 2 {
            under_way.remove(&self.name);
        }
    }
}

/// What a request came to.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    New(T),
    /// It was made before.
    Again(Made),
}

/// A request that makes something for the first time; what it makes is written together with this.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    tenant: TenantId,
    once: Once,
    at: Millis,
}

impl Mark {
    pub(crate) fn write(&self, made: Made) -> Write {
        let Self { tenant, once, at } = self.clone();
        Write::Idempotency(IdempotencyRecord { tenant, once, made, created_at: at })
    }
}

/// Has `make` make something, unless the request has made it before. A request with a key goes on to its end if the
/// caller leaves, who may ask again; one without is dropped.
pub(crate) async fn once<T, F>(
    context: &Arc<Context>,
    tenant: &TenantId,
    once: Option<Once>,
    make: impl FnOnce(Option<Mark>) -> F,
) -> Result<Outcome<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let Some(once) = once else { return make(None).await.map(Outcome::New) };
    let turn = turn(context, (tenant.clone(), once.key.clone())).await?;
    if let Some(known) = context.store().idempotency(tenant, &once.key).await? {
        return if known.once == once { Ok(Outcome::Again(known.made)) } else { Err(another_request(&once.key)) };
    }
    let key = once.key.clone();
    let making = make(Some(Mark { tenant: tenant.clone(), once, at: context.now() }));
    let made = async move {
        let _turn = turn;
        making.await.map(Outcome::New)
    };
    timeout(limits::IDEMPOTENCY_WAIT_MAX, context.complete(made)).await.unwrap_or_else(|_| Err(still_under_way(&key)))
}

async fn turn(context: &Arc<Context>, name: Name) -> Result<Turn> {
    let lock = {
        let mut under_way = context.requests.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(under_way.entry(name.clone()).or_default())
    };
    let held = timeout(limits::IDEMPOTENCY_WAIT_MAX, lock.lock_owned()).await.map_err(|_| still_under_way(&name.1))?;
    Ok(Turn { context: Arc::clone(context), name, held })
}

fn still_under_way(key: &IdempotencyKey) -> Error {
    let message = format!("Idempotency-Key: a request with {key} is still under way; send it again later");
    Error::new(Code::Unavailable, message)
}

fn another_request(key: &IdempotencyKey) -> Error {
    let message =
        format!("Idempotency-Key: {key} was sent with another request before; send that one again, or take a new key");
    Error::new(Code::Conflict, message)
}

/// What a request gets whose first answer is not kept any more.
pub(crate) fn forgotten(made: Made) -> Error {
    let what = match made {
        Made::Sandbox(id) => format!("sandbox {id}"),
        Made::Execution(id) => format!("execution {id}"),
    };
    Error::not_found(format!("this request has made {what} before, which is not kept any more; take a new key"))
}

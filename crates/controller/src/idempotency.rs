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
use tokio::{sync::Mutex as Lock, time::timeout};

use crate::context::Context;

/// A tenant's key.
type Name = (TenantId, IdempotencyKey);

/// The keys of requests that are under way.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<BTreeMap<Name, Arc<Lock<()>>>>);

impl Requests {
    /// The turns of one key. Those of keys that nobody has in hand any more are forgotten.
    fn turns(&self, name: Name) -> Arc<Lock<()>> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, turns| 1 < Arc::strong_count(turns));
        Arc::clone(under_way.entry(name).or_default())
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
    let turns = context.requests.turns((tenant.clone(), once.key.clone()));
    let turn = timeout(limits::IDEMPOTENCY_WAIT_MAX, turns.lock_owned()).await;
    let turn = turn.map_err(|_| still_under_way(&once.key))?;
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
        Made::Webhook(id) => format!("webhook {id}"),
    };
    Error::not_found(format!("this request has made {what} before, which is not kept any more; take a new key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> Name {
        (TenantId::from_stored("one"), key.parse().unwrap())
    }

    #[tokio::test]
    async fn of_requests_with_one_key_one_is_under_way() {
        let requests = Requests::default();
        let first = requests.turns(name("a")).lock_owned().await;
        let second = requests.turns(name("a"));
        assert!(second.try_lock().is_err());
        assert!(requests.turns(name("b")).try_lock().is_ok());
        drop(first);
        assert!(second.try_lock().is_ok());
    }

    #[tokio::test]
    async fn keys_are_forgotten_with_their_requests_also_with_those_that_were_given_up() {
        let requests = Requests::default();
        for key in 0..100 {
            let held = requests.turns(name(&key.to_string())).lock_owned().await;
            let waits = requests.turns(name(&key.to_string())).lock_owned();
            drop(held);
            drop(waits);
        }
        requests.turns(name("last"));
        assert_eq!(requests.0.lock().unwrap().len(), 1);
    }
}

//! Which keys are taken. All of them are in memory: asking costs a look-up and a hash, and never waits.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sentinal_model::{Clock, Code, Error, KeyId, Millis, Result, Role, TenantId};
use sentinal_store::{KeyRecord, Store};
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use crate::{ApiKey, Caller};

/// Longest sleep towards a moment of the wall clock, so that a step of that clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// The keys of all tenants that can be used.
pub struct Keys {
    entries: RwLock<HashMap<KeyId, Entry>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Keys are changed one after the other.
    pub(crate) turns: Mutex<()>,
}

struct Entry {
    caller: Caller,
    secret_hash: [u8; 32],
    expires_at: Option<Millis>,
    /// When it was last shown; zero is never.
    used_at: AtomicI64,
    /// Whether that was since somebody last asked.
    was_used: AtomicBool,
    /// Dropped with the entry: whoever waits for its end is told by that.
    end: watch::Sender<()>,
}

impl Keys {
    /// Reads all keys that have not been revoked. One with a role that this version does not know is not taken.
    pub async fn load(store: &dyn Store, clock: Arc<dyn Clock>) -> Result<Self> {
        let entries = store.keys().await?.into_iter().filter_map(entry).collect();
        Ok(Self { entries: RwLock::new(entries), clock, turns: Mutex::default() })
    }

    /// Who shows this key: the part of the `Authorization` header after `Bearer `. Whatever is wrong with it, the
    /// answer is the same, so nobody learns which keys exist.
    pub fn authenticate(&self, bearer: &str) -> Result<Caller> {
        let key = ApiKey::parse(bearer).ok_or_else(unauthenticated)?;
        let entries = self.read();
        let entry = entries.get(&key.id());
        // An unknown key costs what a known one costs.
        let expected = entry.map_or(&[0; 32], |entry| &entry.secret_hash);
        let is_secret = verify_slices_are_equal(&key.secret_hash(), expected).is_ok();
        let now = self.clock.now();
        match entry {
            Some(entry) if is_secret && !entry.is_expired(now) => {
                entry.is_used(now);
                Ok(entry.caller.clone())
            }
            Some(_) | None => Err(unauthenticated()),
        }
    }

    /// Whether a key that was shown can still be used.
    pub fn is_taken(&self, id: KeyId) -> bool {
        self.read().get(&id).is_some_and(|entry| !entry.is_expired(self.clock.now()))
    }

    /// Resolves when the key cannot be used any more: at its expiry, or when it is revoked.
    pub fn ended(&self, id: KeyId) -> impl Future<Output = ()> + Send + 'static {
        let known = self.read().get(&id).map(|entry| (entry.end.subscribe(), entry.expires_at));
        let clock = Arc::clone(&self.clock);
        async move {
            let Some((mut end, expires_at)) = known else { return };
            loop {
                let left = expires_at.map(|at| at.since(clock.now()));
                if left == Some(Duration::ZERO) {
                    return;
                }
                if let Ok(Err(_)) = timeout(left.unwrap_or(SLEEP_MAX).min(SLEEP_MAX), end.changed()).await {
                    return;
                }
            }
        }
    }

    /// When a key was last shown to this server.
    pub fn used_at(&self, id: KeyId) -> Option<Millis> {
        let used_at = self.read().get(&id)?.used_at.load(Ordering::Relaxed);
        (used_at != 0).then_some(Millis(used_at))
    }

    /// The keys that were shown since this was last asked, and when.
    pub fn used_since(&self) -> Vec<(KeyId, Millis)> {
        let entries = self.read();
        let used = entries.iter().filter(|(_, entry)| entry.was_used.swap(false, Ordering::Relaxed));
        used.map(|(id, entry)| (*id, Millis(entry.used_at.load(Ordering::Relaxed)))).collect()
    }

    /// When a key expires.
    pub(crate) fn expiry(&self, id: KeyId) -> Option<Millis> {
        self.read().get(&id)?.expires_at
    }

    /// How many keys of a tenant can be used.
    pub(crate) fn live(&self, tenant: &TenantId, now: Millis) -> usize {
        self.read().values().filter(|entry| entry.caller.tenant == *tenant && !entry.is_expired(now)).count()
    }

    /// Whether its tenant has a usable key of role admin beside this one, or this one is no such key.
    pub(crate) fn has_other_admin(&self, record: &KeyRecord, now: Millis) -> bool {
        let entries = self.read();
        let is_admin = |entry: &Entry| entry.caller.role == Role::Admin && !entry.is_expired(now);
        let is_other =
            |entry: &Entry| entry.caller.tenant == record.tenant && entry.caller.key != record.id && is_admin(entry);
        !entries.get(&record.id).is_some_and(is_admin) || entries.values().any(is_other)
    }

    /// Takes a key from now on. Those that have expired are forgotten.
    pub(crate) fn add(&self, record: KeyRecord) {
        let now = self.clock.now();
        let mut entries = self.write();
        entries.retain(|_, entry| !entry.is_expired(now));
        entries.extend(entry(record));
    }

    /// Takes a key no more.
    pub(crate) fn remove(&self, id: KeyId) {
        self.write().remove(&id);
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<KeyId, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<KeyId, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_expired(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    fn is_used(&self, now: Millis) {
        self.used_at.store(now.0, Ordering::Relaxed);
        self.was_used.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("count", &self.read().len()).finish_non_exhaustive()
    }
}

fn entry(record: KeyRecord) -> Option<(KeyId, Entry)> {
    let Some(role) = Role::from_name(&record.role) else {
        tracing::warn!(key = %record.id, role = %record.role, "key with an unknown role not taken");
        return None;
    };
    let caller = Caller { key: record.id, tenant: record.tenant, role };
    let entry = Entry {
        caller,
        secret_hash: record.secret_hash,
        expires_at: record.expires_at,
        used_at: AtomicI64::new(0),
        was_used: AtomicBool::new(false),
        end: watch::Sender::new(()),
    };
    Some((record.id, entry))
}

fn unauthenticated() -> Error {
    Error::new(
        Code::Unauthenticated,
        "the API key is unknown, wrong or expired; send a valid one as `Authorization: Bearer KEY`",
    )
}

#[cfg(test)]
mod tests {
    use sentinal_model::TenantId;
    use sentinal_store::{MemoryStore, Write};

    use super::*;
    use crate::testing::{At, NOW};

    fn record(key: &ApiKey) -> KeyRecord {
        key.record(TenantId::from_stored("blue"), Role::Admin, "laptop", Millis(1))
    }

    async fn keys(records: impl IntoIterator<Item = KeyRecord>) -> Keys {
        let store = MemoryStore::new();
        store.write(records.into_iter().map(Write::Key).collect()).await.unwrap();
        Keys::load(&store, Arc::new(At(NOW))).await.unwrap()
    }

    fn check_refused(keys: &Keys, bearer: &str) {
        assert_eq!(keys.authenticate(bearer), Err(unauthenticated()), "{bearer:?}");
    }

    #[tokio::test]
    async fn a_key_is_its_caller() {
        let key = ApiKey::generate().unwrap();
        let other = ApiKey::generate().unwrap();
        let caller = keys([record(&other), record(&key)]).await.authenticate(&key.expose()).unwrap();
        assert_eq!((caller.key(), caller.tenant().as_str(), caller.role()), (key.id(), "blue", Role::Admin));
    }

    #[tokio::test]
    async fn whatever_is_wrong_the_answer_is_the_same() {
        let (key, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        let keys = keys([record(&key)]).await;
        let text = key.expose();
        let with_the_others_secret = format!("{}{}", &text[..38], &other.expose()[38..]);
        let flipped = if text.ends_with('0') { '1' } else { '0' };
        let last_digit_wrong = format!("{}{flipped}", &text[..101]);
        for bearer in [
            "",
            &other.expose(),
            &with_the_others_secret,
            &last_digit_wrong,
            &text[..101],
            &text.replacen("sntl_", "sk-a_", 1),
            &format!("Bearer {text}"),
            &format!("{text} "),
            &"x".repeat(10_000),
            &text.repeat(99),
        ] {
            check_refused(&keys, bearer);
        }
    }

    #[tokio::test]
    async fn a_key_is_taken_until_the_moment_it_expires() {
        for (expires_at, is_taken) in [(NOW + 1, true), (NOW, false), (NOW - 1, false)] {
            let key = ApiKey::generate().unwrap();
            let keys = keys([KeyRecord { expires_at: Some(Millis(expires_at)), ..record(&key) }]).await;
            assert_eq!(keys.authenticate(&key.expose()).is_ok(), is_taken, "{expires_at}");
        }
    }

    #[tokio::test]
    async fn a_key_with_an_unknown_role_is_not_taken() {
        let key = ApiKey::generate().unwrap();
        let keys = keys([KeyRecord { role: "emperor".to_owned(), ..record(&key) }]).await;
        check_refused(&keys, &key.expose());
    }

    #[tokio::test]
    async fn a_revoked_key_is_not_taken() {
        let key = ApiKey::generate().unwrap();
        let store = MemoryStore::new();
        let revoke = Write::RevokeKey { id: key.id(), at: Millis(2) };
        store.write(vec![Write::Key(record(&key)), revoke]).await.unwrap();
        let keys = Keys::load(&store, Arc::new(At(NOW))).await.unwrap();
        check_refused(&keys, &key.expose());
    }

    #[tokio::test]
    async fn what_stands_by_a_key_is_told_of_its_end() {
        for (expires_at, is_over) in [(None, false), (Some(NOW + 1), false), (Some(NOW), true)] {
            let key = ApiKey::generate().unwrap();
            let keys = keys([KeyRecord { expires_at: expires_at.map(Millis), ..record(&key) }]).await;
            let ended = timeout(Duration::from_millis(20), keys.ended(key.id())).await;
            assert_eq!((ended.is_ok(), keys.is_taken(key.id())), (is_over, !is_over), "{expires_at:?}");
        }
        let unknown = ApiKey::generate().unwrap().id();
        let keys = keys([]).await;
        keys.ended(unknown).await;
        assert!(!keys.is_taken(unknown));
    }

    #[tokio::test]
    async fn it_is_known_which_keys_were_used() {
        let (key, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        let keys = keys([record(&key), record(&other)]).await;
        assert_eq!((keys.used_at(key.id()), keys.used_since()), (None, vec![]));
        keys.authenticate(&key.expose()).unwrap();
        assert_eq!(keys.used_since(), [(key.id(), Millis(NOW))]);
        assert_eq!((keys.used_since(), keys.used_at(key.id())), (vec![], Some(Millis(NOW))));
    }

    #[tokio::test]
    async fn what_is_printed_holds_no_hash() {
        let key = ApiKey::generate().unwrap();
        assert_eq!(format!("{:?}", keys([record(&key)]).await), "Keys { count: 1, .. }");
    }
}

//! Which keys are taken. All of them are in memory: asking costs a look-up and a hash, and never waits.

use std::{collections::HashMap, fmt, sync::Arc};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sentinal_model::{Clock, Code, Error, KeyId, Millis, Result};
use sentinal_store::{KeyRecord, Store};

use crate::{ApiKey, Caller, Role};

/// The keys of all tenants, as they were when loaded.
pub struct Keys {
    entries: HashMap<KeyId, Entry>,
    clock: Arc<dyn Clock>,
}

struct Entry {
    caller: Caller,
    secret_hash: [u8; 32],
    expires_at: Option<Millis>,
}

impl Keys {
    /// Reads all keys that have not been revoked. One with a role that this version does not know is not taken.
    pub async fn load(store: &dyn Store, clock: Arc<dyn Clock>) -> Result<Self> {
        let entries = store.keys().await?.into_iter().filter_map(entry).collect();
        Ok(Self { entries, clock })
    }

    /// Who shows this key: the part of the `Authorization` header after `Bearer `. Whatever is wrong with it, the
    /// answer is the same, so nobody learns which keys exist.
    pub fn authenticate(&self, bearer: &str) -> Result<Caller> {
        let key = ApiKey::parse(bearer).ok_or_else(unauthenticated)?;
        let entry = self.entries.get(&key.id());
        // An unknown key costs what a known one costs.
        let expected = entry.map_or(&[0; 32], |entry| &entry.secret_hash);
        let is_secret = verify_slices_are_equal(&key.secret_hash(), expected).is_ok();
        match entry {
            Some(entry) if is_secret && !entry.is_expired(self.clock.now()) => Ok(entry.caller.clone()),
            Some(_) | None => Err(unauthenticated()),
        }
    }
}

impl Entry {
    fn is_expired(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("count", &self.entries.len()).finish_non_exhaustive()
    }
}

fn entry(record: KeyRecord) -> Option<(KeyId, Entry)> {
    let Some(role) = Role::from_stored(&record.role) else {
        tracing::warn!(key = %record.id, role = %record.role, "key with an unknown role not taken");
        return None;
    };
    let caller = Caller { key: record.id, tenant: record.tenant, role };
    Some((record.id, Entry { caller, secret_hash: record.secret_hash, expires_at: record.expires_at }))
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

    #[derive(Debug)]
    struct At(i64);

    impl Clock for At {
        fn now(&self) -> Millis {
            Millis(self.0)
        }
    }

    const NOW: i64 = 1000;

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
    async fn what_is_printed_holds_no_hash() {
        let key = ApiKey::generate().unwrap();
        assert_eq!(format!("{:?}", keys([record(&key)]).await), "Keys { count: 1, .. }");
    }
}

//! How keys come and go: what may be made and what may be ended, decided with nobody in between. Whoever has the
//! [`Turn`] writes what it says to the store first, and then tells it.

use std::fmt;

use sentinal_model::{Code, Error, Millis, Result, Role, limits};
use sentinal_store::KeyRecord;
use tokio::sync::MutexGuard;

use crate::{ApiKey, CreateKey, Keys, Permit, admin, permit::covers};

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it is for, in its owner's words.
    pub name: String,
    /// What its holder is to be.
    pub role: Role,
    /// When it stops being taken; `None` is never, or when the key does that it is made with.
    pub expires_at: Option<Millis>,
}

/// The one that changes keys at this moment.
pub struct Turn<'a> {
    keys: &'a Keys,
    _turn: MutexGuard<'a, ()>,
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

impl Keys {
    /// Waits for its turn, which is over when what this answers is dropped.
    pub async fn turn(&self) -> Turn<'_> {
        Turn { keys: self, _turn: self.turns.lock().await }
    }
}

impl Turn<'_> {
    /// A fresh key, and what is to be written of it. Nobody makes one of more rights than their own, or one that
    /// outlives their own.
    pub fn draft(&self, permit: &Permit<CreateKey>, new: NewKey) -> Result<(ApiKey, KeyRecord)> {
        let now = self.keys.clock.now();
        if !self.keys.is_taken(permit.key()) {
            return Err(Error::new(Code::Unauthenticated, "the API key cannot be used any more"));
        }
        check_role(permit.role(), new.role)?;
        check_name(&new.name)?;
        check_count(self.keys.live(permit.tenant(), now))?;
        let expires_at = expiry(new.expires_at, self.keys.expiry(permit.key()), now)?;
        let key = ApiKey::generate()?;
        let record = key.record(permit.tenant().clone(), new.role, &new.name, now);
        Ok((key, KeyRecord { expires_at, ..record }))
    }

    /// The store has it.
    pub fn made(&self, record: KeyRecord) {
        self.keys.add(record);
    }

    /// Refuses the end of the last key that could make another.
    pub fn check_revocation(&self, record: &KeyRecord) -> Result<()> {
        if self.keys.has_other_admin(record, self.keys.clock.now()) {
            return Ok(());
        }
        let id = record.id;
        Err(Error::new(
            Code::Conflict,
            format!(
                "{id} is the last usable key with the role admin; make another one first: POST /api/v1/key \
                 {{\"name\":\"...\",\"role\":\"admin\"}}"
            ),
        ))
    }

    /// The store has it revoked.
    pub fn revoked(&self, record: &KeyRecord) {
        self.keys.remove(record.id);
    }
}

fn check_role(own: Role, wanted: Role) -> Result<()> {
    if covers(own, wanted) {
        return Ok(());
    }
    let (own, wanted) = (own.as_str(), wanted.as_str());
    let message = format!("role: {own} cannot make a key with the role {wanted}, which may do more");
    Err(Error::new(Code::Forbidden, message))
}

fn check_name(name: &str) -> Result<()> {
    if name == admin::NAME {
        return Err(Error::invalid(format!("name: {name} is the key in the file of that name; take another one")));
    }
    Ok(())
}

fn check_count(live: usize) -> Result<()> {
    if live < limits::KEYS_MAX {
        return Ok(());
    }
    let message = format!("keys: {live} can be used, the most there may be; revoke some, DELETE /api/v1/key/{{id}}");
    Err(Error::new(Code::QuotaExceeded, message))
}

fn expiry(wanted: Option<Millis>, own: Option<Millis>, now: Millis) -> Result<Option<Millis>> {
    match (wanted, own) {
        (Some(wanted), _) if wanted <= now => Err(Error::invalid("expires_at: is over already")),
        (Some(wanted), Some(own)) if own < wanted => {
            let message = "expires_at: is after the end of the key that asks; a key makes none that outlives it";
            Err(Error::new(Code::Forbidden, message))
        }
        (wanted, own) => Ok(wanted.or(own)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinal_model::{KeyId, TenantId};
    use sentinal_store::{MemoryStore, Store as _, Write};

    use super::*;
    use crate::{
        Caller, Policy,
        testing::{At, NOW},
    };

    fn record(role: Role, expires_at: Option<i64>) -> KeyRecord {
        let record = ApiKey::generate().unwrap().record(TenantId::default_tenant(), role, "one", Millis(1));
        KeyRecord { expires_at: expires_at.map(Millis), ..record }
    }

    async fn keys(records: &[KeyRecord]) -> Keys {
        let store = MemoryStore::new();
        store.write(records.iter().cloned().map(Write::Key).collect()).await.unwrap();
        Keys::load(&store, Arc::new(At(NOW))).await.unwrap()
    }

    fn permit(key: KeyId) -> Permit<CreateKey> {
        Policy.permit(&Caller { key, tenant: TenantId::default_tenant(), role: Role::Admin }).unwrap()
    }

    fn new(name: &str, expires_at: Option<i64>) -> NewKey {
        NewKey { name: name.to_owned(), role: Role::Viewer, expires_at: expires_at.map(Millis) }
    }

    #[tokio::test]
    async fn a_key_that_was_made_is_taken_and_one_that_was_revoked_is_not() {
        let admin = record(Role::Admin, None);
        let keys = keys(std::slice::from_ref(&admin)).await;
        let turn = keys.turn().await;
        let (key, record) = turn.draft(&permit(admin.id), new("ci", None)).unwrap();
        assert!(keys.authenticate(&key.expose()).is_err());
        turn.made(record.clone());
        assert_eq!(keys.authenticate(&key.expose()).unwrap().role(), Role::Viewer);
        let mut ended = std::pin::pin!(keys.ended(record.id));
        assert!(futures_are_pending(ended.as_mut()).await);
        turn.check_revocation(&record).unwrap();
        turn.revoked(&record);
        ended.await;
        assert!(keys.authenticate(&key.expose()).is_err());
    }

    async fn futures_are_pending(future: impl Future<Output = ()>) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, future).await.is_err()
    }

    #[tokio::test]
    async fn nobody_makes_a_key_of_more_rights_than_their_own() {
        for own in Role::ALL {
            for wanted in Role::ALL {
                assert_eq!(check_role(own, wanted).is_ok(), covers(own, wanted), "{own:?} {wanted:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_key_does_not_outlive_the_one_it_was_made_with() {
        for (own, wanted, made) in [
            (None, None, Ok(None)),
            (None, Some(NOW + 5), Ok(Some(NOW + 5))),
            (Some(NOW + 9), None, Ok(Some(NOW + 9))),
            (Some(NOW + 9), Some(NOW + 9), Ok(Some(NOW + 9))),
            (Some(NOW + 9), Some(NOW + 10), Err(Code::Forbidden)),
            (None, Some(NOW), Err(Code::InvalidRequest)),
        ] {
            let admin = record(Role::Admin, own);
            let keys = keys(std::slice::from_ref(&admin)).await;
            let drafted = keys.turn().await.draft(&permit(admin.id), new("ci", wanted));
            let drafted = drafted.map(|(_, record)| record.expires_at.map(|at| at.0)).map_err(|error| error.code());
            assert_eq!(drafted, made, "{own:?} {wanted:?}");
        }
    }

    #[tokio::test]
    async fn the_last_usable_admin_key_stays() {
        let (admin, viewer) = (record(Role::Admin, None), record(Role::Viewer, None));
        let check = async |others: &[KeyRecord], revoked: &KeyRecord, may: bool| {
            let keys = keys(&[&[admin.clone(), viewer.clone()], others].concat()).await;
            let checked = keys.turn().await.check_revocation(revoked);
            assert_eq!(checked.as_ref().map_err(Error::code), if may { Ok(&()) } else { Err(Code::Conflict) });
        };
        check(&[], &admin, false).await;
        check(&[], &viewer, true).await;
        check(&[record(Role::Admin, Some(NOW))], &admin, false).await;
        check(&[record(Role::Admin, Some(NOW + 1))], &admin, true).await;
        let other_tenants = KeyRecord { tenant: TenantId::from_stored("blue"), ..record(Role::Admin, None) };
        check(&[other_tenants], &admin, false).await;
        let expired = record(Role::Admin, Some(NOW));
        check(std::slice::from_ref(&expired), &expired, true).await;
    }

    #[tokio::test]
    async fn there_is_a_bounded_number_of_keys_that_can_be_used() {
        let admin = record(Role::Admin, None);
        let mut all = vec![admin.clone()];
        all.extend((0..5).map(|_| record(Role::Viewer, Some(NOW))));
        let keys = keys(&all).await;
        let turn = keys.turn().await;
        for number in 1..limits::KEYS_MAX {
            let (_, record) = turn.draft(&permit(admin.id), new(&number.to_string(), None)).unwrap();
            turn.made(record);
        }
        let refused = turn.draft(&permit(admin.id), new("one more", None)).unwrap_err();
        assert_eq!(refused.code(), Code::QuotaExceeded);
    }

    #[tokio::test]
    async fn the_name_of_the_file_is_its_own() {
        let admin = record(Role::Admin, None);
        let keys = keys(std::slice::from_ref(&admin)).await;
        let refused = keys.turn().await.draft(&permit(admin.id), new("admin.key", None)).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidRequest);
    }
}

//! The first admin key: made without anybody being there, found in a file that only the server's user can read.
//!
//! | file | store | then |
//! |---|---|---|
//! | missing | whatever | a fresh key; the one made here before, if any, is revoked: removing the file renews the key |
//! | a key | knows it | nothing |
//! | a key | does not | the key is registered: the database is new, or a start was cut short |
//! | a key | revoked it | nothing but a warning: it stays revoked |
//! | anything else | whatever | an error: the operator removes the file |
//!
//! The file is written before the store, so a start that is cut short in between is the third line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sentinal_model::{Clock, Code, Error, KeyId, Role, TenantId};
use sentinal_store::{KeyRecord, Store, Write};

use crate::{ApiKey, Keys};

/// The name of every key that is made here. No other key may have it.
pub(crate) const NAME: &str = "admin.key";
/// What is read of the file at most; a key is far shorter.
const FILE_BYTES_MAX: u64 = 4096;

/// What [`Keys::ensure_admin_key`] found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminKey {
    /// A fresh key is in the file.
    Made,
    /// The file's key was unknown to the store and is known from now on.
    Registered,
    /// File and store agree.
    Known,
    /// The file's key has been revoked. Removing the file brings a fresh one at the next start.
    Revoked,
}

/// Why there is no admin key.
#[derive(Debug, thiserror::Error)]
pub enum AdminKeyError {
    /// The file is there, but what it holds is no key.
    #[error("{path} does not hold an API key; remove the file to get a fresh key at the next start")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The file's key has the id of a stored one and another secret.
    #[error("{path} holds a key with a wrong secret; remove the file to get a fresh key at the next start")]
    WrongSecret {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("read the admin key from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("write a fresh admin key to {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No key can be made or stored.
    #[error("store the admin key")]
    Store(#[from] Error),
}

impl Keys {
    /// Sees to it that the file at `path` holds a key of tenant `default` and role admin that the store knows.
    /// Before [`Keys::load`], at every start; the caller has the data folder for itself.
    pub async fn ensure_admin_key(
        store: &dyn Store,
        clock: &dyn Clock,
        path: &Path,
    ) -> Result<AdminKey, AdminKeyError> {
        let (key, is_fresh) = match read(path)? {
            Some(key) => (key, false),
            None => (write_fresh(path)?, true),
        };
        let stored = store.keys().await?;
        let mut writes = revocations(&stored, key.id(), clock);
        if let Some(record) = stored.iter().find(|record| record.id == key.id()) {
            return known(store, record, &key, writes, path).await;
        }
        writes.push(Write::Key(key.record(TenantId::default_tenant(), Role::Admin, NAME, clock.now())));
        match store.write(writes).await {
            Ok(()) => Ok(if is_fresh { AdminKey::Made } else { AdminKey::Registered }),
            Err(error) if error.code() == Code::Conflict => {
                tracing::warn!(key = %key.id(), path = %path.display(), "admin key in the file has been revoked");
                Ok(AdminKey::Revoked)
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn known(
    store: &dyn Store,
    record: &KeyRecord,
    key: &ApiKey,
    revocations: Vec<Write>,
    path: &Path,
) -> Result<AdminKey, AdminKeyError> {
    if record.secret_hash != key.secret_hash() {
        return Err(AdminKeyError::WrongSecret { path: path.to_owned() });
    }
    if !revocations.is_empty() {
        store.write(revocations).await?;
    }
    Ok(AdminKey::Known)
}

/// Ends the keys that were made here for a file that is gone.
fn revocations(stored: &[KeyRecord], but: KeyId, clock: &dyn Clock) -> Vec<Write> {
    let made_here = stored.iter().filter(|record| record.name == NAME && record.role == Role::Admin.as_str());
    made_here
        .filter(|record| record.id != but)
        .map(|record| Write::RevokeKey { id: record.id, at: clock.now() })
        .collect()
}

/// The key in the file; `None` if there is no file.
fn read(path: &Path) -> Result<Option<ApiKey>, AdminKeyError> {
    let failed = |source| AdminKeyError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "admin key can be read by other users; the operator makes its mode 0600");
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let key = std::str::from_utf8(&bytes).ok().and_then(|text| ApiKey::parse(text.trim_ascii()));
    key.map(Some).ok_or_else(|| AdminKeyError::Malformed { path: path.to_owned() })
}

fn write_fresh(path: &Path) -> Result<ApiKey, AdminKeyError> {
    let key = ApiKey::generate()?;
    write_whole(path, &key).map_err(|source| AdminKeyError::Write { path: path.to_owned(), source })?;
    Ok(key)
}

/// The file is there with all of the key, durably, or not at all.
fn write_whole(path: &Path, key: &ApiKey) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let unfinished = path.with_extension("key.unfinished");
    // Left by a start that was cut short.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{}", key.expose())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinal_model::SystemClock;
    use sentinal_store::MemoryStore;
    use tempfile::TempDir;

    use super::*;

    struct Place {
        folder: TempDir,
        store: MemoryStore,
    }

    impl Place {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), store: MemoryStore::new() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("admin.key")
        }

        async fn start(&self) -> Result<AdminKey, AdminKeyError> {
            Keys::ensure_admin_key(&self.store, &SystemClock, &self.path()).await
        }

        fn text(&self) -> String {
            fs::read_to_string(self.path()).unwrap().trim().to_owned()
        }

        async fn is_taken(&self, text: &str) -> bool {
            Keys::load(&self.store, Arc::new(SystemClock)).await.unwrap().authenticate(text).is_ok()
        }
    }

    #[tokio::test]
    async fn the_first_start_makes_a_key_and_the_next_keeps_it() {
        let place = Place::new();
        assert_eq!(place.start().await.unwrap(), AdminKey::Made);
        let text = place.text();
        assert_eq!(place.start().await.unwrap(), AdminKey::Known);
        assert_eq!(place.text(), text);
        let caller = Keys::load(&place.store, Arc::new(SystemClock)).await.unwrap().authenticate(&text).unwrap();
        assert_eq!((caller.tenant().as_str(), caller.role()), ("default", Role::Admin));
        assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_start_cut_short_after_the_file_is_finished_by_the_next() {
        let place = Place::new();
        write_fresh(&place.path()).unwrap();
        assert_eq!(place.start().await.unwrap(), AdminKey::Registered);
        assert!(place.is_taken(&place.text()).await);
    }

    #[tokio::test]
    async fn a_start_cut_short_before_the_file_is_begun_again() {
        let place = Place::new();
        fs::write(place.folder.path().join("admin.key.unfinished"), "sntl_").unwrap();
        assert_eq!(place.start().await.unwrap(), AdminKey::Made);
        assert!(place.is_taken(&place.text()).await);
    }

    #[tokio::test]
    async fn clients_keep_their_key_when_the_database_is_new() {
        let mut place = Place::new();
        place.start().await.unwrap();
        let text = place.text();
        place.store = MemoryStore::new();
        assert_eq!(place.start().await.unwrap(), AdminKey::Registered);
        assert!(place.is_taken(&text).await);
    }

    #[tokio::test]
    async fn removing_the_file_renews_the_key() {
        let place = Place::new();
        place.start().await.unwrap();
        let old = place.text();
        fs::remove_file(place.path()).unwrap();
        assert_eq!(place.start().await.unwrap(), AdminKey::Made);
        assert!(!place.is_taken(&old).await);
        assert!(place.is_taken(&place.text()).await);
        assert_eq!(place.store.keys().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_renewal_cut_short_after_the_file_still_revokes_the_old_key() {
        let place = Place::new();
        place.start().await.unwrap();
        let old = place.text();
        write_fresh(&place.path()).unwrap();
        assert_eq!(place.start().await.unwrap(), AdminKey::Registered);
        assert!(!place.is_taken(&old).await);
        assert!(place.is_taken(&place.text()).await);
    }

    #[tokio::test]
    async fn a_revoked_key_is_not_brought_back_by_its_file() {
        let place = Place::new();
        place.start().await.unwrap();
        let id = ApiKey::parse(&place.text()).unwrap().id();
        place.store.write(vec![Write::RevokeKey { id, at: SystemClock.now() }]).await.unwrap();
        assert_eq!(place.start().await.unwrap(), AdminKey::Revoked);
        assert!(!place.is_taken(&place.text()).await);
    }

    #[tokio::test]
    async fn keys_of_others_are_left_alone() {
        let place = Place::new();
        let other = ApiKey::generate().unwrap();
        let record = other.record(TenantId::default_tenant(), Role::Admin, "laptop", SystemClock.now());
        place.store.write(vec![Write::Key(record)]).await.unwrap();
        place.start().await.unwrap();
        assert!(place.is_taken(&other.expose()).await);
    }

    #[tokio::test]
    async fn a_file_that_holds_no_key_stops_the_start_and_stays() {
        for content in ["", "hello\n", "sntl_00", &"x".repeat(100_000)] {
            let place = Place::new();
            fs::write(place.path(), content).unwrap();
            let error = place.start().await.unwrap_err();
            assert!(matches!(error, AdminKeyError::Malformed { .. }), "{error}");
            assert_eq!(fs::read_to_string(place.path()).unwrap(), content);
        }
    }

    #[tokio::test]
    async fn a_key_with_another_secret_stops_the_start() {
        let place = Place::new();
        place.start().await.unwrap();
        let other = ApiKey::generate().unwrap().expose();
        fs::write(place.path(), format!("{}{}\n", &place.text()[..38], &other[38..])).unwrap();
        let error = place.start().await.unwrap_err();
        assert!(matches!(error, AdminKeyError::WrongSecret { .. }), "{error}");
    }
}

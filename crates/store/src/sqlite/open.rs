//! Opening the database: the lock, the file, the connections' settings, the tables.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sqlx::{
    ConnectOptions, SqliteConnection,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::limits;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server uses it.
    #[error(
        "the database {path} is in use by another server; stop that one, or give this one a data folder of its own"
    )]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// Its tables are ahead of this program.
    #[error(
        "the database {path} was written by a newer version (change {version} of its tables is unknown here); start that version or a later one"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The change this program does not know.
        version: i64,
    },
    /// A file cannot be made or opened.
    #[error("open {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `SQLite` does not take the file.
    #[error("open the database {path}")]
    Database {
        /// The database.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// The thread that writes cannot be started.
    #[error("start the thread that writes to the database")]
    Writer {
        /// Why.
        source: io::Error,
    },
    /// The tables cannot be brought up to this version.
    #[error("bring the tables of the database {path} up to this version")]
    Migrate {
        /// The database.
        path: PathBuf,
        /// Why.
        source: MigrateError,
    },
}

/// A database that belongs to this process for as long as a clone of this lives.
#[derive(Debug, Clone)]
pub(super) struct Database {
    path: PathBuf,
    _lock: Arc<File>,
}

impl Database {
    /// Takes the database for this process. The lock goes with the process, however it ends.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock = private_file(Path::new(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(OpenError::File { path: lock_path.into(), source }),
        }
        // SQLite gives its other files the mode of this one.
        private_file(path)?;
        Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) })
    }

    /// Connects for writing and brings the tables up to this version.
    pub(super) async fn migrate(&self) -> Result<SqliteConnection, OpenError> {
        let path = || self.path.clone();
        let connected = self.for_writing().connect().await;
        let mut connection = connected.map_err(|source| OpenError::Database { path: path(), source })?;
        match MIGRATIONS.run(&mut connection).await {
            Ok(()) => Ok(connection),
            Err(MigrateError::VersionMissing(version)) => Err(OpenError::Newer { path: path(), version }),
            Err(source) => Err(OpenError::Migrate { path: path(), source }),
        }
    }

    /// The one connection that writes. Checkpoints are made beside it: none happens in a commit.
    pub(super) fn for_writing(&self) -> SqliteConnectOptions {
        self.options()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", "0")
            .pragma("journal_size_limit", limits::WAL_BYTES_KEPT)
            .thread_name(|_| "store-writer".to_owned())
    }

    /// The connection that copies the write-ahead log into the database.
    pub(super) fn for_checkpoints(&self) -> SqliteConnectOptions {
        self.options().synchronous(SqliteSynchronous::Full).thread_name(|_| "store-checkpoint".to_owned())
    }

    /// The connections that read.
    pub(super) fn for_reading(&self) -> SqliteConnectOptions {
        self.options().read_only(true).thread_name(|_| "store-reader".to_owned())
    }

    /// The folder that fills up, for messages.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .foreign_keys(true)
            .busy_timeout(limits::BUSY_TIMEOUT)
            .disable_statement_logging()
    }
}

/// Opens a file that nobody else may read, and makes it if it is not there.
fn private_file(path: &Path) -> Result<File, OpenError> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map_err(|source| OpenError::File { path: path.to_owned(), source })
}

//! Opening the database: the lock, the file, the connections' settings, the tables.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, OpenFlags};

use super::changes::{self, Newer};
use crate::limits;

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
        source: rusqlite::Error,
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
        source: rusqlite::Error,
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
    pub(super) fn migrate(&self) -> Result<Connection, OpenError> {
        let path = || self.path.clone();
        let mut connection = self.for_writing().map_err(|source| OpenError::Database { path: path(), source })?;
        match changes::make(&mut connection) {
            Ok(Ok(())) => Ok(connection),
            Ok(Err(Newer(version))) => Err(OpenError::Newer { path: path(), version }),
            Err(source) => Err(OpenError::Migrate { path: path(), source }),
        }
    }

    /// The one connection that writes. Checkpoints are made beside it: none happens in a commit.
    pub(super) fn for_writing(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", limits::WAL_BYTES_KEPT)?;
        Ok(connection)
    }

    /// The connection that copies the write-ahead log into the database.
    pub(super) fn for_checkpoints(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "synchronous", "full")?;
        Ok(connection)
    }

    /// The connections that read.
    pub(super) fn for_reading(&self) -> rusqlite::Result<Connection> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// The folder that fills up, for messages.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// A connection is one thread's at a time: SQLite needs no lock of its own for it.
    fn connect(&self, access: OpenFlags) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&self.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(limits::BUSY_TIMEOUT)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(limits::STATEMENTS_KEPT);
        Ok(connection)
    }
}

/// Opens a file that nobody else may read, and makes it if it is not there.
fn private_file(path: &Path) -> Result<File, OpenError> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map_err(|source| OpenError::File { path: path.to_owned(), source })
}

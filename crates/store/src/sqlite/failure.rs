//! What SQLite's failures mean for a caller.

use std::path::Path;

use sentinal_model::{Code, Error};

/// `SQLITE_BUSY`: somebody holds the database's own lock.
const BUSY: i32 = 5;
/// `SQLITE_IOERR`: a system call on a file failed.
const IO: i32 = 10;
/// `SQLITE_FULL`: no space.
const FULL: i32 = 13;
/// `SQLITE_IOERR_SHMSIZE`: no space either, for the index of the write-ahead log.
const IO_SHARED_MEMORY_SIZE: i32 = IO | 19 << 8;
/// `SQLITE_TOOBIG`: a value over a gigabyte.
const TOO_BIG: i32 = 18;
/// `SQLITE_CONSTRAINT`: a row against the table's rules.
const CONSTRAINT: i32 = 19;

/// Why a statement failed in a way that leaves the connection as it was: the fault is the row's.
pub(super) fn is_of_the_row(error: &rusqlite::Error) -> bool {
    matches!(code(error).map(|code| code & 0xff), Some(TOO_BIG | CONSTRAINT))
}

/// A failure as callers see it.
pub(super) fn explain(error: &rusqlite::Error, folder: &Path) -> Error {
    match code(error) {
        Some(FULL | IO_SHARED_MEMORY_SIZE) => Error::new(
            Code::NoCapacity,
            format!("the data folder's disk is full; free space under {}", folder.display()),
        ),
        Some(code) if code & 0xff == IO => Error::new(
            Code::Unavailable,
            format!("the data folder's disk fails; the server's log says how, look after {}", folder.display()),
        ),
        Some(code) if code & 0xff == BUSY => {
            Error::new(Code::Unavailable, "something else holds the server's database; try again later")
        }
        _ => return Error::internal(error),
    }
    .with_source(error)
}

/// More reads than can be answered.
pub(super) fn busy() -> Error {
    Error::new(Code::Unavailable, "the store has more reads waiting than it can answer; try again later")
}

/// SQLite's extended result code.
fn code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

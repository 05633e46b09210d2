//! How many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for as many sandboxes and connections as there may be: a few for each sandbox, one for each connection.
const WANTED: u64 = 32_768;

/// Raises the limit as far as it is wanted and allowed. Fewer make a smaller server, not a broken one.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    let wanted = WANTED.min(allowed).max(limit.current.unwrap_or(u64::MAX));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    if raised.is_err() || wanted < WANTED {
        tracing::warn!(
            open_files = wanted,
            wanted = WANTED,
            "few files may be open; raise RLIMIT_NOFILE for many sandboxes"
        );
    }
}

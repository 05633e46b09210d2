//! Every bound of this crate; those that callers meet are in `sentinal_model::limits`.

use std::time::Duration;

/// How long a receiver may take to accept a connection.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long the rest of an answer is waited for once its status is known: the status is what counts.
pub(crate) const ANSWER_BODY_WAIT: Duration = Duration::from_millis(500);
/// What is read of an answer.
pub(crate) const ANSWER_BYTES_MAX: usize = 1024;
/// Connections to one receiver that are kept for the next event.
pub(crate) const IDLE_CONNECTIONS_MAX: usize = 1;
/// How long they are kept.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(30);
/// Longest reason of a failure.
pub(crate) const REASON_CHARS_MAX: usize = 200;

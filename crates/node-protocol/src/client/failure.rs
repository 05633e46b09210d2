//! What a failed call means to the controller.

use std::{error::Error as _, time::Duration};

use sentinal_model::{Code, Error};
use tonic::Status;

/// Nobody listens on the socket.
pub(super) fn not_running(error: &std::io::Error) -> Error {
    let message = "the node process is not running; start it with `sentinal node`";
    Error::new(Code::Unavailable, message).with_source(error)
}

/// Somebody listens, but closes the connection or speaks another protocol.
pub(super) fn no_hello(detail: impl Into<String>) -> Error {
    let message = "the node process does not accept this server; check that both are of the same release and \
                   that the node was started for this server's user";
    Error::new(Code::Unavailable, message).with_detail(detail)
}

/// No answer in time.
pub(super) fn late(deadline: Duration) -> Error {
    let message = format!("the node process did not answer within {} s", deadline.as_secs());
    Error::new(Code::Unavailable, message)
}

/// The connection broke during a call, and again during the next attempt.
pub(super) fn went_away() -> Error {
    Error::new(Code::Unavailable, "the node process went away during a call; it is being restarted or has to be")
}

/// An answer that makes no sense.
pub(super) fn misunderstood(detail: &str) -> Error {
    Error::new(Code::Unavailable, "the node process answered something that this server does not understand")
        .with_detail(detail)
}

/// Whether the call failed because of its connection, not because of the node's decision.
pub(super) fn is_broken_connection(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<hyper::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// What the node refused, or what became of the connection, as the controller's error.
pub fn error_of(status: &Status) -> Error {
    if is_broken_connection(status) {
        return went_away().with_source(status);
    }
    let code = code(status.code());
    if code == Code::Internal {
        return Error::internal(status);
    }
    Error::new(code, status.message())
}

const fn code(code: tonic::Code) -> Code {
    match code {
        tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Code::InvalidRequest,
        tonic::Code::NotFound => Code::NotFound,
        tonic::Code::FailedPrecondition | tonic::Code::AlreadyExists => Code::Conflict,
        tonic::Code::ResourceExhausted => Code::NoCapacity,
        tonic::Code::Unimplemented => Code::NotSupported,
        tonic::Code::Unavailable
        | tonic::Code::DeadlineExceeded
        | tonic::Code::Aborted
        | tonic::Code::DataLoss
        | tonic::Code::Cancelled
        | tonic::Code::PermissionDenied
        | tonic::Code::Unauthenticated => Code::Unavailable,
        tonic::Code::Ok | tonic::Code::Unknown | tonic::Code::Internal => Code::Internal,
    }
}

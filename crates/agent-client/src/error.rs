//! What can go wrong between server and agent.

use sentinal_model::{Code, Error};
use tonic::Status;

/// Longest text of an agent that is passed on, in characters.
const TEXT_CHARS_MAX: usize = 300;

/// Why an agent did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// The connection broke or was never there; the request may or may not have been carried out.
    #[error("the sandbox's agent is not connected")]
    Disconnected,
    /// No answer in time.
    #[error("the sandbox's agent did not answer in time")]
    Deadline,
    /// It answered that it does not know the execution or file.
    #[error("{0}")]
    NotFound(String),
    /// It refused.
    #[error("{1}")]
    Refused(Code, String),
}

impl From<Status> for AgentError {
    fn from(status: Status) -> Self {
        let message = clean(status.message());
        match status.code() {
            tonic::Code::NotFound => Self::NotFound(message),
            tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Self::Refused(Code::InvalidRequest, message),
            tonic::Code::PermissionDenied => Self::Refused(Code::Forbidden, message),
            tonic::Code::FailedPrecondition | tonic::Code::AlreadyExists | tonic::Code::Aborted => {
                Self::Refused(Code::Conflict, message)
            }
            tonic::Code::ResourceExhausted => Self::Refused(Code::TooLarge, message),
            tonic::Code::Unimplemented => Self::Refused(Code::NotSupported, message),
            tonic::Code::DeadlineExceeded => Self::Deadline,
            tonic::Code::Ok
            | tonic::Code::Cancelled
            | tonic::Code::Unknown
            | tonic::Code::Internal
            | tonic::Code::Unavailable
            | tonic::Code::DataLoss
            | tonic::Code::Unauthenticated => Self::Disconnected,
        }
    }
}

impl AgentError {
    /// The same where what is over a limit has no size: there are too many of it, until one of them is closed.
    #[must_use]
    pub fn of_many(self) -> Self {
        match self {
            Self::Refused(Code::TooLarge, message) => Self::Refused(Code::QuotaExceeded, message),
            Self::Disconnected | Self::Deadline | Self::NotFound(_) | Self::Refused(..) => self,
        }
    }
}

impl From<AgentError> for Error {
    fn from(error: AgentError) -> Self {
        let code = match &error {
            AgentError::Disconnected | AgentError::Deadline => Code::Unavailable,
            AgentError::NotFound(_) => Code::NotFound,
            AgentError::Refused(code, _) => *code,
        };
        Self::new(code, error.to_string())
    }
}

/// A guest's text made fit for a caller, a log or a terminal: bounded, control characters replaced.
pub fn clean(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_text_is_bounded_and_carries_no_control_characters() {
        let text = clean(&format!("\x1b[2J\r\n{}", "x".repeat(10_000)));
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX);
        assert!(!text.chars().any(char::is_control));
    }
}

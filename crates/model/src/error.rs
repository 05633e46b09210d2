//! The one error that crosses crate boundaries: a code from a closed set and a sentence for the caller.

use std::fmt;

/// What kind of failure it is. Closed: a new code needs a line in the API documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Can never work as asked; the message names the field.
    InvalidRequest,
    /// No credentials, or wrong ones.
    Unauthenticated,
    /// Known and visible, but not allowed.
    Forbidden,
    /// Not there, or not the caller's to know.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// No representation the caller accepts.
    NotAcceptable,
    /// The client was too slow to say what it wanted.
    RequestTimeout,
    /// Not possible in the state the thing is in; the message says which.
    Conflict,
    /// Over a limit on size; the message names it.
    TooLarge,
    /// The file has no such part.
    RangeNotSatisfiable,
    /// A body of a type nobody reads here.
    UnsupportedMediaType,
    /// Too many requests; `Retry-After` says when.
    RateLimited,
    /// A quota is used up; the message names it.
    QuotaExceeded,
    /// Our bug. The caller sees the request id only.
    Internal,
    /// Exists, but not on this engine.
    NotSupported,
    /// Nothing fits now; the message says why.
    NoCapacity,
    /// A part that is needed is down; the message names it.
    Unavailable,
}

impl Code {
    /// The code as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::RequestTimeout => "request_timeout",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RangeNotSatisfiable => "range_not_satisfiable",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Internal => "internal",
            Self::NotSupported => "not_supported",
            Self::NoCapacity => "no_capacity",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure as it crosses a crate boundary. `Display` shows the message alone: the detail is for the log
/// and cannot reach a caller by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
    detail: Option<String>,
}

/// What most functions between crates answer.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure with a sentence for the caller: what was wrong and what to do.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None }
    }

    /// Shorthand for [`Code::InvalidRequest`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// Shorthand for [`Code::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// Our own failure: the caller gets a fixed sentence, the log gets `error` and its sources.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(Code::Internal, "something failed inside the server; the request id finds it in the server's log")
            .with_detail(chain(error))
    }

    /// The same failure in other words for the caller.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds what only the log may say.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds `source` and everything below it as the log's detail.
    #[must_use]
    pub fn with_source(self, source: &(dyn std::error::Error + 'static)) -> Self {
        self.with_detail(chain(source))
    }

    /// What kind of failure it is.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The sentence for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the log says on top.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

/// An error and all its sources in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}

impl std::error::Error for Error {}

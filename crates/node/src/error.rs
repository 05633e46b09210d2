//! Why the node refused or failed, and how that crosses the socket: a sentence for callers. What lies below
//! is for the log, where it is written once, here.

use std::{error::Error as _, io, time::Duration};

use sentinal_engine::EngineError;
use sentinal_model::{Code, EngineName, Error, Generation, SandboxId};
use tonic::Status;

/// Why a verb was refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// The request cannot be understood.
    #[error("{0}")]
    Invalid(Error),
    /// The controller has changed its mind since.
    #[error("{id}: the request has generation {asked}, but generation {seen} was seen already")]
    OlderGeneration { id: SandboxId, asked: Generation, seen: Generation },
    /// There is no such sandbox here.
    #[error("{id} is not on this node")]
    NotFound { id: SandboxId },
    /// The verb has no meaning in this state.
    #[error("{id} is {state} on this node; {remedy}")]
    WrongState { id: SandboxId, state: &'static str, remedy: &'static str },
    /// The same generation was placed with other sizes, engine, image or end.
    #[error("{id} was placed with generation {generation} already, and differently")]
    PlacedDifferently { id: SandboxId, generation: Generation },
    /// A halt arrived while it was booted.
    #[error("{id} was halted before it was up")]
    Halted { id: SandboxId },
    /// The engine is known, but this build has none of it.
    #[error("the engine {0} is not part of this build of the node")]
    NoSuchEngine(EngineName),
    /// The image store refused.
    #[error("{0}")]
    Image(Error),
    /// As many images at once as there may be.
    #[error("the node is taking {max} images already; try again when one of them is there")]
    Receiving { max: usize },
    /// What was being sent ended too early.
    #[error("the image was cut off on its way to the node; send it again")]
    Cut,
    /// This host's engine cannot do it.
    #[error("the engine {engine} cannot {verb} a sandbox here: {why}")]
    NotSupported { engine: EngineName, verb: &'static str, why: String },
    /// As many as there may be.
    #[error("the node holds {max} sandboxes, which is its limit; destroy some of them")]
    Full { max: usize },
    /// The disk is full.
    #[error("no disk space is left on the node for {what}; free some, or destroy sandboxes")]
    NoSpace { what: &'static str, source: Option<io::Error> },
    /// Not within the time it was given.
    #[error("{what} did not finish within {} s", deadline.as_secs())]
    Late { what: &'static str, deadline: Duration },
    /// An engine failed at something.
    #[error("the engine {engine} could not {verb} the sandbox; the node's log says why")]
    Engine { engine: EngineName, verb: &'static str, source: EngineError },
    /// The node's own files could not be read or written.
    #[error("the node could not {what}; its log says why")]
    Files { what: &'static str, source: io::Error },
    /// A task of ours ended without an answer.
    #[error("the request was given up inside the node; its log says why")]
    Lost,
}

impl NodeError {
    /// A failed file operation; a full disk has its own words.
    pub(crate) fn files(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                return Self::NoSpace { what: "its records", source: Some(source) };
            }
            Self::Files { what, source }
        }
    }

    /// A failed verb of an engine; a full disk and a missed deadline have their own words.
    pub(crate) fn engine(engine: EngineName, verb: &'static str) -> impl FnOnce(EngineError) -> Self {
        move |source| match source {
            EngineError::NotFound(id) => Self::NotFound { id },
            EngineError::NotSupported { what } => Self::NotSupported { engine, verb, why: what },
            EngineError::NoSpace { .. } => Self::NoSpace { what: "the sandbox", source: None },
            EngineError::Io { ref source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Self::NoSpace { what: "the sandbox", source: None }
            }
            EngineError::Child { .. } | EngineError::Deadline { .. } | EngineError::Io { .. } => {
                Self::Engine { engine, verb, source }
            }
        }
    }

    fn code(&self) -> tonic::Code {
        match self {
            Self::Invalid(_) | Self::Cut => tonic::Code::InvalidArgument,
            Self::OlderGeneration { .. }
            | Self::WrongState { .. }
            | Self::PlacedDifferently { .. }
            | Self::Halted { .. } => tonic::Code::FailedPrecondition,
            Self::NotFound { .. } => tonic::Code::NotFound,
            Self::Image(error) => image_code(error.code()),
            Self::Full { .. } | Self::Receiving { .. } | Self::NoSpace { .. } => tonic::Code::ResourceExhausted,
            Self::Late { .. } | Self::Engine { source: EngineError::Deadline { .. }, .. } => {
                tonic::Code::DeadlineExceeded
            }
            Self::NotSupported { .. } => tonic::Code::Unimplemented,
            Self::NoSuchEngine(_) | Self::Engine { .. } => tonic::Code::Unavailable,
            Self::Files { .. } | Self::Lost => tonic::Code::Internal,
        }
    }

    /// What only the log may say.
    fn detail(&self) -> Option<String> {
        if let Self::Image(error) | Self::Invalid(error) = self {
            return error.detail().map(str::to_owned);
        }
        self.source().map(|source| Error::internal(source).detail().unwrap_or_default().to_owned())
    }
}

/// The image store's code, as far as it is the caller's matter.
fn image_code(code: Code) -> tonic::Code {
    if code == Code::InvalidRequest || code == Code::TooLarge {
        return tonic::Code::InvalidArgument;
    }
    if code == Code::Conflict {
        return tonic::Code::FailedPrecondition;
    }
    if code == Code::NoCapacity {
        return tonic::Code::ResourceExhausted;
    }
    if code == Code::NotFound { tonic::Code::NotFound } else { tonic::Code::Unavailable }
}

impl From<NodeError> for Status {
    fn from(error: NodeError) -> Self {
        let code = error.code();
        let detail = error.detail().unwrap_or_default();
        if matches!(code, tonic::Code::Internal | tonic::Code::Unavailable | tonic::Code::DeadlineExceeded) {
            tracing::error!(?code, %error, detail, "request failed");
        } else {
            tracing::info!(?code, %error, detail, "request refused");
        }
        Self::new(code, error.to_string())
    }
}

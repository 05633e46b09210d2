//! Why an image could not be brought in.

use std::{io, path::PathBuf};

use sentinal_model::{Code, Error};
use sentinal_outbound::Refused;

/// Why an image could not be brought in. Messages are for callers: nothing of what a registry or an archive said is in
/// them that was not cleaned and cut.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It names no image of a registry.
    #[error("reference: {0}")]
    Reference(&'static str),
    /// The server may not go there.
    #[error("{host} is not asked for images: {why}")]
    NotAllowed {
        /// Where.
        host: String,
        /// What would have to be different.
        why: String,
    },
    /// The registry does not have it, or does not show it.
    #[error("the registry {host} does not have {what}, or shows it only to users it knows")]
    NotThere {
        /// Which registry.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// The registry does not know the user.
    #[error("the registry {host} does not accept these credentials")]
    Credentials {
        /// Which registry.
        host: String,
    },
    /// The registry cannot be reached, or broke off.
    #[error("the registry {host} cannot be read from: {why}")]
    Registry {
        /// Which registry.
        host: String,
        /// What happened.
        why: String,
    },
    /// What came is not what was promised.
    #[error("{what} is not what was promised: {why}")]
    Wrong {
        /// Which part.
        what: String,
        /// How it differs.
        why: String,
    },
    /// It is more than is taken.
    #[error("{what} is too large: at most {max} {unit} are taken")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// The most.
        max: u64,
        /// Of what.
        unit: &'static str,
    },
    /// As many as may be made at once.
    #[error("{max} images are being made already; try again when one of them is there")]
    Busy {
        /// The most.
        max: usize,
    },
    /// The process that unpacks it refused.
    #[error("{0}")]
    Refused(Error),
    /// That process did not come to an end as it should.
    #[error("the image could not be unpacked: {0}")]
    Worker(&'static str),
    /// Who sends it broke off.
    #[error("{0}")]
    Sender(Error),
    /// The disk.
    #[error("{doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl ImportError {
    /// Shorthand for `map_err` on something done to one file.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    const fn code(&self) -> Code {
        match self {
            Self::Reference(_) | Self::Wrong { .. } => Code::InvalidRequest,
            Self::NotAllowed { .. } | Self::Credentials { .. } => Code::Forbidden,
            Self::NotThere { .. } => Code::NotFound,
            Self::Registry { .. } => Code::Unavailable,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Busy { .. } => Code::RateLimited,
            Self::Refused(_) | Self::Sender(_) | Self::Worker(_) | Self::Io { .. } => Code::Internal,
        }
    }
}

impl From<Refused> for ImportError {
    fn from(Refused { host, why }: Refused) -> Self {
        Self::NotAllowed { host, why }
    }
}

impl From<ImportError> for Error {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Refused(error) | ImportError::Sender(error) => error,
            ImportError::Worker(_) => Self::new(Code::InvalidRequest, error.to_string()),
            ImportError::Io { ref source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Self::new(Code::NoCapacity, "no disk space is left on the server for images; remove some")
            }
            ImportError::Io { .. } => Self::internal(&error),
            ImportError::Reference(_)
            | ImportError::NotAllowed { .. }
            | ImportError::NotThere { .. }
            | ImportError::Credentials { .. }
            | ImportError::Registry { .. }
            | ImportError::Wrong { .. }
            | ImportError::TooLarge { .. }
            | ImportError::Busy { .. } => Self::new(error.code(), error.to_string()),
        }
    }
}

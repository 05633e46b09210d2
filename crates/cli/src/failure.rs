//! What stops a command, and what to do about it.

use reqwest::StatusCode;
use sentinal_api::Problem;
use sentinal_model::Code;

use crate::show::clean;

/// A failure that the command line itself can say more about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody answers there.
    #[error("cannot reach the server at {url}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection to the server broke")]
    Broken(#[source] reqwest::Error),
    /// The server said no, in words.
    #[error("{}", clean(&.0.detail))]
    Refused(Box<Problem>),
    /// Whatever answers there, it is not SENTINAL.
    #[error("{url} answers {status}, but not like a SENTINAL server")]
    Foreign {
        /// Who.
        url: String,
        /// How.
        status: StatusCode,
    },
    /// The command line itself makes no sense.
    #[error("{0}")]
    Usage(String),
}

/// Nobody reads what is printed any more: no failure worth a word.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
pub(crate) struct NobodyReads;

impl Failure {
    /// A usage failure.
    pub(crate) fn usage(words: impl Into<String>) -> anyhow::Error {
        Self::Usage(words.into()).into()
    }

    /// Whether the server said that the thing is in another state than was needed, or gone.
    pub(crate) fn is_code(&self, code: Code) -> bool {
        matches!(self, Self::Refused(problem) if problem.code == code.as_str())
    }

    /// Whether trying again may help: the server is away, or says so itself.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken(_)) || self.is_code(Code::Unavailable)
    }

    /// What to do about it, where that is not in the message already.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::Unreachable { url, .. } => Some(format!(
                "start a server there with `sentinal serve`, or name another one than {url}: --url, SENTINAL_URL or \
                 `sentinal context use`"
            )),
            Self::Foreign { .. } => Some("check the address: --url, SENTINAL_URL or `sentinal context ls`".to_owned()),
            Self::Refused(problem) if problem.status == 401 => Some(
                "the first key is in admin.key of the server's data folder: export SENTINAL_API_KEY=$(sudo cat \
                 /var/lib/sentinal/admin.key), or keep it with `sentinal context add`"
                    .to_owned(),
            ),
            Self::Refused(problem) if problem.status == 500 => {
                Some(format!("the server's log says more about {}", clean(&problem.request_id)))
            }
            Self::Broken(_) | Self::Refused(_) | Self::Usage(_) => None,
        }
    }
}

/// The failure that is at the root of an error, if it is one of ours.
pub(crate) fn of(error: &anyhow::Error) -> Option<&Failure> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// Whether the server said this.
pub(crate) fn is_code(error: &anyhow::Error, code: Code) -> bool {
    of(error).is_some_and(|failure| failure.is_code(code))
}

/// Whether trying again may help.
pub(crate) fn is_passing(error: &anyhow::Error) -> bool {
    of(error).is_some_and(Failure::is_passing)
}

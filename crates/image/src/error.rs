//! What can go wrong with images, sorted by what a caller can do about it.

use std::{io, path::PathBuf, time::Duration};

use sentinal_model::{Code, Error};

use crate::{InvalidReference, NotAnImage};

/// Why an image could not be built, found or trusted. Messages are for the operator; what a tool wrote
/// (`stderr_tail`) is not part of them and reaches only the log, through [`ImageError::detail`].
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Neither a name nor a digest.
    #[error(transparent)]
    InvalidReference(#[from] InvalidReference),
    /// The store has no such image.
    #[error("there is no image {wanted}; {}", offer(known))]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// The names and digests that would have worked.
        known: Vec<String>,
    },
    /// A file is where an image should be, but is none that the engines can use.
    #[error("{path} is not a usable image: {reason}")]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: NotAnImage,
    },
    /// The content of an image is not what its name says.
    #[error("{path} is damaged: its content is {found}; remove it and build the image again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What its content adds up to.
        found: String,
    },
    /// A program that a build needs is not installed.
    #[error("{tool} is not installed; on Debian: apt-get install {package}")]
    MissingTool {
        /// The program.
        tool: &'static str,
        /// The package it comes with.
        package: &'static str,
    },
    /// Files in an image belong to several users, and only root can make such files.
    #[error("building an image needs root: run it with sudo, or copy a finished store from another machine")]
    NotRoot,
    /// The disk is too small, found before the build or during it.
    #[error("not enough space for a build in {path}: {} MiB needed, {} MiB available", needed_bytes >> 20, available_bytes >> 20)]
    NoSpace {
        /// Where the build would take place.
        path: PathBuf,
        /// What must be free for it.
        needed_bytes: u64,
        /// What is free.
        available_bytes: u64,
    },
    /// It would leave too little free on the disk of the images.
    #[error(
        "the image needs {} MiB; of {} MiB that are free for images, {} MiB stay free; remove some",
        mib(*image_bytes), available_bytes >> 20, mib(*floor_bytes)
    )]
    NoRoom {
        /// What it takes.
        image_bytes: u64,
        /// What is free.
        available_bytes: u64,
        /// What always stays free.
        floor_bytes: u64,
    },
    /// Another build holds the store.
    #[error("another build is running in {path}; gave up after {} s", waited.as_secs())]
    Busy {
        /// The store.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// This machine's package sources do not offer what the image is made of.
    #[error(
        "no package source answers with Debian's signature for {release} (component main): \
         check the network, name a source in /etc/apt/sources.list.d, or give a file with sources"
    )]
    NoSource {
        /// The part of Debian that is missing, such as `bookworm-security`.
        release: String,
        /// The end of what the package tool wrote.
        stderr_tail: String,
    },
    /// A program ran and failed.
    #[error("{tool} failed ({status})")]
    ToolFailed {
        /// The program.
        tool: &'static str,
        /// How it ended.
        status: String,
        /// The end of what it wrote to standard error.
        stderr_tail: String,
    },
    /// A program did not end in time and was killed.
    #[error("{tool} was not done after {} s", after.as_secs())]
    ToolDeadline {
        /// The program.
        tool: &'static str,
        /// How long it had.
        after: Duration,
        /// The end of what it wrote to standard error.
        stderr_tail: String,
    },
    /// Something still needs it.
    #[error("the image {name} is in use; destroy the sandboxes that were made of it, or give it another name first")]
    InUse {
        /// Its last name.
        name: String,
    },
    /// A manifest cannot be understood.
    #[error("{path} is not a manifest of an image")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// What was given is no image that can be taken.
    #[error("this is no image that can be used: {}{why}", of_entry(entry.as_deref()))]
    Refused {
        /// The entry of an archive that it is about.
        entry: Option<String>,
        /// What is wrong, as the rest of a sentence.
        why: String,
    },
    /// What was given is more than is taken.
    #[error("{what} is too large: at most {max} {unit} are taken")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// The most.
        max: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A part of an image is not what it is said to be.
    #[error("{what} is not what it should be: its digest is {found}, and {expected} was promised")]
    WrongDigest {
        /// The part.
        what: String,
        /// What its name says.
        expected: String,
        /// What its content adds up to.
        found: String,
    },
    /// The new root folder would lead a write out of itself.
    #[error("{path} leads out of the root folder that is being built")]
    Escapes {
        /// The path that leads elsewhere.
        path: PathBuf,
    },
    /// The system refused.
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

impl ImageError {
    /// Shorthand for `map_err` on something done to one file.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// Shorthand for an image that cannot be used; `why` is the rest of a sentence.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused { entry: None, why: why.into() }
    }

    /// The same, about one entry of an archive, if it is not about one already.
    pub(crate) fn of_entry(self, path: &[u8]) -> Self {
        if let Self::Refused { entry: None, why } = self {
            let path: String = String::from_utf8_lossy(path).chars().take(200).collect();
            return Self::Refused { entry: Some(path), why };
        }
        self
    }

    /// What only a log or an operator's terminal may show on top of the message: the end of what a tool wrote.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::NoSource { stderr_tail, .. }
            | Self::ToolFailed { stderr_tail, .. }
            | Self::ToolDeadline { stderr_tail, .. } => Some(stderr_tail),
            Self::InvalidReference(_)
            | Self::NotFound { .. }
            | Self::NotAnImage { .. }
            | Self::Damaged { .. }
            | Self::MissingTool { .. }
            | Self::NotRoot
            | Self::NoSpace { .. }
            | Self::NoRoom { .. }
            | Self::Busy { .. }
            | Self::InUse { .. }
            | Self::Manifest { .. }
            | Self::Escapes { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::WrongDigest { .. }
            | Self::Io { .. } => None,
        }
    }

    /// Whether the disk was full, in whichever words.
    pub(crate) fn is_disk_full(&self) -> bool {
        if let Self::Io { source, .. } = self {
            return source.kind() == io::ErrorKind::StorageFull;
        }
        self.detail().is_some_and(|text| text.contains("No space left on device"))
    }

    const fn code(&self) -> Code {
        match self {
            Self::InvalidReference(_) | Self::Refused { .. } | Self::WrongDigest { .. } => Code::InvalidRequest,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::NotFound { .. } => Code::NotFound,
            Self::Busy { .. } | Self::InUse { .. } => Code::Conflict,
            Self::NoRoom { .. } => Code::NoCapacity,
            Self::MissingTool { .. } | Self::NotRoot | Self::NoSpace { .. } | Self::NoSource { .. } => {
                Code::Unavailable
            }
            Self::NotAnImage { .. }
            | Self::Damaged { .. }
            | Self::ToolFailed { .. }
            | Self::ToolDeadline { .. }
            | Self::Manifest { .. }
            | Self::Escapes { .. }
            | Self::Io { .. } => Code::Internal,
        }
    }
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        if error.code() == Code::Internal {
            let internal = Self::internal(&error);
            let detail = [internal.detail(), error.detail()].into_iter().flatten().collect::<Vec<_>>().join(": ");
            return internal.with_detail(detail);
        }
        let outside = Self::new(error.code(), error.to_string());
        match error.detail() {
            Some(detail) => outside.with_detail(detail),
            None => outside,
        }
    }
}

/// What exists, as the second half of a sentence.
fn offer(known: &[String]) -> String {
    if known.is_empty() {
        return "the store is empty: run `sentinal image build-default`".to_owned();
    }
    format!("the store has {}", known.join(", "))
}

/// The beginning of a sentence about an entry of an archive.
fn of_entry(entry: Option<&str>) -> String {
    entry.map(|entry| format!("{entry:?} in it cannot be unpacked: ")).unwrap_or_default()
}

/// Begun ones count.
const fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

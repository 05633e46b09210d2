//! Every bound of this crate: how long a step may take, how much may be kept.

use std::time::Duration;

/// How long finding out which sources are Debian's may take: a few small downloads.
pub(crate) const SOURCES_DEADLINE: Duration = Duration::from_mins(2);
/// How long downloading and unpacking the packages may take, on a slow line.
pub(crate) const PACKAGES_DEADLINE: Duration = Duration::from_mins(30);
/// How long a command inside the new root folder may take.
pub(crate) const INSIDE_DEADLINE: Duration = Duration::from_mins(5);
/// How long packing the root folder into one file may take.
pub(crate) const PACK_DEADLINE: Duration = Duration::from_mins(5);
/// How long a question to a package tool may take.
pub(crate) const QUESTION_DEADLINE: Duration = Duration::from_secs(30);

/// The end of a child's standard error that is kept for the report.
pub(crate) const STDERR_TAIL_BYTES: usize = 4 * 1024;
/// A child's standard output that is kept; more is an error.
pub(crate) const STDOUT_BYTES_MAX: u64 = 4 << 20;
/// Largest manifest that is read.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Largest file of sources given by the operator.
pub(crate) const SOURCES_BYTES_MAX: u64 = 64 * 1024;

/// What a build needs on the disk at its peak: downloads and indexes, the root folder, the image (about
/// 600 MiB measured), and a margin for packages that grow.
pub(crate) const BUILD_BYTES: u64 = 1 << 30;

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

/// Contents of an image's layers together.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 16 << 30;
/// Entries of an image's layers together.
pub(crate) const ENTRIES_MAX: u64 = 1_000_000;
/// Names and targets of links of an image's layers together: they are held in memory.
pub(crate) const NAMES_BYTES_MAX: u64 = 128 << 20;
/// Layers of an image; more than any tool makes.
pub(crate) const LAYERS_MAX: usize = 256;
/// How many times its size a layer may unpack to, beyond [`UNPACKED_FREE_BYTES`]. Programs reach ten.
pub(crate) const RATIO_MAX: u64 = 200;
/// What a layer may unpack to however small it is.
pub(crate) const UNPACKED_FREE_BYTES: u64 = 256 << 20;
/// An index, a manifest or a configuration: the distribution specification asks for this much to be taken.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// Indexes within each other.
pub(crate) const INDEX_DEPTH_MAX: usize = 3;
/// Files of an archive that may be parts of an image.
pub(crate) const PARTS_MAX: usize = 20_000;
/// Longest path in a layer.
pub(crate) const PATH_BYTES_MAX: usize = 4095;
/// Longest name of one part of a path.
pub(crate) const NAME_BYTES_MAX: usize = 255;
/// Folders within each other in a layer.
pub(crate) const DEPTH_MAX: usize = 128;
/// Symbolic links followed on the way to one entry, as in Linux.
pub(crate) const SYMLINKS_MAX: usize = 40;
/// Accounts of an image that are read and completed.
pub(crate) const ACCOUNTS_BYTES_MAX: u64 = 1 << 20;
/// What a frame of zstd may look back: what its own tools allow by default.
pub(crate) const ZSTD_WINDOW_BYTES_MAX: u64 = 128 << 20;
/// Variables of an image's configuration, and the bytes of them all.
pub(crate) const ENV_MAX: usize = 256;
pub(crate) const ENV_BYTES_MAX: usize = 64 * 1024;
/// One text of an image's configuration.
pub(crate) const CONFIG_TEXT_BYTES_MAX: usize = 4096;
/// Words of a command in an image's configuration.
pub(crate) const CONFIG_WORDS_MAX: usize = 256;
/// Memory of the process that unpacks an image: what holds the most names, twice.
pub(crate) const IMPORT_MEMORY_BYTES: u64 = 2 << 30;
/// Its time on a processor, in seconds.
pub(crate) const IMPORT_CPU_SECONDS: u64 = 1800;
/// Largest image that is taken from elsewhere: its contents, each in blocks of its own, and what describes them.
pub(crate) const IMAGE_BYTES_MAX: u64 = 24 << 30;

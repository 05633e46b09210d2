//! Every bound of this crate.

/// Largest file.
pub(crate) const FILE_BYTES_MAX: usize = 256 * 1024;
/// Instructions of a file.
pub(crate) const INSTRUCTIONS_MAX: usize = 256;
/// A text whose variables were replaced: one may stand for more than its name, and for itself twice.
pub(crate) const TEXT_BYTES_MAX: usize = 32 * 1024;
/// Variables, ARGs included.
pub(crate) const VARIABLES_MAX: usize = 256;
/// All variables together: what an image may have.
pub(crate) const VARIABLES_BYTES_MAX: usize = 64 * 1024;

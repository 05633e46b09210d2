//! Is there room for a build? Asked before it, and again when the disk turned out to be full.

use std::path::Path;

use rustix::fs::statvfs;
use sentinal_model::limits::DISK_AVAILABLE_PERCENT_MIN;

use crate::{ImageError, limits::BUILD_BYTES};

/// Refuses when less than a build needs is free where `folder` is.
pub(crate) fn check(folder: &Path) -> Result<(), ImageError> {
    check_for(folder, BUILD_BYTES)
}

/// A file system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    pub(crate) total_bytes: u64,
    pub(crate) available_bytes: u64,
}

impl Space {
    /// The one that this folder is on.
    pub(crate) fn of(folder: &Path) -> Result<Self, ImageError> {
        let stat = statvfs(folder).map_err(|error| ImageError::io("look for space in", folder)(error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Self { total_bytes: bytes(stat.f_blocks), available_bytes: bytes(stat.f_bavail) })
    }
}

/// Refuses an image that would leave less free where `folder` is than always stays free there.
pub(crate) fn check_image(folder: &Path, image_bytes: u64) -> Result<(), ImageError> {
    let Space { total_bytes, available_bytes } = Space::of(folder)?;
    let floor_bytes = (total_bytes / 100).saturating_mul(DISK_AVAILABLE_PERCENT_MIN);
    if available_bytes < image_bytes.saturating_add(floor_bytes) {
        return Err(ImageError::NoRoom { image_bytes, available_bytes, floor_bytes });
    }
    Ok(())
}

/// Refuses when less than this is free where `folder` is.
pub(crate) fn check_for(folder: &Path, needed_bytes: u64) -> Result<(), ImageError> {
    let available_bytes = available(folder)?;
    if available_bytes < needed_bytes {
        return Err(ImageError::NoSpace { path: folder.to_owned(), needed_bytes, available_bytes });
    }
    Ok(())
}

/// Gives a failure that comes from a full disk its right name; others stay as they are.
pub(crate) fn name_full_disk(folder: &Path, error: ImageError) -> ImageError {
    if error.is_disk_full() {
        return no_space(folder, available(folder).unwrap_or(0));
    }
    error
}

fn available(folder: &Path) -> Result<u64, ImageError> {
    Space::of(folder).map(|space| space.available_bytes)
}

fn no_space(folder: &Path, available_bytes: u64) -> ImageError {
    ImageError::NoSpace { path: folder.to_owned(), needed_bytes: BUILD_BYTES, available_bytes }
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf};

    use super::*;

    fn check_named(error: ImageError, full: bool) {
        let named = name_full_disk(Path::new("/"), error);
        assert_eq!(matches!(named, ImageError::NoSpace { needed_bytes: BUILD_BYTES, .. }), full, "{named:?}");
    }

    #[test]
    fn a_full_disk_is_recognised_in_whichever_words() {
        let failed = |stderr: &str| ImageError::ToolFailed {
            tool: "mkfs.erofs",
            status: "exit status: 1".to_owned(),
            stderr_tail: stderr.to_owned(),
        };
        let io = |kind: io::ErrorKind| ImageError::Io { doing: "write", path: PathBuf::new(), source: kind.into() };
        check_named(failed("tar: write: No space left on device"), true);
        check_named(failed("something else"), false);
        check_named(io(io::ErrorKind::StorageFull), true);
        check_named(io(io::ErrorKind::PermissionDenied), false);
    }
}

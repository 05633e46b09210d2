//! What code in a context made beside its output.

use crate::limits::RESULTS_BYTES_MAX;

/// As much as there is room for.
#[derive(Debug, Default)]
pub(super) struct Results {
    held: Vec<Vec<u8>>,
    bytes: usize,
    is_truncated: bool,
}

impl Results {
    pub(super) fn push(&mut self, result: Vec<u8>) {
        // An empty one takes room, too.
        let bytes = result.len() + size_of::<Vec<u8>>();
        if self.is_truncated || RESULTS_BYTES_MAX < self.bytes + bytes {
            return self.truncate();
        }
        self.bytes += bytes;
        self.held.push(result);
    }

    /// One is missing, and so is whatever follows.
    pub(super) const fn truncate(&mut self) {
        self.is_truncated = true;
    }

    pub(super) fn take(&mut self) -> (Vec<Vec<u8>>, bool) {
        (std::mem::take(&mut self.held), self.is_truncated)
    }
}

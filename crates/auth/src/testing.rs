//! What the tests of several modules need.

use sentinal_model::{Clock, Millis};

/// What time it is in tests.
pub(crate) const NOW: i64 = 1000;

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct At(pub(crate) i64);

impl Clock for At {
    fn now(&self) -> Millis {
        Millis(self.0)
    }
}

//! What images record.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

use super::Metrics;

pub(super) struct Figures {
    removed: Counter,
    removed_bytes: Counter,
}

impl Figures {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let figures = Self { removed: Counter::default(), removed_bytes: Counter::default() };
        registry.register(
            "sentinal_images_removed",
            "Images that were removed, because somebody asked for it or the disk filled up",
            figures.removed.clone(),
        );
        registry.register(
            "sentinal_images_removed_bytes",
            "How many bytes they took on the disk",
            figures.removed_bytes.clone(),
        );
        figures
    }
}

impl Metrics {
    /// Images are gone, with what they took on the disk.
    pub fn images_removed(&self, images: usize, bytes: u64) {
        self.0.image.removed.inc_by(u64::try_from(images).unwrap_or(u64::MAX));
        self.0.image.removed_bytes.inc_by(bytes);
    }
}

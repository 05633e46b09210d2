//! One block device for each image, held while it is likely to be wanted again. What is mounted from it is one file
//! system with one cache, in however many sandboxes. Sandboxes hold it by themselves: to let go of it here, or to
//! die, takes nothing from anybody.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sentinal_launcher::loops::Loop;
use tokio::time::Instant;

/// How long an image is held that nothing was booted from.
const IDLE: Duration = Duration::from_secs(300);

/// The devices held.
#[derive(Debug, Default)]
pub(crate) struct Images(Mutex<BTreeMap<PathBuf, Held>>);

#[derive(Debug)]
struct Held {
    device: Arc<Loop>,
    used: Instant,
}

impl Images {
    /// The device of an image.
    pub(crate) fn device(&self, image: &Path) -> io::Result<Arc<Loop>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(held) = held.get_mut(image) {
            held.used = now;
            return Ok(Arc::clone(&held.device));
        }
        let device = Arc::new(Loop::shared(image)?);
        held.insert(image.to_owned(), Held { device: Arc::clone(&device), used: now });
        Ok(device)
    }

    /// Lets go of what nobody has wanted for a while.
    pub(crate) fn forget_idle(&self) {
        let now = Instant::now();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, held| now - held.used < IDLE);
    }
}

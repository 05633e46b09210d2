//! The build of the default image, from nothing to a name in the store.
//!
//! ```text
//! up to date? -> lock -> [sources -> packages -> root -> compile -> pack] -> install
//!                         in a scratch folder that any failure removes
//! ```

mod steps;

use std::time::Duration;

use sentinal_model::{ImageName, Millis};

use crate::{
    Config, Digest, ImageError, ImageRef, ImageStore, Progress, ProgressSink, SourceChoice, Step, apt::Inputs,
    lock::BuildLock, manifest::Label, recipe, space,
};

/// How a build is to be done.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Whether an image of the same inputs is good enough.
    pub rebuild: Rebuild,
    /// Where packages come from.
    pub sources: SourceChoice,
    /// How long to wait for another build in the same store.
    pub lock_wait: Duration,
    /// The time to write down as the image's creation.
    pub now: Millis,
}

/// When to build although there is an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rebuild {
    /// Only if the recipe or the sources changed.
    #[default]
    IfChanged,
    /// In any case: takes in the packages that were updated since.
    Always,
}

/// What a build ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The image that `default` stands for now.
    pub image: ImageRef,
    /// Whether there was anything to do.
    pub outcome: Outcome,
}

/// Whether there was anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The image was there.
    UpToDate,
    /// It was made.
    Built,
}

impl BuildOptions {
    /// The usual: build if anything changed, from this machine's own sources of Debian, and wait ten minutes
    /// for another build.
    pub const fn new(now: Millis) -> Self {
        Self { rebuild: Rebuild::IfChanged, sources: SourceChoice::Machine, lock_wait: Duration::from_mins(10), now }
    }
}

/// Makes the default image from Debian packages unless it is there, and names it `default` in `store`.
///
/// Needs root, `mmdebstrap` and `mkfs.erofs`. Dropping the future kills what runs and leaves nothing.
pub async fn build_default(
    store: &ImageStore,
    options: &BuildOptions,
    progress: &dyn ProgressSink,
) -> Result<Built, ImageError> {
    let inputs = Inputs::gather(&options.sources).await?;
    let key = recipe::key(&inputs);
    if let Some(built) = up_to_date(store, options, &key)? {
        return Ok(built);
    }
    steps::check_machine().await?;
    store.create_folders()?;
    progress.report(Progress { step: Step::Sources, fraction: 0.0, message: "waiting for the store" });
    let _lock = BuildLock::acquire(store.root(), options.lock_wait).await?;
    if let Some(built) = up_to_date(store, options, &key)? {
        return Ok(built);
    }
    store.sweep()?;
    space::check(store.root())?;
    let label = Label {
        name: ImageName::default(),
        inputs: key,
        packages: Vec::new(),
        created: options.now,
        source: String::new(),
        config: Config::default(),
    };
    let made = steps::make(store, inputs, label, progress).await;
    let image = made.map_err(|error| space::name_full_disk(store.root(), error))?;
    Ok(Built { image, outcome: Outcome::Built })
}

/// The image that is there, if it was made of the same inputs and a new one is not asked for. A manifest or an
/// image that cannot be used is no reason to fail: it is what a build repairs.
fn up_to_date(store: &ImageStore, options: &BuildOptions, key: &Digest) -> Result<Option<Built>, ImageError> {
    let name = ImageName::default();
    let manifest = match store.manifest(&name) {
        Ok(manifest) => manifest,
        Err(ImageError::Manifest { .. }) => None,
        Err(error) => return Err(error),
    };
    let same = manifest.is_some_and(|manifest| manifest.inputs == key.to_string());
    if options.rebuild == Rebuild::Always || !same {
        return Ok(None);
    }
    let image = store.resolve(name.as_str()).ok();
    Ok(image.map(|image| Built { image, outcome: Outcome::UpToDate }))
}

#[cfg(test)]
mod tests;

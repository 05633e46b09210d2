//! Images in the words of the API.

use sentinal_api as v1;
use sentinal_controller::{ImageDetails, ImageJob, ImageJobKind, ImageJobState, ImageView, RemovedImages};

use super::non_empty;

/// An image as callers see it.
pub(crate) fn image(image: ImageView) -> v1::Image {
    v1::Image { name: image.name.to_string(), digest: image.digest, size_bytes: image.size_bytes }
}

/// All of an image.
pub(crate) fn image_details(details: ImageDetails) -> v1::ImageDetails {
    let ImageDetails { name, digest, size_bytes, source, created, config } = details;
    v1::ImageDetails {
        image: v1::Image { name: name.to_string(), digest, size_bytes },
        created_at: v1::time_text(created),
        source: non_empty(source),
        config: v1::ImageConfig {
            env: config.env,
            working_dir: non_empty(config.working_dir),
            user: non_empty(config.user),
            runs_as_user: config.runs_as_user,
            entrypoint: config.entrypoint,
            cmd: config.cmd,
        },
    }
}

/// What is gone.
pub(crate) fn removed_images(removed: RemovedImages) -> v1::RemovedImages {
    v1::RemovedImages { digests: removed.digests, bytes: removed.bytes }
}

/// A pull as callers see it.
pub(crate) fn image_job(job: ImageJob) -> v1::ImageJob {
    let state = job.state.as_str().to_owned();
    let (digest, error) = match job.state {
        ImageJobState::Running | ImageJobState::Cancelled => (None, None),
        ImageJobState::Finished { digest } => (Some(digest), None),
        ImageJobState::Failed { code, message } => (None, Some(v1::ImageJobError { code, detail: message })),
    };
    let kind = job.kind.as_str().to_owned();
    let reference = match job.kind {
        ImageJobKind::Pull { reference } => Some(reference),
        ImageJobKind::Build { .. } => None,
    };
    v1::ImageJob {
        id: job.id.to_string(),
        kind,
        state,
        reference,
        name: job.name.to_string(),
        stage: job.progress.stage.as_str().to_owned(),
        steps_done: job.progress.steps_done,
        steps_total: job.progress.steps_total,
        bytes_done: job.progress.bytes_done,
        bytes_total: job.progress.bytes_total,
        layers_done: job.progress.layers_done,
        layers_total: job.progress.layers_total,
        digest,
        error,
        created_at: v1::time_text(job.created_at),
        finished_at: job.finished_at.map(v1::time_text),
    }
}

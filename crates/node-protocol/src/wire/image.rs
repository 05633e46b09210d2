//! Images on their way to a node, and what a node says of them.

use sentinal_model::{Error, FreeSpace, Millis};

use super::{clean, parse};
use crate::{
    ImageConfig, ImageDetails, RemovedImages,
    v1::{self, prune_images_request::UntilFree},
};

impl From<ImageConfig> for v1::ImageConfig {
    fn from(config: ImageConfig) -> Self {
        Self {
            env: config.env,
            working_dir: config.working_dir,
            user: config.user,
            runs_as_user: config.runs_as_user,
            entrypoint: config.entrypoint,
            cmd: config.cmd,
        }
    }
}

impl From<v1::ImageConfig> for ImageConfig {
    fn from(config: v1::ImageConfig) -> Self {
        Self {
            env: config.env,
            working_dir: config.working_dir,
            user: config.user,
            runs_as_user: config.runs_as_user,
            entrypoint: config.entrypoint,
            cmd: config.cmd,
        }
    }
}

impl From<ImageDetails> for v1::NewImage {
    fn from(image: ImageDetails) -> Self {
        Self {
            name: image.name.to_string(),
            digest: image.digest,
            size_bytes: image.size_bytes,
            source: image.source,
            created_ms: image.created.0,
            config: Some(image.config.into()),
        }
    }
}

impl TryFrom<v1::NewImage> for ImageDetails {
    type Error = Error;

    fn try_from(image: v1::NewImage) -> Result<Self, Error> {
        Ok(Self {
            name: parse("image", &image.name)?,
            digest: clean(&image.digest),
            size_bytes: image.size_bytes,
            source: clean(&image.source),
            created: Millis(image.created_ms),
            config: image.config.unwrap_or_default().into(),
        })
    }
}

macro_rules! removed {
    ($($answer:ident),+) => {$(
        impl From<RemovedImages> for v1::$answer {
            fn from(removed: RemovedImages) -> Self {
                Self { digests: removed.digests, bytes: removed.bytes }
            }
        }

        impl From<v1::$answer> for RemovedImages {
            fn from(removed: v1::$answer) -> Self {
                let digests = removed.digests.iter().map(|digest| clean(digest)).collect();
                Self { digests, bytes: removed.bytes }
            }
        }
    )+};
}

removed!(RemoveImageResponse, PruneImagesResponse);

impl From<Option<FreeSpace>> for v1::PruneImagesRequest {
    fn from(until_free: Option<FreeSpace>) -> Self {
        let until_free = until_free.map(|free| match free {
            FreeSpace::Bytes(bytes) => UntilFree::FreeBytes(bytes),
            FreeSpace::Percent(percent) => UntilFree::FreePercent(percent.into()),
        });
        Self { until_free }
    }
}

impl From<v1::PruneImagesRequest> for Option<FreeSpace> {
    fn from(request: v1::PruneImagesRequest) -> Self {
        request.until_free.map(|free| match free {
            UntilFree::FreeBytes(bytes) => FreeSpace::Bytes(bytes),
            UntilFree::FreePercent(percent) => FreeSpace::Percent(u8::try_from(percent.min(99)).unwrap_or(99)),
        })
    }
}

//! Images on the disk as others lay them out: `index.json`, `oci-layout`, and parts named by their digests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{TryStreamExt as _, stream::BoxStream};
use sentinal_image::{Config, Digest, Sum};
use sentinal_model::{Error, limits::IMAGE_ARCHIVE_BYTES_MAX};
use serde_json::json;
use tokio::{fs::File, io::AsyncWriteExt as _};

use crate::ImportError;

/// Writes the documents of an image whose layers are there.
pub(crate) fn describe(folder: &Path, manifest: &[u8], config: &[u8]) -> Result<(), ImportError> {
    let write = |path: PathBuf, bytes: &[u8]| fs::write(&path, bytes).map_err(ImportError::io("write", path));
    for bytes in [manifest, config] {
        write(blobs(folder).join(Digest::of(bytes).hex()), bytes)?;
    }
    let manifests = [json!({ "digest": Digest::of(manifest).to_string(), "size": manifest.len() })];
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    write(folder.join("index.json"), index.to_string().as_bytes())?;
    write(folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)
}

/// An image of one layer, which is written down as it comes.
pub(crate) async fn of_root(
    folder: &Path,
    root: BoxStream<'static, Result<Bytes, Error>>,
    config: &Config,
) -> Result<(), ImportError> {
    fs::create_dir_all(blobs(folder)).map_err(ImportError::io("make", blobs(folder)))?;
    let fresh = folder.join("layer");
    let (layer, size) = written(root, &fresh, IMAGE_ARCHIVE_BYTES_MAX).await?;
    fs::rename(&fresh, blobs(folder).join(layer.hex())).map_err(ImportError::io("rename", fresh))?;
    let config = json!({
        "os": "linux",
        "config": {
            "Env": config.env,
            "WorkingDir": config.working_dir,
            "User": config.user,
            "Entrypoint": config.entrypoint,
            "Cmd": config.cmd,
        },
        "rootfs": { "type": "layers", "diff_ids": [layer.to_string()] },
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "digest": Digest::of(&config).to_string(), "size": config.len() },
        "layers": [{ "digest": layer.to_string(), "size": size }],
    });
    describe(folder, manifest.to_string().as_bytes(), &config)
}

/// Writes a stream to a file as it comes; answers what it adds up to.
pub(crate) async fn written(
    mut stream: BoxStream<'static, Result<Bytes, Error>>,
    path: &Path,
    bytes_max: u64,
) -> Result<(Digest, u64), ImportError> {
    let mut file = File::create_new(path).await.map_err(ImportError::io("create", path))?;
    let (mut sum, mut length) = (Sum::default(), 0_u64);
    while let Some(bytes) = stream.try_next().await.map_err(ImportError::Sender)? {
        length = length.saturating_add(bytes.len() as u64);
        if bytes_max < length {
            return Err(ImportError::TooLarge { what: "the archive", max: bytes_max, unit: "bytes" });
        }
        sum.add(&bytes);
        file.write_all(&bytes).await.map_err(ImportError::io("write", path))?;
    }
    file.flush().await.map_err(ImportError::io("write", path))?;
    Ok((sum.digest(), length))
}

fn blobs(folder: &Path) -> PathBuf {
    folder.join("blobs/sha256")
}

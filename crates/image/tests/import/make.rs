//! Images of somebody else's, made by hand: whatever an archive can say.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use sentinal_archive::{Header, Kind, PADDING, padding};
use sentinal_image::{Bounds, Digest, ImportJob, Imported, import};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A tar under construction.
#[derive(Clone, Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn add(mut self, header: &Header, content: &[u8]) -> Self {
        header.write(|block| self.0.extend_from_slice(block));
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(&PADDING[..padding(content.len() as u64)]);
        self
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.add(&Header { size: content.len() as u64, ..header(Kind::File, path, "") }, content)
    }

    pub(crate) fn folder(self, path: &str) -> Self {
        self.add(&Header { mode: 0o755, ..header(Kind::Directory, &format!("{path}/"), "") }, b"")
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.add(&header(Kind::Symlink, path, target), b"")
    }

    pub(crate) fn hardlink(self, path: &str, target: &str) -> Self {
        self.add(&header(Kind::Hardlink, path, target), b"")
    }

    /// With another letter for what the last entry is, as no writer of ours would make it.
    pub(crate) fn of_kind(mut self, letter: u8) -> Self {
        let at = self.0.len() - 512;
        self.0[at + 156] = letter;
        self.0[at + 148..at + 156].fill(b' ');
        let sum: u64 = self.0[at..].iter().map(|byte| u64::from(*byte)).sum();
        self.0[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&PADDING);
        self.0
    }
}

pub(crate) fn header(kind: Kind, path: &str, link: &str) -> Header {
    let (path, link) = (path.into(), link.into());
    Header { kind, path, link, mode: 0o644, uid: 0, gid: 0, size: 0, modified_s: 1_600_000_000 }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Blobs and the documents that name them.
#[derive(Default)]
pub(crate) struct Layout {
    pub(crate) blobs: Vec<(String, Vec<u8>)>,
    pub(crate) index: Value,
}

impl Layout {
    /// An image of these layers, which are compressed if `pack` does so.
    pub(crate) fn of(layers: &[Vec<u8>], config: Value, pack: fn(&[u8]) -> Vec<u8>) -> Self {
        let mut layout = Self::default();
        let ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let layers: Vec<_> = layers.iter().map(|layer| layout.blob("layer", pack(layer))).collect();
        let config = json!({ "architecture": "amd64", "os": "linux", "config": config, "rootfs": { "type": "layers", "diff_ids": ids } });
        let config = layout.blob("config", config.to_string().into_bytes());
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        let manifest = layout.blob("manifest", manifest.to_string().into_bytes());
        layout.index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        layout
    }

    pub(crate) fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = Digest::of(&bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() });
        self.blobs.push((digest.hex(), bytes));
        descriptor
    }

    pub(crate) fn tar(&self) -> Vec<u8> {
        let mut tar = Tar::default().file("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}").folder("blobs");
        for (hex, bytes) in &self.blobs {
            tar = tar.file(&format!("blobs/sha256/{hex}"), bytes);
        }
        tar.file("index.json", self.index.to_string().as_bytes()).bytes()
    }

    pub(crate) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        fs::write(folder.join("oci-layout"), "{}").unwrap();
        fs::write(folder.join("index.json"), self.index.to_string()).unwrap();
        for (hex, bytes) in &self.blobs {
            fs::write(folder.join("blobs/sha256").join(hex), bytes).unwrap();
        }
    }
}

/// An import, and what came of it.
pub(crate) struct Tried {
    pub(crate) folder: TempDir,
    pub(crate) imported: Result<Imported, String>,
}

pub(crate) fn try_bounded(bytes: &[u8], bounds: Bounds) -> Tried {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    fs::write(&input, bytes).unwrap();
    try_file(folder, input, bounds)
}

pub(crate) fn try_file(folder: TempDir, input: PathBuf, bounds: Bounds) -> Tried {
    let job = ImportJob { input, folder: folder.path().to_owned(), bounds, is_confined: false };
    let imported = import(&job, &mut |_| {}).map_err(|error| error.to_string());
    Tried { folder, imported }
}

pub(crate) fn try_import(bytes: &[u8]) -> Tried {
    try_bounded(bytes, Bounds::default())
}

impl Tried {
    pub(crate) fn image(&self) -> PathBuf {
        self.folder.path().join("image.erofs")
    }

    pub(crate) fn refused(&self, words: &str) {
        let error = self.imported.as_ref().unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

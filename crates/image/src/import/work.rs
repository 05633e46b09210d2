//! One import, from open files to a finished image.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
};

use super::{
    Bounds,
    blob::Parts,
    complete::complete,
    config::Config,
    confine::confine,
    decode::{decoded, is_compressed},
    docker,
    layer::Unpacking,
    oci,
    scratch::Scratch,
    source::Source,
    tree::FileTree,
};
use crate::{Digest, ImageError, erofs};

/// The name of the finished image in the folder of its import.
pub(crate) const IMAGE_FILE: &str = "image.erofs";

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct ImportJob {
    /// A tar of any kind that is read, or the folder of an OCI layout.
    pub input: PathBuf,
    /// Where the image is made. What is there under its name is replaced.
    pub folder: PathBuf,
    /// How large it may be.
    pub bounds: Bounds,
    /// Whether this process gives up what it could do, once its files are open. For a process of its own.
    pub is_confined: bool,
}

/// What is told while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// So many layers of so many are unpacked.
    Layers {
        /// Unpacked.
        done: usize,
        /// In all.
        all: usize,
    },
}

/// A finished image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What it contains.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// How its programs want to be started.
    pub config: Config,
    /// Entries of all its layers.
    pub entries: u64,
    /// Devices and named pipes that were left out.
    pub skipped: u64,
}

/// What was opened before nothing could be opened any more.
struct Opened {
    input: Input,
    contents: File,
    /// For an archive that is compressed as a whole.
    plain: File,
    image: File,
}

enum Input {
    Archive(File),
    Layout(Source),
}

/// Makes an image of it. Blocks.
pub fn run(job: &ImportJob, event: &mut dyn FnMut(Event)) -> Result<Imported, ImageError> {
    let opened = open(job)?;
    if job.is_confined {
        confine().map_err(ImageError::io("confine", &job.folder))?;
    }
    let Opened { input, contents, plain, image } = opened;
    let bounds = job.bounds;
    let scratch = Scratch::new(contents, bounds.unpacked_bytes);
    let mut unpacking = Unpacking::new(FileTree::new(), scratch, bounds);
    let (source, is_archive) = match input {
        Input::Layout(source) => (source, false),
        Input::Archive(archive) => (Source::in_archive(decompressed(archive, plain, bounds)?)?, true),
    };
    let mut config = match parts(&source, bounds)? {
        Some(parts) => unpack(parts, &source, &mut unpacking, event)?,
        None if is_archive => {
            unpacking.layer(source.whole())?;
            Config::default()
        }
        None => return Err(ImageError::refused("the folder has no index.json and is no layout of an image")),
    };
    if unpacking.entries == 0 {
        return Err(ImageError::refused("there is nothing in it"));
    }
    complete(&mut unpacking, &mut config)?;
    let Unpacking { tree, scratch, entries, skipped, .. } = unpacking;
    let contents = scratch.into_file().map_err(ImageError::io("write", "scratch"))?;
    let written = erofs::write(&tree, &contents, &image).map_err(ImageError::io("write", IMAGE_FILE))?;
    image.sync_all().map_err(ImageError::io("write", IMAGE_FILE))?;
    Ok(Imported { digest: written.digest, size_bytes: written.size_bytes, config, entries, skipped })
}

fn unpack(
    parts: Parts,
    source: &Source,
    unpacking: &mut Unpacking,
    event: &mut dyn FnMut(Event),
) -> Result<Config, ImageError> {
    let all = parts.layers.len();
    for (done, layer) in parts.layers.iter().enumerate() {
        event(Event::Layers { done, all });
        layer.unpack(source, unpacking)?;
    }
    event(Event::Layers { done: all, all });
    Ok(parts.config)
}

/// `None`: it is no image, but the files of one.
fn parts(source: &Source, bounds: Bounds) -> Result<Option<Parts>, ImageError> {
    if source.has("oci-layout") && source.has("index.json") {
        return oci::parts(source, bounds).map(Some);
    }
    if source.has("manifest.json") {
        return docker::parts(source, bounds).map(Some);
    }
    Ok(None)
}

fn open(job: &ImportJob) -> Result<Opened, ImageError> {
    let found = fs::metadata(&job.input).map_err(ImageError::io("look at", &job.input))?;
    let input = if found.is_dir() {
        Input::Layout(Source::in_folder(&job.input)?)
    } else {
        Input::Archive(File::open(&job.input).map_err(ImageError::io("open", &job.input))?)
    };
    let path = job.folder.join(IMAGE_FILE);
    let image = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let nameless = || tempfile::tempfile_in(&job.folder).map_err(ImageError::io("make a file in", &job.folder));
    Ok(Opened {
        input,
        contents: nameless()?,
        plain: nameless()?,
        image: image.map_err(ImageError::io("create", path))?,
    })
}

/// The archive itself, or what it is without its compression, in `plain`.
fn decompressed(archive: File, plain: File, bounds: Bounds) -> Result<File, ImageError> {
    let mut start = [0; 4];
    let count = archive.read_at(&mut start, 0).map_err(ImageError::io("read", "archive"))?;
    if !is_compressed(&start[..count]) {
        return Ok(archive);
    }
    let unreadable = |error: io::Error| match error.downcast::<ImageError>() {
        Ok(error) => error,
        Err(error) => ImageError::refused(format!("it cannot be read: {error}")),
    };
    let size = crate::import::source::length(&archive)?;
    let max = bounds.unpacked_bytes;
    let mut content = decoded(archive, size).map_err(unreadable)?.take(max + 1);
    let copied = io::copy(&mut content, &mut &plain).map_err(unreadable)?;
    if max < copied {
        return Err(ImageError::TooLarge { what: "the archive, unpacked", max, unit: "bytes" });
    }
    Ok(plain)
}

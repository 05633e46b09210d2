//! A part of a context, as an archive of its own.

use std::{fs::File, os::unix::fs::FileExt as _};

use bytes::{Bytes, BytesMut};
use sentinal_archive::{Header, Kind, PADDING, matches, padding};
use sentinal_model::Error;
use tokio::sync::mpsc::Sender;

use super::{
    context,
    index::{Body, Found, Index},
};
use crate::ImportError;

/// Bytes of one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// One entry under its new name.
#[derive(Debug)]
pub(super) struct Picked {
    path: Vec<u8>,
    found: Found,
}

/// The paths that sources name. Each names at least one.
pub(super) fn sources(index: &Index, sources: &[String]) -> Result<Vec<Vec<u8>>, ImportError> {
    let mut all = Vec::new();
    for source in sources {
        let before = all.len();
        if source.contains(['*', '?']) {
            let (folder, pattern) = source.rsplit_once('/').unwrap_or(("", source));
            let names = index.below(folder.as_bytes()).map(|(path, _)| path).filter(|path| !path.contains(&b'/'));
            let names = names.filter(|name| matches(pattern.as_bytes(), name));
            all.extend(
                names.map(
                    |name| if folder.is_empty() { name.to_vec() } else { [folder.as_bytes(), b"/", name].concat() },
                ),
            );
        } else if index.at(source.as_bytes()).is_some() {
            all.push(source.as_bytes().to_vec());
        }
        if all.len() == before {
            return Err(context(format!("there is nothing at {source:?} in the context")));
        }
    }
    Ok(all)
}

/// What is at these paths: of folders what is in them, of all else itself. `name` is what a single file is called.
pub(super) fn entries(index: &Index, paths: &[String], name: Option<&str>) -> Result<Vec<Picked>, ImportError> {
    let mut picked = Vec::new();
    for path in sources(index, paths)? {
        let Some(found) = index.found(&path).filter(|found| !matches!(found.body, Body::Folder)) else {
            let below = index.below(&path);
            picked.extend(below.map(|(path, found)| Picked { path: path.to_vec(), found: found.clone() }));
            continue;
        };
        let own = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let path = name.map_or(own, str::as_bytes).to_vec();
        picked.push(Picked { path, found: found.clone() });
    }
    Ok(picked)
}

/// Writes the archive, until nobody takes it any more. Blocks.
pub(super) fn send(archive: &File, picked: &[Picked], to: &Sender<Result<Bytes, Error>>) {
    let mut writing = Writing { to, unsent: BytesMut::with_capacity(2 * PIECE_BYTES) };
    let done = picked.iter().try_for_each(|entry| writing.entry(archive, entry)).and_then(|()| {
        writing.unsent.extend_from_slice(&PADDING);
        writing.flush()
    });
    if let Err(Broken::Unreadable(error)) = done {
        // If nobody is there, nobody misses it.
        let _ = to.blocking_send(Err(Error::internal(&error)));
    }
}

struct Writing<'a> {
    to: &'a Sender<Result<Bytes, Error>>,
    unsent: BytesMut,
}

/// Why an archive ends early.
enum Broken {
    Unreadable(std::io::Error),
    Unwanted,
}

impl Writing<'_> {
    fn entry(&mut self, archive: &File, Picked { path, found }: &Picked) -> Result<(), Broken> {
        let Found { body, mode, modified_s } = found;
        let (path, mode, modified_s) = (path.clone(), *mode, *modified_s);
        let plain = Header { kind: Kind::File, path, link: Vec::new(), mode, uid: 0, gid: 0, size: 0, modified_s };
        match body {
            Body::Folder => {
                self.header(&Header { path: [&plain.path[..], b"/"].concat(), kind: Kind::Directory, ..plain })
            }
            Body::Symlink(link) => self.header(&Header { link: link.clone(), kind: Kind::Symlink, ..plain }),
            Body::File { offset, size } => {
                self.header(&Header { size: *size, ..plain })?;
                self.content(archive, *offset, *size)
            }
        }
    }

    fn header(&mut self, header: &Header) -> Result<(), Broken> {
        header.write(|block| self.unsent.extend_from_slice(block));
        if PIECE_BYTES <= self.unsent.len() { self.flush() } else { Ok(()) }
    }

    fn content(&mut self, archive: &File, offset: u64, size: u64) -> Result<(), Broken> {
        let mut done = 0;
        while done < size {
            let count = usize::try_from(size - done).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let start = self.unsent.len();
            self.unsent.resize(start + count, 0);
            archive.read_exact_at(&mut self.unsent[start..], offset + done).map_err(Broken::Unreadable)?;
            done += count as u64;
            self.flush()?;
        }
        self.unsent.extend_from_slice(&PADDING[..padding(size)]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Broken> {
        self.to.blocking_send(Ok(self.unsent.split().freeze())).map_err(|_| Broken::Unwanted)
    }
}

//! From this machine into a sandbox.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use reqwest::{Body, Method};
use sentinal_api::FileEntry;
use sentinal_model::Code;
use tokio::{fs::File, sync::mpsc};
use tokio_util::io::ReaderStream;

use super::{
    ignore::Ignore,
    outward::stat,
    pack::pack,
    pipe::{PIECES_MAX, PipeWriter},
    place::{Local, Remote, local_name},
    progress::Progress,
};
use crate::{failure, session::Session};

/// A part of a body.
type Piece = io::Result<Bytes>;

/// Bytes read from a file at once.
const READ_BYTES: usize = 64 * 1024;

/// Copies a file, a folder or standard input.
pub(crate) async fn put(session: &Session, from: &Local, to: &Remote) -> Result<()> {
    let Local::Path(path) = from else { return put_stream(session, to).await };
    let meta = fs::metadata(path).with_context(|| format!("read {}", path.display()))?;
    let target = into(session, to, local_name(path), meta.is_dir()).await?;
    if meta.is_dir() { put_folder(session, path, &target).await } else { put_file(session, path, &target, None).await }
}

/// Copies one file to exactly this path; with its own permission bits unless told.
pub(crate) async fn put_file(session: &Session, path: &Path, to: &Remote, mode: Option<u32>) -> Result<()> {
    let file = File::open(path).await.with_context(|| format!("read {}", path.display()))?;
    let meta = file.metadata().await?;
    let mode = mode.unwrap_or_else(|| meta.permissions().mode() & 0o777);
    let progress = Progress::new(&path.display().to_string(), Some(meta.len()));
    let pieces = ReaderStream::with_capacity(file, READ_BYTES).inspect_ok(move |piece| progress.add(piece.len()));
    write(session, to, Some(mode), Body::wrap_stream(pieces)).await
}

/// Puts these bytes at exactly this path.
pub(crate) async fn put_bytes(session: &Session, to: &Remote, bytes: Bytes, mode: u32) -> Result<()> {
    write(session, to, Some(mode), Body::from(bytes)).await
}

async fn put_stream(session: &Session, to: &Remote) -> Result<()> {
    let progress = Progress::hidden();
    let pieces =
        ReaderStream::with_capacity(tokio::io::stdin(), READ_BYTES).inspect_ok(move |piece| progress.add(piece.len()));
    if to.is_folder() {
        unpack_there(session, to, pieces).await
    } else {
        write(session, to, None, Body::wrap_stream(pieces)).await
    }
}

async fn put_folder(session: &Session, path: &Path, to: &Remote) -> Result<()> {
    packed(path, Ignore::default(), |pieces| unpack_there(session, to, pieces)).await
}

/// Packs a folder and sends it, piece by piece.
pub(crate) async fn packed<T>(
    path: &Path,
    ignore: Ignore,
    send: impl AsyncFnOnce(BoxStream<'static, Piece>) -> Result<T>,
) -> Result<T> {
    let (sender, mut receiver) = mpsc::channel(PIECES_MAX);
    let folder = PathBuf::from(path);
    let packing = tokio::task::spawn_blocking(move || {
        let mut pipe = PipeWriter::new(sender);
        pack(&folder, &ignore, &mut pipe).inspect_err(|error| pipe.fail(error))
    });
    let progress = Progress::new(&path.display().to_string(), None);
    let pieces = futures::stream::poll_fn(move |context| receiver.poll_recv(context));
    let pieces = pieces.inspect_ok(move |piece: &Bytes| progress.add(piece.len()));
    let sent = send(pieces.boxed()).await;
    match packing.await? {
        // It broke off because nobody took it any more: what was said to that counts.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe && sent.is_err() => sent,
        packed => packed.with_context(|| format!("read {}", path.display())).and(sent),
    }
}

async fn unpack_there(
    session: &Session,
    to: &Remote,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Result<()> {
    let request = session.client.request(Method::PUT, &["sandbox", &to.sandbox, "files", "archive"]);
    let request = request.query(&[("path", to.plain())]).header("content-type", "application/x-tar");
    session.client.send(request.body(Body::wrap_stream(pieces.boxed()))).await?;
    Ok(())
}

async fn write(session: &Session, to: &Remote, mode: Option<u32>, body: Body) -> Result<()> {
    let request = session.client.request(Method::PUT, &["sandbox", &to.sandbox, "files"]);
    let mut query = vec![("path", to.plain().to_owned())];
    query.extend(mode.map(|mode| ("mode", format!("{mode:04o}"))));
    let request = request.query(&query).header("content-type", "application/octet-stream");
    session.client.send(request.body(body)).await?;
    Ok(())
}

/// Where something goes: into a folder that is there it goes with its name.
async fn into(session: &Session, to: &Remote, name: Option<&str>, is_folder: bool) -> Result<Remote> {
    let Some(name) = name else { return Ok(to.clone()) };
    let there: Option<FileEntry> = match stat(session, to).await {
        Ok(entry) => Some(entry),
        Err(error) if failure::is_code(&error, Code::NotFound) => None,
        Err(error) => return Err(error),
    };
    let joins = there.map_or_else(|| to.is_folder() && !is_folder, |entry| entry.kind == "directory");
    Ok(if joins { to.join(name) } else { to.clone() })
}

//! From a sandbox to this machine.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, Response};
use sentinal_api::FileEntry;
use tokio::{io::AsyncWriteExt as _, sync::mpsc};

use super::{
    pipe::{PIECES_MAX, PipeReader},
    place::{Local, Remote},
    progress::Progress,
    unpack::unpack,
};
use crate::{
    failure::{Failure, NobodyReads},
    session::Session,
    show::clean,
};

/// Copies a file or a folder.
pub(crate) async fn get(session: &Session, from: &Remote, to: &Local) -> Result<()> {
    let entry = stat(session, from).await?;
    match (to, entry.kind.as_ref()) {
        (Local::Stream, "directory") => print(read(session, from, &["files", "archive"]).await?).await,
        (Local::Stream, _) => print(read(session, from, &["files"]).await?).await,
        (Local::Path(path), "directory") => get_folder(session, from, &into(path, from.name(), true)).await,
        (Local::Path(path), "file") => get_file(session, (from, &entry), &into(path, from.name(), false)).await,
        (Local::Path(_), kind) => {
            bail!("{} is a {}: only files and folders can be copied", clean(&from.path), clean(kind))
        }
    }
}

/// What is at this path, links followed.
pub(crate) async fn stat(session: &Session, at: &Remote) -> Result<FileEntry> {
    let path = ["sandbox", &at.sandbox, "files", "stat"];
    Ok(session.client.get(&path, &[("path", at.plain()), ("follow", "true")]).await?.body)
}

async fn read(session: &Session, from: &Remote, what: &[&str]) -> Result<Response> {
    let path: Vec<&str> = ["sandbox", &from.sandbox].into_iter().chain(what.iter().copied()).collect();
    session.client.send(session.client.request(Method::GET, &path).query(&[("path", from.plain())])).await
}

async fn print(mut response: Response) -> Result<()> {
    let mut stdout = tokio::io::stdout();
    while let Some(piece) = response.chunk().await.map_err(Failure::Broken)? {
        heard(stdout.write_all(&piece).await)?;
    }
    heard(stdout.flush().await)
}

fn heard(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(NobodyReads.into()),
        written => written.context("write the output"),
    }
}

/// Whole or not at all: it gets its name when all of it is there.
async fn get_file(session: &Session, (from, entry): (&Remote, &FileEntry), path: &Path) -> Result<()> {
    let mut response = read(session, from, &["files"]).await?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fresh = folder.join(format!(".{name}.{}.part", std::process::id()));
    let progress = Progress::new(&from.path, Some(entry.size));
    let write = async {
        let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&fresh).await?;
        while let Some(piece) = response.chunk().await.map_err(Failure::Broken)? {
            file.write_all(&piece).await?;
            progress.add(piece.len());
        }
        file.flush().await?;
        let bits = u32::from_str_radix(&entry.mode, 8).unwrap_or(0o644) & 0o777;
        file.set_permissions(Permissions::from_mode(bits)).await?;
        anyhow::Ok(tokio::fs::rename(&fresh, path).await?)
    };
    let done = write.await;
    if done.is_err() {
        // Nothing is lost if that fails, too: it may not have been made.
        let _ = fs::remove_file(&fresh);
    }
    done.with_context(|| format!("write {}", path.display()))
}

async fn get_folder(session: &Session, from: &Remote, path: &Path) -> Result<()> {
    let mut response = read(session, from, &["files", "archive"]).await?;
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let folder = PathBuf::from(path);
    let unpacking = tokio::task::spawn_blocking(move || unpack(&folder, PipeReader::new(receiver)));
    let progress = Progress::new(&from.path, None);
    let broken = loop {
        match response.chunk().await {
            Ok(Some(piece)) => {
                progress.add(piece.len());
                if sender.send(Ok(piece)).await.is_err() {
                    break None;
                }
            }
            Ok(None) => break None,
            Err(error) => {
                let _ = sender.send(Err(io::Error::other("the archive was cut off"))).await;
                break Some(Failure::Broken(error));
            }
        }
    };
    drop(sender);
    let unpacked = unpacking.await?;
    match broken {
        Some(failure) => Err(failure).with_context(|| format!("{} is not complete", path.display())),
        None => unpacked,
    }
}

/// Where something goes: into a folder that is there, or is meant, it goes with its name.
fn into(path: &Path, name: Option<&str>, is_folder: bool) -> PathBuf {
    let is_meant = !is_folder && path.as_os_str().as_encoded_bytes().ends_with(b"/");
    match name {
        Some(name) if is_meant || path.is_dir() => path.join(name),
        _ => path.to_owned(),
    }
}

//! `import` and `pull`: images of others.

use std::{fs, io::Read as _, path::Path};

use anyhow::{Context as _, Result};
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::{Body, Method, Response};
use sentinal_api::{ImageDetails, ImageJob, PullCredentials, PullImage};
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::job;
use crate::{
    client::Answer,
    copy::{self, Ignore, Progress},
    execute::Signals,
    failure::Failure,
    session::Session,
    show::{bytes, clean},
};

/// Bytes read from a file at once.
const READ_BYTES: usize = 256 * 1024;
/// Longest password that is read.
const PASSWORD_BYTES_MAX: u64 = 16 * 1024;

/// What is to become an image.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// An archive here (an OCI layout, what docker save writes, or the files of an image; gzip and zstd are read), - for
    /// one on standard input, or a folder that is a layout or the root of an image
    #[arg(value_name = "FILE|-|FOLDER")]
    source: String,
    /// What the image is to be called; a name that is taken moves to it
    name: String,
}

/// Which image of which registry.
#[derive(Debug, Args)]
pub struct PullOptions {
    /// HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:...
    reference: String,
    /// What the image is to be called [default: the reference without its host, and without :latest]
    name: Option<String>,
    /// For registries that do not serve everybody; the password comes on standard input
    #[arg(long, value_name = "USER")]
    username: Option<String>,
    /// Print the pull's id and do not wait for it
    #[arg(long, short)]
    detach: bool,
}

/// `sentinal image import`.
pub(crate) async fn import(session: &Session, options: &ImportOptions) -> Result<u8> {
    let ImportOptions { source, name } = options;
    let made = async {
        if source == "-" {
            return send_stream(session, name, Progress::new("standard input", None), tokio::io::stdin()).await;
        }
        let path = Path::new(source);
        let meta = fs::metadata(path).with_context(|| format!("read {source}"))?;
        if meta.is_dir() {
            return copy::packed(path, Ignore::default(), |pieces| send(session, name, Body::wrap_stream(pieces)))
                .await;
        }
        let file = tokio::fs::File::open(path).await.with_context(|| format!("read {source}"))?;
        send_stream(session, name, Progress::new(source, Some(meta.len())), file).await
    };
    let json: Value = made.await?.json().await.map_err(Failure::Broken)?;
    let made: ImageDetails = serde_json::from_value(json.clone())?;
    session.answer(
        &json,
        &clean(&format!("{} {} ({})", made.image.name, made.image.digest, bytes(made.image.size_bytes))),
    )?;
    Ok(0)
}

async fn send_stream(
    session: &Session,
    name: &str,
    progress: Progress,
    from: impl tokio::io::AsyncRead + Send + 'static,
) -> Result<Response> {
    let pieces = ReaderStream::with_capacity(from, READ_BYTES).inspect_ok(move |piece| progress.add(piece.len()));
    send(session, name, Body::wrap_stream(pieces.boxed())).await
}

/// How long an image takes to be made is for the server to say.
async fn send(session: &Session, name: &str, body: Body) -> Result<Response> {
    let request = session.client.request(Method::POST, &["image", "import"]).query(&[("name", name)]);
    session.client.send(request.header("content-type", "application/x-tar").body(body)).await
}

/// `sentinal image pull`.
pub(crate) async fn pull(session: &Session, options: PullOptions) -> Result<u8> {
    let PullOptions { reference, name, username, detach } = options;
    let name = name.unwrap_or_else(|| default_name(&reference).to_owned());
    let credentials = match username {
        Some(username) => Some(PullCredentials { username, password: password()? }),
        None => None,
    };
    let body = PullImage { reference, name, credentials };
    let mut signals = Signals::new()?;
    let begun: Answer<ImageJob> = session.client.submit(Method::POST, &["image", "pull"], &body).await?;
    if detach {
        session.answer(&begun.json, &clean(&begun.body.id))?;
        return Ok(0);
    }
    job::follow_pull(session, &begun.body.id, &mut signals).await
}

/// The first line of standard input: a password in the arguments could be seen by everybody on this machine.
fn password() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().take(PASSWORD_BYTES_MAX).read_to_string(&mut text).context("read the password")?;
    match text.lines().next() {
        Some(password) => Ok(password.to_owned()),
        None => Err(Failure::usage("--username: give the password on standard input")),
    }
}

fn default_name(reference: &str) -> &str {
    let path = reference.split_once('/').map_or(reference, |(_, path)| path);
    let path = path.split_once('@').map_or(path, |(path, _)| path);
    path.strip_suffix(":latest").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_called_as_in_its_registry() {
        for (reference, name) in [
            ("registry.example.com/team/app:1", "team/app:1"),
            ("registry.example.com:5000/app:latest", "app"),
            ("registry.example.com/app@sha256:00", "app"),
            ("registry.example.com/app:2@sha256:00", "app:2"),
        ] {
            assert_eq!(default_name(reference), name);
        }
    }
}

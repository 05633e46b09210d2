//! A form with files: its fields first, then one file after the other, each streamed to its place.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use sentinal_api::{Query, UploadedFile};
use sentinal_auth::{Caller, Permit, ReadFile, WriteFile};
use sentinal_model::{Code, Error, FileAt, FileWrite, GuestPath, Result, SandboxId};
use sentinal_telemetry::Limit;
use tokio::sync::Mutex;

use super::{super::source::Watched, too_large};
use crate::{
    App,
    multipart::Multipart,
    request::{chunks, limited},
};

/// Heads and boundaries, on top of what the files may have.
const FRAMING_BYTES_MAX: u64 = 16 << 20;
/// Longest value of a field.
const FIELD_BYTES_MAX: usize = 8 * 1024;

/// A form on its way in.
pub(super) struct Form<'a> {
    app: &'a App,
    permit: Permit<WriteFile>,
    /// For asking whether a path names a folder.
    read: Option<Permit<ReadFile>>,
    sandbox: Option<SandboxId>,
    path: Option<String>,
    files: Vec<UploadedFile>,
    bytes_left: u64,
}

impl<'a> Form<'a> {
    /// A form whose fields may also stand in the query.
    pub(super) fn new(app: &'a App, caller: &Caller, permit: Permit<WriteFile>, mut query: Query) -> Result<Self> {
        let mut form = Self {
            app,
            permit,
            read: app.policy.permit(caller).ok(),
            sandbox: None,
            path: None,
            files: Vec::new(),
            bytes_left: app.limits.upload_bytes,
        };
        for field in ["sandbox_id", "path"] {
            query.take(field).map(|value| form.set(field, value)).transpose()?;
        }
        query.finish(&["sandbox_id", "path"])?;
        Ok(form)
    }

    /// Stores the files in the order they come.
    pub(super) async fn receive(mut self, body: Body, boundary: &str) -> Result<Vec<UploadedFile>> {
        let max = self.app.limits.upload_bytes;
        let bytes_max = max.saturating_add(FRAMING_BYTES_MAX);
        let multipart = Multipart::new(limited(chunks(body), bytes_max, move || too_large(max)), boundary);
        let multipart = Arc::new(Mutex::new(multipart));
        loop {
            let Some(head) = multipart.lock().await.next_part().await? else { break };
            if let Some(filename) = head.filename {
                self.store(&multipart, &filename).await?;
            } else {
                let value = field_value(&multipart, &head.name).await?;
                self.set(&head.name, value)?;
            }
        }
        if self.files.is_empty() {
            return Err(Error::invalid("the form has no file; add a part with a filename"));
        }
        Ok(self.files)
    }

    fn set(&mut self, field: &str, value: String) -> Result<()> {
        if !self.files.is_empty() {
            return Err(Error::invalid(format!("{}: comes after a file; put the fields before the files", cut(field))));
        }
        let given_before = match field {
            "sandbox_id" => {
                let id = value.parse().map_err(|error| Error::invalid(format!("sandbox_id: {error}")))?;
                self.sandbox.replace(id).is_some()
            }
            "path" => self.path.replace(value).is_some(),
            _ => {
                let message = format!("unknown field {:?}; known fields: sandbox_id, path, and files", cut(field));
                return Err(Error::invalid(message));
            }
        };
        if given_before {
            return Err(Error::invalid(format!("{field}: given twice; give it once")));
        }
        Ok(())
    }

    async fn store(&mut self, multipart: &Arc<Mutex<Multipart>>, filename: &str) -> Result<()> {
        let sandbox = self.sandbox.ok_or_else(|| {
            Error::invalid("sandbox_id: is missing; put the fields sandbox_id and path before the files")
        })?;
        let (files_max, max) = (self.app.limits.upload_files, self.app.limits.upload_bytes);
        if files_max <= self.files.len() {
            self.app.metrics.limit_reached(Limit::UploadFiles);
            let message = format!("more than {files_max} files; send them in several uploads");
            return Err(Error::new(Code::TooLarge, message));
        }
        let path = self.place(sandbox, filename).await?;
        let content = limited(content(Arc::clone(multipart)), self.bytes_left, move || too_large(max));
        let (watched, source) = Watched::new(content);
        let file = FileWrite::ordinary(path.clone());
        let written = self.app.controller.upload(&self.permit, sandbox, &file, source).await;
        let size = watched.explain(written)?.size;
        self.app.metrics.uploaded(size);
        self.bytes_left = self.bytes_left.saturating_sub(size);
        self.files.push(UploadedFile { path: path.to_string(), size });
        Ok(())
    }

    /// Where a file goes: into the folder that `path` names, or to `path` itself.
    async fn place(&mut self, sandbox: SandboxId, filename: &str) -> Result<GuestPath> {
        let name = sound_name(filename)?;
        let path = self.path.as_deref().unwrap_or(GuestPath::HOME);
        let is_folder = self.path.is_none() || path.ends_with('/') || self.is_folder(sandbox, path, name).await?;
        if is_folder {
            let path = format!("{path}/{name}");
            self.path.get_or_insert_with(|| GuestPath::HOME.to_owned());
            return parse_path(&path);
        }
        if !self.files.is_empty() {
            let message = "path: names one file, but there are more; end it with a slash to name a folder";
            return Err(Error::invalid(message));
        }
        parse_path(path)
    }

    /// As `cp` would see it: a path is a folder if it is one in the sandbox. What cannot be opened for another reason
    /// than being a folder is left to the upload itself.
    async fn is_folder(&self, sandbox: SandboxId, path: &str, name: &str) -> Result<bool> {
        let parsed = parse_path(path)?;
        let (Some(read), false) = (&self.read, path.rsplit('/').next() == Some(name)) else { return Ok(false) };
        let opened = self.app.controller.download(read, sandbox, &FileAt::ordinary(parsed), None).await;
        Ok(opened.is_err_and(|error| matches!(error.code(), Code::Conflict | Code::InvalidRequest)))
    }
}

/// The bytes of the part that was just begun.
fn content(multipart: Arc<Mutex<Multipart>>) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold(multipart, |multipart| async move {
        let chunk = multipart.lock().await.chunk().await?;
        Ok(chunk.map(|bytes| (bytes, multipart)))
    })
    .boxed()
}

async fn field_value(multipart: &Arc<Mutex<Multipart>>, field: &str) -> Result<String> {
    let mut multipart = multipart.lock().await;
    let mut value = Vec::new();
    while let Some(bytes) = multipart.chunk().await? {
        value.extend_from_slice(&bytes);
        if FIELD_BYTES_MAX < value.len() {
            return Err(Error::invalid(format!("{}: has more than {FIELD_BYTES_MAX} bytes", cut(field))));
        }
    }
    String::from_utf8(value).map_err(|_| Error::invalid(format!("{}: is not UTF-8", cut(field))))
}

/// A file's name may have folders in it; what would lead out of the folder is refused as part of the path.
fn sound_name(filename: &str) -> Result<&str> {
    if filename.is_empty() || filename.ends_with('/') {
        return Err(Error::invalid("a file has no name; give it one, for example filename=\"main.py\""));
    }
    Ok(filename)
}

fn parse_path(path: &str) -> Result<GuestPath> {
    path.parse().map_err(|error| Error::invalid(format!("path: {error}")))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

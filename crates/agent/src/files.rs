//! Files in and out, and folders, with the rights of the user they are for.
//!
//! A transfer runs on a thread that has taken its user's identity, so that a link planted by a program cannot
//! make the agent touch what that program could not. The connection's side only passes messages on.

mod download;
mod folder;
mod identity;
mod incoming;
mod list;
mod outgoing;
mod pack;
mod place;
mod refusal;
mod stat;
mod sys;
mod unfinished;
mod unpack;
mod upload;
mod walk;
mod watch;

use std::sync::Arc;

use rustix::fs::Mode;
use sentinal_agent_protocol::v1;
use tokio::sync::Semaphore;
use tonic::Status;

pub(crate) use self::{
    download::download,
    list::list,
    outgoing::Outgoing,
    pack::pack,
    unpack::unpack,
    upload::{append, upload},
    watch::{Watching, watch},
};
use crate::{
    idle::Idle,
    limits,
    user::{Identity, Names, User},
};

const MODE_MAX: u32 = 0o7777;
const FOLDER_MODE_DEFAULT: u32 = 0o755;

/// How many transfers there may be at once, and that there are some.
#[derive(Clone)]
pub(crate) struct Transfers {
    room: Arc<Semaphore>,
    idle: Idle,
}

impl Transfers {
    /// At most so many at once.
    pub(crate) fn new(idle: Idle, most: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(most)), idle }
    }

    fn has_room(&self) -> bool {
        0 < self.room.available_permits()
    }

    /// Does the work on a thread that is this user, once there is one.
    async fn start<T: Send + 'static>(
        &self,
        identity: Identity,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<tokio::task::JoinHandle<Result<T, Status>>, Status> {
        let used = self.idle.begin();
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(|_| Status::unavailable("the agent ends"))?;
        Ok(tokio::task::spawn_blocking(move || {
            let (_permit, _used) = (permit, used);
            identity::assume(identity)?;
            work()
        }))
    }

    /// The same, and its result.
    async fn run<T: Send + 'static>(
        &self,
        identity: Identity,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let working = self.start(identity, work).await?;
        working.await.map_err(|lost| Status::internal(format!("the work on a file was lost: {lost}")))?
    }
}

/// What a path names.
pub(crate) async fn stat(
    transfers: &Transfers,
    user: User,
    names: Names,
    request: v1::StatRequest,
) -> Result<v1::StatResponse, Status> {
    let path = absolute(&request.path, &user)?;
    let work = move || stat::look(&path, request.follow, &names);
    Ok(v1::StatResponse { stat: Some(transfers.run(user.identity, work).await?) })
}

/// Makes a folder and answers what it is.
pub(crate) async fn make_folder(
    transfers: &Transfers,
    user: User,
    names: Names,
    request: v1::MakeFolderRequest,
) -> Result<v1::MakeFolderResponse, Status> {
    let path = absolute(&request.path, &user)?;
    let mode = mode_or(request.mode, FOLDER_MODE_DEFAULT)?;
    let work = move || {
        folder::make(&path, mode, request.make_parents)?;
        stat::look(&path, true, &names)
    };
    Ok(v1::MakeFolderResponse { stat: Some(transfers.run(user.identity, work).await?) })
}

/// Renames a file, a link or a folder, and answers what it is.
pub(crate) async fn rename(
    transfers: &Transfers,
    user: User,
    names: Names,
    request: v1::MoveRequest,
) -> Result<v1::MoveResponse, Status> {
    let (from, to) = (absolute(&request.from, &user)?, absolute(&request.to, &user)?);
    let work = move || {
        folder::rename(&from, &to, request.overwrite)?;
        stat::look(&to, false, &names)
    };
    Ok(v1::MoveResponse { stat: Some(transfers.run(user.identity, work).await?) })
}

/// Removes a file, a link or a folder.
pub(crate) async fn remove(
    transfers: &Transfers,
    user: User,
    request: v1::RemoveRequest,
) -> Result<v1::RemoveResponse, Status> {
    let path = absolute(&request.path, &user)?;
    transfers.run(user.identity, move || folder::remove(&path, request.recursive)).await?;
    Ok(v1::RemoveResponse {})
}

/// Permission bits; 0 is the default.
fn mode_or(mode: u32, default: u32) -> Result<Mode, Status> {
    match mode {
        0 => Ok(Mode::from_raw_mode(default)),
        mode if mode <= MODE_MAX => Ok(Mode::from_raw_mode(mode)),
        _ => Err(Status::invalid_argument("mode must not be above octal 7777")),
    }
}

/// The whole path; a relative one begins at the user's home, as a program's would.
fn absolute(path: &str, user: &User) -> Result<String, Status> {
    if path.is_empty() {
        return Err(Status::invalid_argument("the path must not be empty"));
    }
    if path.contains('\0') {
        return Err(Status::invalid_argument("the path must not contain a NUL byte"));
    }
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", user.home) };
    if limits::PATH_BYTES_MAX < whole.len() {
        let most = limits::PATH_BYTES_MAX;
        return Err(Status::invalid_argument(format!("the path must not be longer than {most} bytes")));
    }
    Ok(whole)
}

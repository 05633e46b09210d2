//! Files in and out, with the rights of the user they are for.
//!
//! A transfer runs on a thread that has taken its user's identity, so that a link planted by a program cannot
//! make the agent touch what that program could not. The connection's side only passes messages on.

mod download;
mod identity;
mod place;
mod refusal;
mod sys;
mod upload;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::Status;

pub(crate) use self::{
    download::{Download, download},
    upload::upload,
};
use crate::{
    idle::Idle,
    limits,
    user::{Identity, User},
};

/// How many transfers there may be at once, and that there are some.
#[derive(Clone)]
pub(crate) struct Transfers {
    room: Arc<Semaphore>,
    idle: Idle,
}

impl Transfers {
    pub(crate) fn new(idle: Idle) -> Self {
        Self { room: Arc::new(Semaphore::new(limits::TRANSFERS_MAX)), idle }
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

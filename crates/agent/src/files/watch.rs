//! What happens in a folder, as it happens.
//!
//! A thread that is the user sleeps until the kernel has something to say or whoever watches is gone; then it ends, and
//! its inotify with it. What the kernel and this hold for a watcher that does not keep up is bounded, and when something
//! was lost the watcher is told.

mod change;
mod kernel;
mod outbox;
mod tree;

use std::{
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};
use sentinal_agent_protocol::v1::{WatchRequest, WatchResponse};
use tonic::Status;

use self::{change::Changes, kernel::Kernel, tree::Tree};
use super::{
    Transfers, absolute,
    outgoing::{Outgoing, Part, Sender},
    refusal::refusal,
};
use crate::{limits, user::User};

/// What happens, until it is dropped.
pub(crate) struct Watching {
    changes: Outgoing<WatchResponse>,
    /// Closing it wakes the thread.
    _here: OwnedFd,
}

/// Answers once nothing that happens from then on can be missed.
pub(crate) async fn watch(watches: &Transfers, user: User, request: WatchRequest) -> Result<Watching, Status> {
    if !watches.has_room() {
        let most = limits::WATCHES_MAX;
        return Err(Status::resource_exhausted(format!("{most} others watch folders of this sandbox already")));
    }
    let path = absolute(&request.path, &user)?;
    let (gone, here) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| refusal(&path, errno))?;
    let recursive = request.recursive;
    let work = move |sender: &Sender<WatchResponse>| run(&path, recursive, sender, &gone);
    Ok(Watching { changes: Outgoing::start(watches, user.identity, work).await?, _here: here })
}

/// On a thread that is the user.
fn run(path: &str, recursive: bool, sender: &Sender<WatchResponse>, gone: &OwnedFd) -> Result<(), Status> {
    let mut kernel = Kernel::begin().map_err(|errno| refused(path, errno))?;
    let mut tree = Tree::begin(path, recursive, &kernel).map_err(|errno| refused(path, errno))?;
    if tree.is_cut() {
        let most = limits::WATCH_FOLDERS_MAX;
        let message =
            format!("{path} has more than {most} folders in it, or too much to look through; watch a part of it");
        return Err(Status::resource_exhausted(message));
    }
    let mut changes = Changes::default();
    // The first message says that the watch has begun.
    if sender.send(WatchResponse::default()).is_err() {
        return Ok(());
    }
    loop {
        let at_most = limit(&mut changes);
        match wait(&kernel, gone, at_most).map_err(|errno| refusal(path, errno))? {
            Woken::ToRead => {}
            Woken::Late => changes.leave(&mut tree, &kernel),
            Woken::Alone => return Ok(()),
        }
        for _ in 0..limits::WATCH_EVENTS_AT_ONCE {
            let Some(event) = kernel.next().map_err(|errno| refusal(path, errno))? else {
                changes.rest(&mut tree);
                break;
            };
            changes.take(event, &mut tree, &kernel);
        }
        if changes.outbox().hand_over(sender, tree.is_gone()).is_break() {
            return Ok(());
        }
    }
}

/// How long to sleep at most: for the second half of a move, or until what is to be told may be taken.
fn limit(changes: &mut Changes) -> Option<Duration> {
    let retry = (!changes.outbox().is_empty()).then_some(limits::WATCH_RETRY);
    changes.is_waiting().then_some(limits::WATCH_MOVE_WAIT).or(retry)
}

/// Why a sleep is over.
enum Woken {
    /// The kernel has something to say.
    ToRead,
    /// The second half of a move does not come.
    Late,
    /// Nobody watches any more.
    Alone,
}

fn wait(kernel: &Kernel, gone: &OwnedFd, at_most: Option<Duration>) -> Result<Woken, Errno> {
    // What was read and not looked at yet is there already.
    let at_most = if kernel.has_read() { Some(Duration::ZERO) } else { at_most };
    let at_most = at_most.and_then(|at_most| Timespec::try_from(at_most).ok());
    loop {
        let mut ready = [PollFd::new(kernel, PollFlags::IN), PollFd::new(gone, PollFlags::empty())];
        match poll(&mut ready, at_most.as_ref()) {
            Ok(0) if kernel.has_read() => return Ok(Woken::ToRead),
            Ok(0) => return Ok(Woken::Late),
            Ok(_) if ready[1].revents().is_empty() => return Ok(Woken::ToRead),
            Ok(_) => return Ok(Woken::Alone),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn refused(path: &str, errno: Errno) -> Status {
    match errno {
        Errno::NOTDIR => Status::invalid_argument(format!("{path} is not a folder; watch the folder that holds it")),
        Errno::NOSYS | Errno::OPNOTSUPP => Status::unimplemented("this engine cannot watch folders"),
        Errno::NOSPC | Errno::MFILE | Errno::NFILE | Errno::NOMEM => {
            Status::resource_exhausted("the sandbox's user has no more room for watches; end some of them")
        }
        errno => refusal(path, errno),
    }
}

impl Part for WatchResponse {
    fn is_last(&self) -> bool {
        self.end
    }
}

impl futures::Stream for Watching {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.changes).poll_next(cx)
    }
}

//! What the kernel's events mean to whoever watches.

use std::collections::BTreeSet;

use rustix::fs::inotify::ReadFlags;
use sentinal_agent_protocol::v1::{FileChange, FileEvent};

use super::{
    kernel::{Event, Kernel},
    outbox::Outbox,
    tree::Tree,
};
use crate::{files::unfinished::is_unfinished, limits};

/// What is to be told, and what it takes to know it.
#[derive(Default)]
pub(super) struct Changes {
    outbox: Outbox,
    /// The first half of a move, until the second comes or does not.
    leaving: Option<Passing>,
    /// What was found by looking, of which the kernel may speak yet.
    found: BTreeSet<Vec<u8>>,
}

/// One half of a move.
struct Passing {
    cookie: u32,
    path: Vec<u8>,
    is_folder: bool,
}

impl Changes {
    /// Whether the second half of a move may come yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.leaving.is_some()
    }

    /// What is to be told.
    pub(super) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// One event more.
    pub(super) fn take(&mut self, event: Event, tree: &mut Tree, kernel: &Kernel) {
        let has = |flag| event.what.contains(flag);
        if has(ReadFlags::QUEUE_OVERFLOW) {
            self.leave(tree, kernel);
            tree.look_again(kernel);
            return self.lost();
        }
        if has(ReadFlags::IGNORED) {
            return tree.ended(event.watch);
        }
        if event.name.is_empty() {
            return self.take_of_first(&event, tree, kernel);
        }
        let Some(path) = tree.path(event.watch, &event.name) else { return };
        let is_folder = has(ReadFlags::ISDIR);
        if has(ReadFlags::MOVED_TO) {
            return self.arrive(Passing { cookie: event.cookie, path, is_folder }, tree, kernel);
        }
        self.leave(tree, kernel);
        if has(ReadFlags::MOVED_FROM) {
            self.leaving = Some(Passing { cookie: event.cookie, path, is_folder });
        } else if has(ReadFlags::CREATE) {
            self.create(path, is_folder, tree, kernel);
        } else if has(ReadFlags::DELETE) {
            self.tell(FileChange::Removed, path, is_folder);
        } else {
            self.tell(FileChange::Modified, path, is_folder);
        }
    }

    /// The kernel has nothing more to say, for now.
    pub(super) fn rest(&mut self, tree: &mut Tree) {
        self.found.clear();
        if tree.is_cut() {
            self.lost();
        }
    }

    /// Of the others their own folder tells.
    fn take_of_first(&mut self, event: &Event, tree: &mut Tree, kernel: &Kernel) {
        let is_end = event.what.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT);
        if is_end && tree.is_first(event.watch) {
            self.leave(tree, kernel);
            self.tell(FileChange::Removed, Vec::new(), true);
            tree.ended(event.watch);
        }
    }

    fn create(&mut self, path: Vec<u8>, is_folder: bool, tree: &mut Tree, kernel: &Kernel) {
        if self.found.remove(&path) {
            return;
        }
        self.tell(FileChange::Created, path.clone(), is_folder);
        if is_folder {
            tree.entered(&path, kernel, &mut |path, is_folder| self.find(path, is_folder));
        }
    }

    fn find(&mut self, path: Vec<u8>, is_folder: bool) {
        if limits::LIST_ENTRIES_MAX <= self.found.len() {
            return self.lost();
        }
        if self.found.insert(path.clone()) {
            self.tell(FileChange::Created, path, is_folder);
        }
    }

    /// The second half of a move, or something from elsewhere.
    fn arrive(&mut self, to: Passing, tree: &mut Tree, kernel: &Kernel) {
        match self.leaving.take_if(|from| from.cookie == to.cookie) {
            // A file that was written whole is new, whatever it was called until then.
            Some(from) if is_unfinished(&from.path) => self.tell(FileChange::Created, to.path, to.is_folder),
            Some(from) => {
                if to.is_folder {
                    tree.moved(&from.path, &to.path);
                }
                let change = FileChange::Moved.into();
                self.add(FileEvent { change, path: to.path, from: from.path, is_folder: to.is_folder });
            }
            None => {
                self.leave(tree, kernel);
                self.create(to.path, to.is_folder, tree, kernel);
            }
        }
    }

    /// What has left without arriving is gone.
    pub(super) fn leave(&mut self, tree: &mut Tree, kernel: &Kernel) {
        let Some(Passing { path, is_folder, .. }) = self.leaving.take() else { return };
        if is_folder {
            tree.left(&path, kernel);
        }
        self.tell(FileChange::Removed, path, is_folder);
    }

    fn lost(&mut self) {
        self.tell(FileChange::Overflow, Vec::new(), false);
    }

    fn tell(&mut self, change: FileChange, path: Vec<u8>, is_folder: bool) {
        if !is_unfinished(&path) {
            self.add(FileEvent { change: change.into(), path, from: Vec::new(), is_folder });
        }
    }

    fn add(&mut self, event: FileEvent) {
        self.outbox.add(event);
    }
}

//! Which folder each of the kernel's watches is, as folders come, go and move.

use std::{collections::BTreeMap, ffi::CString, time::Instant};

use rustix::io::Errno;

use super::kernel::{Kernel, Which};
use crate::{
    files::{
        list::open_top,
        walk::{Bounds, Stop, Walk},
    },
    limits,
};

/// The watched folders, by the kernel's numbers.
pub(super) struct Tree {
    top: Vec<u8>,
    first: i32,
    recursive: bool,
    /// Within the first; empty is the first itself, others end with a slash.
    paths: BTreeMap<i32, Vec<u8>>,
    /// Not everything is watched that should be.
    is_cut: bool,
    is_gone: bool,
}

impl Tree {
    pub(super) fn begin(path: &str, recursive: bool, kernel: &Kernel) -> Result<Self, Errno> {
        let name = CString::new(path).map_err(|_| Errno::INVAL)?;
        let first = kernel.add(&name, Which::First)?;
        let paths = BTreeMap::from([(first, Vec::new())]);
        let top = path.trim_end_matches('/').as_bytes().to_vec();
        let mut tree = Self { top, first, recursive, paths, is_cut: false, is_gone: false };
        tree.look_again(kernel);
        Ok(tree)
    }

    /// Whether something was left out since the last question.
    pub(super) fn is_cut(&mut self) -> bool {
        std::mem::take(&mut self.is_cut)
    }

    /// Whether the first folder is not there any more.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// The path of a name in a watched folder; `None` if nobody watches that any more.
    pub(super) fn path(&self, watch: i32, name: &[u8]) -> Option<Vec<u8>> {
        Some([self.paths.get(&watch)?, name].concat())
    }

    /// The kernel has ended a watch.
    pub(super) fn ended(&mut self, watch: i32) {
        self.paths.remove(&watch);
        self.is_gone |= watch == self.first;
    }

    /// Something has happened to the first folder itself.
    pub(super) fn is_first(&self, watch: i32) -> bool {
        watch == self.first
    }

    /// Watches whatever folder is not watched yet.
    pub(super) fn look_again(&mut self, kernel: &Kernel) {
        if self.recursive {
            self.look_through(b"", kernel, &mut |_, _| {});
        }
    }

    /// Watches a folder that is new here, and all in it; tells what is in it, of which the kernel may have said nothing.
    pub(super) fn entered(&mut self, path: &[u8], kernel: &Kernel, tell: &mut impl FnMut(Vec<u8>, bool)) {
        if self.recursive && self.watch(path, kernel) {
            self.look_through(path, kernel, tell);
        }
    }

    /// A folder has another path, and so has all in it.
    pub(super) fn moved(&mut self, from: &[u8], to: &[u8]) {
        let from = [from, b"/"].concat();
        for path in self.paths.values_mut() {
            if let Some(rest) = path.strip_prefix(from.as_slice()) {
                *path = [to, b"/", rest].concat();
            }
        }
    }

    /// A folder is not within the first any more.
    pub(super) fn left(&mut self, path: &[u8], kernel: &Kernel) {
        let path = [path, b"/"].concat();
        self.paths.retain(|watch, watched| {
            let stays = !watched.starts_with(&path);
            if !stays {
                kernel.remove(*watch);
            }
            stays
        });
    }

    /// Whether it is a folder and watched.
    fn watch(&mut self, path: &[u8], kernel: &Kernel) -> bool {
        if limits::WATCH_FOLDERS_MAX <= self.paths.len() {
            self.is_cut = true;
            return false;
        }
        let Ok(whole) = CString::new([&self.top, b"/".as_slice(), path].concat()) else { return false };
        match kernel.add(&whole, Which::Within) {
            Ok(watch) => {
                self.paths.insert(watch, [path, b"/"].concat());
                true
            }
            // The user's or the kernel's own limit.
            Err(Errno::NOSPC | Errno::NOMEM) => {
                self.is_cut = true;
                false
            }
            // No folder, not the user's to read, or gone again.
            Err(_) => false,
        }
    }

    fn look_through(&mut self, path: &[u8], kernel: &Kernel, tell: &mut impl FnMut(Vec<u8>, bool)) {
        let whole = [&self.top, b"/".as_slice(), path].concat();
        let bounds = Bounds {
            depth: limits::WATCH_DEPTH_MAX,
            names: limits::LIST_ENTRIES_MAX,
            deadline: Instant::now() + limits::FOLDER_WORK_MAX,
        };
        let Ok(top) = open_top(whole.as_slice()) else { return };
        let mut walk = match Walk::begin(top, bounds, b"") {
            Ok(walk) => walk,
            Err(stop) => return self.is_cut |= is_cut(&stop),
        };
        loop {
            let name = match walk.next() {
                Ok(Some(name)) => name,
                Ok(None) => return,
                Err(stop) => return self.is_cut |= is_cut(&stop),
            };
            let below = walk.path_of(&name);
            let within = if path.is_empty() { below } else { [path, b"/", &below].concat() };
            let is_folder = self.watch(&within, kernel);
            tell(within, is_folder);
            if is_folder && !walk.may_enter() {
                self.is_cut = true;
            } else if is_folder && let Err(stop) = walk.enter(&name) {
                self.is_cut |= is_cut(&stop);
            }
        }
    }
}

const fn is_cut(stop: &Stop) -> bool {
    matches!(stop, Stop::Cut | Stop::Late)
}

//! What every sandbox needs, and an image of somebody else's may lack: where engines mount, and an ordinary user.

use std::collections::BTreeMap;

use super::{
    config::{Config, RunAs},
    layer::Unpacking,
    tree::{Body, FileTree, Node, Owner, ROOT, parts},
};
use crate::{ImageError, limits::ACCOUNTS_BYTES_MAX, recipe::EPOCH_SECONDS};
use sentinal_agent_protocol::defaults::DEFAULTS_PATH;

/// Folders that engines mount over, and those that programs write to. What is not a folder there is replaced.
const FOLDERS: [(&str, u16); 11] = [
    ("proc", 0o755),
    ("sys", 0o755),
    ("dev", 0o755),
    ("dev/pts", 0o755),
    ("dev/shm", 0o755),
    ("dev/mqueue", 0o755),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("etc", 0o755),
    (".sentinal", 0o755),
    (".sentinal/host", 0o700),
];

/// Files of the sandbox itself, where the image has none.
const FILES: [(&str, &str); 3] = [
    ("etc/hostname", "sandbox\n"),
    ("etc/hosts", "127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
    ("etc/resolv.conf", ""),
];

const USER_ID: u32 = 1000;
const USER: Owner = Owner { mode: 0o755, uid: USER_ID, gid: USER_ID, modified_s: EPOCH_SECONDS.unsigned_abs() };
const HOME: &str = "home/user";

/// Adds it, and settles who programs run as.
pub(crate) fn complete(unpacking: &mut Unpacking, config: &mut Config) -> Result<(), ImageError> {
    unpacking.tree.next_layer();
    if let Some(dev) = unpacking.tree.child(ROOT, b"dev") {
        unpacking.tree.clear(dev);
    }
    for (path, mode) in FOLDERS {
        mount_point(&mut unpacking.tree, path, mode)?;
    }
    unpacking.file(".sentinal/agent", b"", 0o555)?;
    for (path, content) in FILES {
        if unpacking.tree.find(path.as_bytes()).is_none() {
            unpacking.file(path, content.as_bytes(), 0o644)?;
        }
    }
    let accounts = unpacking.accounts()?;
    if !names_user(config.user_name(), &accounts) {
        config.run_as = RunAs::Ordinary;
    } else if !config.user_name().is_empty() {
        config.run_as = RunAs::Image;
    }
    unpacking.file(DEFAULTS_PATH, &config.defaults().encode(), 0o444)
}

/// A number needs no account.
fn names_user(user: &str, passwd: &str) -> bool {
    let is_number = user.parse::<u32>().is_ok_and(|uid| uid != u32::MAX);
    is_number || passwd.lines().any(|line| line.split(':').next() == Some(user) && !user.is_empty())
}

/// A folder at this very place, whatever else was there.
fn mount_point(tree: &mut FileTree, path: &str, mode: u16) -> Result<(), ImageError> {
    let mut folder = ROOT;
    for name in parts(path.as_bytes())? {
        folder = match tree.child(folder, name).filter(|node| tree.children(*node).is_some()) {
            Some(there) => there,
            None => tree.put(folder, name, Node { owner: Owner::root(0o755), body: Body::Folder(BTreeMap::new()) }),
        };
    }
    tree.nodes[folder].owner = own(mode);
    Ok(())
}

const fn own(mode: u16) -> Owner {
    Owner { modified_s: EPOCH_SECONDS.unsigned_abs(), ..Owner::root(mode) }
}

impl Unpacking {
    fn file(&mut self, path: &str, content: &[u8], mode: u16) -> Result<(), ImageError> {
        let mut folders = parts(path.as_bytes())?;
        let Some(name) = folders.pop() else { return Ok(()) };
        let folder = self.tree.folder(&folders)?;
        let body = self.content(content)?;
        self.tree.put(folder, name, Node { owner: own(mode), body });
        Ok(())
    }

    fn content(&mut self, content: &[u8]) -> Result<Body, ImageError> {
        let (offset, size) = (self.scratch.end(), content.len() as u64);
        self.scratch.check(size)?;
        self.scratch.write(content).map_err(ImageError::io("write", "scratch"))?;
        Ok(Body::File { offset, size })
    }

    /// The image's accounts, with uid 1000 among them.
    fn accounts(&mut self) -> Result<String, ImageError> {
        let mut passwd = self.text("etc/passwd")?.unwrap_or_default();
        let mut group = self.text("etc/group")?.unwrap_or_default();
        if passwd.is_empty() {
            "root:x:0:0:root:/root:/bin/sh\n".clone_into(&mut passwd);
        }
        if group.is_empty() {
            "root:x:0:\n".clone_into(&mut group);
        }
        if !has_field(&passwd, 2, "1000") {
            let shell = if self.tree.find(b"bin/bash").is_some() { "/bin/bash" } else { "/bin/sh" };
            let name = free_name(&passwd);
            add_line(&mut passwd, &format!("{name}:x:1000:1000:{name}:/{HOME}:{shell}"));
            if !has_field(&group, 2, "1000") {
                let name = free_name(&group);
                add_line(&mut group, &format!("{name}:x:1000:"));
            }
            self.home()?;
        }
        self.replace("etc/passwd", &passwd)?;
        self.replace("etc/group", &group)?;
        Ok(passwd)
    }

    fn home(&mut self) -> Result<(), ImageError> {
        let parent = self.tree.folder(&[b"home"])?;
        if self.tree.child(parent, b"user").is_none() {
            self.tree.put(parent, b"user", Node { owner: USER, body: Body::Folder(BTreeMap::new()) });
        }
        Ok(())
    }

    /// A file's content; `None` if it is not there. One that is no file, or too large, is taken for empty.
    fn text(&mut self, path: &str) -> Result<Option<String>, ImageError> {
        let Some(node) = self.tree.find(path.as_bytes()) else { return Ok(None) };
        let Body::File { offset, size } = self.tree.nodes[node].body else { return Ok(None) };
        if ACCOUNTS_BYTES_MAX < size {
            return Ok(None);
        }
        let bytes = self.scratch.read(offset, usize::try_from(size).unwrap_or(0));
        let bytes = bytes.map_err(ImageError::io("read", "scratch"))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Only what changed: a file keeps its owner and its time otherwise.
    fn replace(&mut self, path: &str, content: &str) -> Result<(), ImageError> {
        if self.text(path)?.as_deref() == Some(content) {
            return Ok(());
        }
        self.file(path, content.as_bytes(), 0o644)
    }
}

fn has_field(accounts: &str, index: usize, value: &str) -> bool {
    accounts.lines().any(|line| line.split(':').nth(index) == Some(value))
}

fn free_name(accounts: &str) -> &'static str {
    if has_field(accounts, 0, "user") { "sandbox" } else { "user" }
}

fn add_line(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
}

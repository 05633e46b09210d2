//! Files of a sandbox: what they are, and what is to be done with them.

use std::borrow::Cow;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use sentinal_model::{
    Error, FileAt, FileChange, FileEvent, FileMove, FileStat, FolderEntry, FolderPage, GuestPath, NewFolder, Result,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    field::{named, parse_mode, parse_user},
    time_text,
};

/// What a file is. A name that is not UTF-8 stands with U+FFFD for what cannot be read, and its bytes beside it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FileEntry {
    /// Where it is.
    #[schema(example = "/home/user/main.py")]
    pub path: String,
    /// The exact bytes of the path in base64, if it is not UTF-8. Such a file cannot be named in a request; programs and
    /// archives can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_base64: Option<String>,
    /// The last part of the path.
    #[schema(example = "main.py")]
    pub name: String,
    /// What kind of file it is.
    #[serde(rename = "type")]
    #[schema(value_type = crate::FileType)]
    pub kind: Cow<'static, str>,
    /// Its bytes.
    #[schema(example = 123)]
    pub size: u64,
    /// Permission bits in octal.
    #[schema(example = "0644")]
    pub mode: String,
    /// Whose it is.
    #[schema(example = 1000)]
    pub uid: u32,
    /// Which group's it is.
    #[schema(example = 1000)]
    pub gid: u32,
    /// The owner's name, where there is one.
    #[schema(example = "user")]
    pub user: Option<String>,
    /// The group's name, where there is one.
    #[schema(example = "user")]
    pub group: Option<String>,
    /// When its content changed (RFC 3339).
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    pub modified_at: String,
    /// Where a symbolic link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The exact bytes of the target in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_base64: Option<String>,
    /// A folder of which only the name is listed, as the user may not read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
}

/// Something that has happened in a watched folder: the event's name says what.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FileEventData {
    /// To what; the folder itself for `overflow`.
    #[schema(example = "/home/user/main.py")]
    pub path: String,
    /// The exact bytes of the path in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_base64: Option<String>,
    /// The path that it had before it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The exact bytes of that path in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_base64: Option<String>,
    /// Whether it is a folder.
    pub directory: bool,
}

/// A part of what is in a folder, sorted part by part of the path.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FileList {
    /// The entries.
    pub items: Vec<FileEntry>,
    /// What to send as `cursor` for the entries after these; null when there are none.
    pub next: Option<String>,
}

/// An archive that was unpacked into a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UnpackedArchive {
    /// Into which folder.
    #[schema(example = "/home/user/project")]
    pub path: String,
    /// How many files, folders and links it had.
    #[schema(example = 12)]
    pub entries: u64,
    /// The bytes of all its files.
    #[schema(example = 34567)]
    pub bytes: u64,
}

/// A folder that is to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"path": "/home/user/data/in", "parents": true}))]
pub struct MakeFolder {
    /// Absolute, or relative to the user's home.
    pub path: String,
    /// Whether missing folders on the way are made; then it may be there already.
    #[serde(default)]
    pub parents: bool,
    /// Permission bits in octal; 0755 unless told.
    #[schema(example = "0755")]
    pub mode: Option<String>,
    /// A user name or number in the sandbox; the ordinary user (uid 1000) unless told.
    pub user: Option<String>,
}

/// A file or folder that gets another path.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"from": "/home/user/draft.txt", "to": "/home/user/final.txt"}))]
pub struct MoveFile {
    /// Absolute, or relative to the user's home.
    pub from: String,
    /// Its new path, not the folder to put it in.
    pub to: String,
    /// Whether it takes the place of a file that is there.
    #[serde(default)]
    pub overwrite: bool,
    /// A user name or number in the sandbox; the ordinary user (uid 1000) unless told.
    pub user: Option<String>,
}

impl FileEntry {
    /// A file whose path a caller named.
    pub fn new(path: &GuestPath, stat: FileStat) -> Self {
        Self::from_bytes(path.as_str().as_bytes(), stat)
    }

    fn from_bytes(path: &[u8], stat: FileStat) -> Self {
        let (text, path_base64) = shown(path);
        Self {
            name: text.rsplit('/').next().unwrap_or_default().to_owned(),
            path: text,
            path_base64,
            kind: stat.kind.as_str().into(),
            size: stat.size,
            mode: format!("{:04o}", stat.mode),
            uid: stat.uid,
            gid: stat.gid,
            user: stat.user,
            group: stat.group,
            modified_at: time_text(stat.modified),
            target_base64: stat.target.as_deref().and_then(|target| shown(target).1),
            target: stat.target.as_deref().map(|target| shown(target).0),
            unreadable: false,
        }
    }
}

impl FileEventData {
    /// Something in this folder.
    pub fn new(folder: &GuestPath, event: &FileEvent) -> Self {
        let (path, path_base64) = shown(&within(folder, &event.path));
        let from = match &event.change {
            FileChange::Moved { from } => Some(shown(&within(folder, from))),
            FileChange::Created | FileChange::Modified | FileChange::Removed | FileChange::Overflow => None,
        };
        let (from, from_base64) = from.map_or((None, None), |(text, bytes)| (Some(text), bytes));
        let directory = event.is_folder || event.path.is_empty();
        Self { path, path_base64, from, from_base64, directory }
    }
}

impl FileList {
    /// What is in this folder.
    pub fn new(folder: &GuestPath, page: FolderPage) -> Self {
        let last = page.entries.last().filter(|_| page.more);
        let next = last.map(|entry| BASE64_URL_SAFE_NO_PAD.encode(&entry.path));
        let entry = |entry: FolderEntry| {
            let path = within(folder, &entry.path);
            FileEntry { unreadable: entry.unreadable, ..FileEntry::from_bytes(&path, entry.stat) }
        };
        Self { items: page.entries.into_iter().map(entry).collect(), next }
    }
}

fn within(folder: &GuestPath, path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return folder.as_str().as_bytes().to_vec();
    }
    [folder.as_str().trim_end_matches('/').as_bytes(), b"/", path].concat()
}

/// Bytes as text, and as they are where they are none.
pub(crate) fn shown(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(BASE64_STANDARD.encode(bytes))),
    }
}

/// The path that a list goes on after.
pub(crate) fn parse_cursor(text: &str) -> Result<Vec<u8>> {
    let path = BASE64_URL_SAFE_NO_PAD.decode(text).ok().filter(|path| !path.contains(&0));
    path.ok_or_else(|| {
        Error::invalid("cursor: is none of ours; send what \"next\" of the answer before said, or leave it out")
    })
}

impl TryFrom<MakeFolder> for NewFolder {
    type Error = Error;

    fn try_from(wire: MakeFolder) -> Result<Self> {
        let at = FileAt { path: named("path", wire.path.parse())?, user: wire.user.map(parse_user).transpose()? };
        let mode = wire.mode.map(|text| parse_mode(&text)).transpose()?;
        Ok(Self { at, make_parents: wire.parents, mode })
    }
}

impl TryFrom<MoveFile> for FileMove {
    type Error = Error;

    fn try_from(wire: MoveFile) -> Result<Self> {
        let from = FileAt { path: named("from", wire.from.parse())?, user: wire.user.map(parse_user).transpose()? };
        Ok(Self { from, to: named("to", wire.to.parse())?, overwrite: wire.overwrite })
    }
}

#[cfg(test)]
mod tests {
    use sentinal_model::{FileKind, Millis};

    use super::*;

    fn stat(target: Option<&[u8]>) -> FileStat {
        FileStat {
            kind: FileKind::Symlink,
            size: 1,
            mode: 0o4755,
            uid: 0,
            gid: 1,
            user: Some("root".to_owned()),
            group: None,
            modified: Millis(0),
            target: target.map(<[u8]>::to_vec),
        }
    }

    fn list(folder: &str, paths: &[&[u8]], more: bool) -> FileList {
        let entry = |path: &&[u8]| FolderEntry { path: path.to_vec(), stat: stat(None), unreadable: false };
        let page = FolderPage { entries: paths.iter().map(entry).collect(), more };
        FileList::new(&GuestPath::of_folder(folder).unwrap(), page)
    }

    #[test]
    fn a_name_that_is_no_text_stands_beside_what_can_be_read_of_it() {
        let file = &list("/a", &[b"b/\xffc"], false).items[0];
        assert_eq!((file.path.as_str(), file.name.as_str()), ("/a/b/\u{fffd}c", "\u{fffd}c"));
        assert_eq!(file.path_base64.as_deref(), Some("L2EvYi//Yw=="));
        let file = FileEntry::new(&"/a".parse().unwrap(), stat(Some(b"\xfe")));
        assert_eq!((file.target.as_deref(), file.target_base64.as_deref()), (Some("\u{fffd}"), Some("/g==")));
        assert_eq!((file.mode.as_str(), file.path_base64), ("4755", None));
    }

    #[test]
    fn a_list_goes_on_after_its_last_entry() {
        assert_eq!(list("/", &[b"a", b"b"], false).next, None);
        let listed = list("/", &[b"a", b"b/\xff"], true);
        assert_eq!(listed.items[0].path, "/a");
        assert_eq!(parse_cursor(&listed.next.unwrap()).unwrap(), b"b/\xff");
        for text in ["=", "a b", "AA"] {
            assert!(parse_cursor(text).is_err(), "{text}");
        }
    }
}

//! One entry of an archive, and where in the destination it goes: nowhere else, or it is refused by name.

use std::ffi::CString;

use rustix::fs::Mode;
use sentinal_archive::Entry;
use tonic::Status;

use crate::limits;

/// A name in a folder below the destination.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: Vec<CString>,
    pub(super) name: CString,
}

/// `None`: the destination itself.
pub(super) fn place(entry: &Entry) -> Result<Option<Place>, Status> {
    Place::new(&entry.path, &entry.path)
}

/// Without what would lend somebody's rights to others.
pub(super) fn permissions(entry: &Entry) -> Mode {
    Mode::from_raw_mode(entry.mode & 0o777)
}

impl Place {
    /// `path` may be that of the entry, or what its link leads to.
    pub(super) fn new(entry: &[u8], path: &[u8]) -> Result<Option<Self>, Status> {
        let refused = |why: &str| refused(entry, why);
        if path.starts_with(b"/") {
            return Err(refused("has an absolute path"));
        }
        if limits::PATH_BYTES_MAX < path.len() {
            return Err(refused("has a path that is too long"));
        }
        let mut parts = Vec::new();
        for part in parts_of(path) {
            match part {
                b".." => return Err(refused("leads out of the folder by \"..\"")),
                part if limits::NAME_BYTES_MAX < part.len() => return Err(refused("has a name that is too long")),
                part => parts.push(CString::new(part).map_err(|_| refused("has a NUL byte in its path"))?),
            }
        }
        if limits::ARCHIVE_DEPTH_MAX < parts.len() {
            let most = limits::ARCHIVE_DEPTH_MAX;
            return Err(refused(&format!("is nested deeper than {most} folders")));
        }
        Ok(parts.pop().map(|name| Self { folder: parts, name }))
    }
}

/// Whether a symbolic link so many folders below the destination could lead out of it. It may climb at its beginning
/// only, where what it climbs through are folders; behind a name it could climb from wherever another link leads.
pub(super) fn leads_out(target: &[u8], depth: usize) -> bool {
    let climbs = parts_of(target).take_while(|part| *part == b"..").count();
    let climbs_later = parts_of(target).skip(climbs).any(|part| part == b"..");
    target.is_empty()
        || target.starts_with(b"/")
        || limits::PATH_BYTES_MAX < target.len()
        || depth < climbs
        || climbs_later
}

/// Refuses an entry by name.
pub(super) fn refused(path: &[u8], why: &str) -> Status {
    let path: String = String::from_utf8_lossy(path).chars().take(200).collect();
    Status::invalid_argument(format!("{path:?} in the archive {why}"))
}

fn parts_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_below_the_destination() {
        let check = |path: &str, expected: Option<(&[&str], &str)>| {
            let place = Place::new(b"", path.as_bytes()).unwrap();
            let text = |part: &CString| part.to_str().unwrap().to_owned();
            let place = place.map(|place| (place.folder.iter().map(text).collect::<Vec<_>>(), text(&place.name)));
            let expected = expected
                .map(|(folder, name)| (folder.iter().map(|part| (*part).to_owned()).collect(), name.to_owned()));
            assert_eq!(place, expected, "{path}");
        };
        check("a", Some((&[], "a")));
        check("./a//b/./c/", Some((&["a", "b"], "c")));
        check("..a/b..", Some((&["..a"], "b..")));
        check(".", None);
        check("./", None);
    }

    #[test]
    fn what_leads_out_is_refused() {
        let long = "n".repeat(256);
        let deep = "d/".repeat(limits::ARCHIVE_DEPTH_MAX + 1);
        for path in ["/etc/passwd", "..", "../a", "a/..", "a/../../b", "a\0b", &long, &deep, &"a/".repeat(3000)] {
            assert!(Place::new(b"", path.as_bytes()).is_err(), "{path}");
        }
    }

    #[test]
    fn a_link_leads_to_what_is_below_the_destination() {
        for (target, depth) in [("a", 0), ("a/b", 0), ("../a", 1), ("../../a/b", 2), ("..", 1), (".", 0), ("./../a", 1)]
        {
            assert!(!leads_out(target.as_bytes(), depth), "{target} at {depth}");
        }
        for (target, depth) in
            [("/a", 9), ("..", 0), ("../a", 0), ("../../a", 1), ("a/..", 9), ("a/../../..", 9), ("../a/..", 9), ("", 0)]
        {
            assert!(leads_out(target.as_bytes(), depth), "{target} at {depth}");
        }
    }
}

//! Paths inside a sandbox. They are only ever sent to the agent: no host path is made from one.

use std::{fmt, str::FromStr};

use crate::limits;

/// An absolute path inside a sandbox, without `..`, NUL or empty parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuestPath(String);

/// Why a text is no path inside a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGuestPath {
    /// Nothing, or nothing but the root folder.
    #[error("the path names no file; write for example /home/user/main.py")]
    Empty,
    /// A NUL byte ends a path for the kernel.
    #[error("the path contains a NUL byte")]
    Nul,
    /// `..` could leave the folder that the path seems to name.
    #[error("the path contains \"..\"; write it without")]
    Parent,
    /// Longer than Linux takes.
    #[error("the path has {bytes} bytes; the limit is {max}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A part longer than Linux takes.
    #[error("a part of the path has {bytes} bytes; the limit is {max}")]
    NameTooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
}

impl GuestPath {
    /// Where a relative path begins: the ordinary user's home.
    pub const HOME: &'static str = "/home/user";

    /// A path that may also be the root folder.
    pub fn of_folder(text: &str) -> Result<Self, InvalidGuestPath> {
        let is_root = !text.is_empty() && text.bytes().all(|byte| byte == b'/');
        if is_root { Ok(Self("/".to_owned())) } else { text.parse() }
    }

    /// The last part of the path; empty for the root folder.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The path as text: absolute, parts separated by single slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GuestPath {
    type Err = InvalidGuestPath;

    /// Parses an absolute path, or one relative to [`Self::HOME`]. Repeated slashes and `.` are folded.
    fn from_str(text: &str) -> Result<Self, InvalidGuestPath> {
        if text.contains('\0') {
            return Err(InvalidGuestPath::Nul);
        }
        let base = if text.starts_with('/') { "" } else { Self::HOME };
        let mut path = String::with_capacity(base.len() + text.len().min(limits::GUEST_PATH_BYTES_MAX) + 1);
        path.push_str(base);
        if text.len() > limits::GUEST_PATH_BYTES_MAX {
            return Err(InvalidGuestPath::TooLong { bytes: text.len(), max: limits::GUEST_PATH_BYTES_MAX });
        }
        for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                return Err(InvalidGuestPath::Parent);
            }
            if part.len() > limits::GUEST_NAME_BYTES_MAX {
                return Err(InvalidGuestPath::NameTooLong { bytes: part.len(), max: limits::GUEST_NAME_BYTES_MAX });
            }
            path.push('/');
            path.push_str(part);
        }
        match path.len() {
            0 => Err(InvalidGuestPath::Empty),
            _ if text.is_empty() => Err(InvalidGuestPath::Empty),
            bytes if bytes > limits::GUEST_PATH_BYTES_MAX => {
                Err(InvalidGuestPath::TooLong { bytes, max: limits::GUEST_PATH_BYTES_MAX })
            }
            _ => Ok(Self(path)),
        }
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&str, InvalidGuestPath>) {
        assert_eq!(text.parse::<GuestPath>().as_ref().map(GuestPath::as_str), expect.as_ref().copied(), "{text:?}");
    }

    #[test]
    fn a_relative_path_begins_in_the_home_folder() {
        check("main.py", Ok("/home/user/main.py"));
        check("./a//b/", Ok("/home/user/a/b"));
        check("/etc/x", Ok("/etc/x"));
        check("/a/..b", Ok("/a/..b"));
        assert_eq!(GuestPath::of_folder("//").unwrap().as_str(), "/");
        assert_eq!(GuestPath::of_folder("a/").unwrap().as_str(), "/home/user/a");
    }

    #[test]
    fn what_could_mean_another_file_is_refused() {
        check("", Err(InvalidGuestPath::Empty));
        assert_eq!(GuestPath::of_folder(""), Err(InvalidGuestPath::Empty));
        check("/", Err(InvalidGuestPath::Empty));
        check("/home/user/../../etc/passwd", Err(InvalidGuestPath::Parent));
        check("..", Err(InvalidGuestPath::Parent));
        check("a\0b", Err(InvalidGuestPath::Nul));
        check(&"a/".repeat(2500), Err(InvalidGuestPath::TooLong { bytes: 5000, max: 4095 }));
        check(&"a".repeat(256), Err(InvalidGuestPath::NameTooLong { bytes: 256, max: 255 }));
    }
}

//! Where files are: here, or in a sandbox.

use std::path::{Path, PathBuf};

use sentinal_model::SandboxId;

/// A place on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Local {
    /// A file or folder.
    Path(PathBuf),
    /// Standard input or output.
    Stream,
}

/// A place in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The sandbox's id, or the beginning of it.
    pub(crate) sandbox: String,
    /// Absolute, or relative to the user's home.
    pub(crate) path: String,
}

/// What a caller wrote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// On this machine.
    Local(Local),
    /// In a sandbox.
    Remote(Remote),
}

impl Operand {
    /// `-`, `sbx_...:PATH`, or a path here. A path here that looks like the second is written with `./` before it.
    pub(crate) fn parse(text: &str) -> Self {
        if text == "-" {
            return Self::Local(Local::Stream);
        }
        match text.split_once(':') {
            Some((sandbox, path)) if sandbox.starts_with(SandboxId::PREFIX) && !sandbox.contains('/') => {
                let path = if path.is_empty() { "." } else { path };
                Self::Remote(Remote { sandbox: sandbox.to_owned(), path: path.to_owned() })
            }
            _ => Self::Local(Local::Path(PathBuf::from(text))),
        }
    }
}

impl Remote {
    /// The same sandbox, another path.
    pub(super) fn at(&self, path: String) -> Self {
        Self { sandbox: self.sandbox.clone(), path }
    }

    /// Something in this folder.
    pub(super) fn join(&self, name: &str) -> Self {
        match self.path.as_str() {
            "." | "./" => self.at(name.to_owned()),
            path => self.at(format!("{}/{name}", path.trim_end_matches('/'))),
        }
    }

    /// Whether the path can only be a folder's.
    pub(super) fn is_folder(&self) -> bool {
        self.path.ends_with('/') || self.path.ends_with("/.") || self.path == "."
    }

    /// As the API takes it: no slash and no dot at its end.
    pub(crate) fn plain(&self) -> &str {
        let path = self.path.strip_suffix("/.").unwrap_or(&self.path);
        match path.trim_end_matches('/') {
            "" => "/",
            path => path.strip_prefix("./").unwrap_or(path),
        }
    }

    /// The last part of the path; none where what is in the folder is meant.
    pub(super) fn name(&self) -> Option<&str> {
        if self.path.ends_with("/.") {
            return None;
        }
        self.plain().rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".."))
    }
}

/// The last part of a path here; none where what is in the folder is meant.
pub(super) fn local_name(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    if text.ends_with("/.") {
        return None;
    }
    path.file_name()?.to_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(path: &str) -> Remote {
        Remote { sandbox: "sbx_01".to_owned(), path: path.to_owned() }
    }

    #[test]
    fn a_place_is_here_or_in_a_sandbox() {
        assert_eq!(Operand::parse("sbx_01:/srv/a:b"), Operand::Remote(remote("/srv/a:b")));
        assert_eq!(Operand::parse("sbx_01:"), Operand::Remote(remote(".")));
        assert_eq!(Operand::parse("-"), Operand::Local(Local::Stream));
        for path in ["a", "a:b", "./sbx_01:a", "sbx_01", "x/sbx_01:a"] {
            assert_eq!(Operand::parse(path), Operand::Local(Local::Path(path.into())), "{path}");
        }
    }

    #[test]
    fn a_path_of_a_sandbox_has_parts() {
        for (path, plain, name, is_folder) in [
            ("a/b", "a/b", Some("b"), false),
            ("a/b/", "a/b", Some("b"), true),
            ("/a/.", "/a", None, true),
            (".", ".", None, true),
            ("/", "/", None, true),
            ("./a", "a", Some("a"), false),
        ] {
            let remote = remote(path);
            assert_eq!((remote.plain(), remote.name(), remote.is_folder()), (plain, name, is_folder), "{path}");
        }
        assert_eq!(remote("/").join("a").path, "/a");
        assert_eq!(remote(".").join("a").path, "a");
        assert_eq!(remote("/srv/").join("a").path, "/srv/a");
    }

    #[test]
    fn a_folder_with_a_dot_stands_for_what_is_in_it() {
        assert_eq!(local_name(Path::new("a/b")), Some("b"));
        assert_eq!(local_name(Path::new("a/b/")), Some("b"));
        assert_eq!(local_name(Path::new("a/b/.")), None);
        assert_eq!(local_name(Path::new(".")), None);
        assert_eq!(local_name(Path::new("..")), None);
    }
}

//! `HOST[:PORT]/REPOSITORY[:TAG][@sha256:...]`.

use std::{fmt, str::FromStr};

use sentinal_image::Digest;

use crate::ImportError;

const LENGTH_MAX: usize = 512;
const TAG_LENGTH_MAX: usize = 128;

/// An image of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// With its port, if one is named.
    pub(crate) host: String,
    pub(crate) repository: String,
    pub(crate) version: Version,
}

/// Which of the images in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Version {
    Tag(String),
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = ImportError;

    /// There is no host that is meant when none is named. A tag beside a digest means nothing.
    fn from_str(text: &str) -> Result<Self, ImportError> {
        const SHAPE: &str =
            "write HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:..., such as registry.example.com/team/app:1.2";
        let wrong = || ImportError::Reference(SHAPE);
        if LENGTH_MAX < text.len() {
            return Err(wrong());
        }
        let (host, path) = text.split_once('/').filter(|(host, _)| is_host(host)).ok_or_else(wrong)?;
        let (path, digest) = match path.split_once('@') {
            Some((path, digest)) => (path, Some(digest.parse().map_err(|_| wrong())?)),
            None => (path, None),
        };
        let (repository, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
        if !repository.split('/').all(is_component) || !is_tag(tag) {
            return Err(wrong());
        }
        let version = digest.map_or_else(|| Version::Tag(tag.to_owned()), Version::Digest);
        Ok(Self { host: host.to_ascii_lowercase(), repository: repository.to_owned(), version })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Tag(tag) => write!(f, "{}/{}:{tag}", self.host, self.repository),
            Version::Digest(digest) => write!(f, "{}/{}@{digest}", self.host, self.repository),
        }
    }
}

/// Something that looks like a host: what has neither a dot nor a port is a part of a path.
fn is_host(text: &str) -> bool {
    let is_whole = text.contains('.') || text.contains(':') || text == "localhost";
    is_whole && sentinal_outbound::is_host(text)
}

fn is_component(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    begins && text.bytes().all(allowed) && !text.contains("..")
}

fn is_tag(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    begins && text.len() <= TAG_LENGTH_MAX && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_its_registry() {
        let digest = Digest::of(b"x");
        for (text, expected) in [
            ("registry.example.com/app", "registry.example.com/app:latest".to_owned()),
            ("Registry.example.com:5000/a/b_c:1.2-X", "registry.example.com:5000/a/b_c:1.2-X".to_owned()),
            ("localhost/app:1", "localhost/app:1".to_owned()),
            (&format!("[::1]:5000/app:1@{digest}"), format!("[::1]:5000/app@{digest}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let long = format!("registry.example.com/{}", "a/".repeat(400));
        for text in [
            "",
            "app",
            "team/app",
            "a.b/",
            "a.b/../x",
            "a.b/x?y",
            "a.b/x#y",
            "user@a.b/x",
            "a.b/x@sha256:1",
            "a.b/X",
            "http://a.b/x",
            "a.b//x",
            "a.b/x:",
            "a.b/x:t/y",
            "a..b/x",
            "a.b/x y",
            &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}

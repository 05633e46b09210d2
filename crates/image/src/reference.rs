//! How an image is asked for: by a name, or by what it contains.

use std::{fmt, str::FromStr};

use sentinal_model::ImageName;

use crate::Digest;

/// A name or a digest, checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// Whatever the name stands for at the moment.
    Name(ImageName),
    /// This content and no other.
    Digest(Digest),
}

/// A text is neither a name nor a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image: {why}")]
pub struct InvalidReference {
    text: String,
    why: String,
}

impl FromStr for Reference {
    type Err = InvalidReference;

    /// Whatever begins with `sha256:` is a digest and must be a whole one; everything else is a name.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = |why: String| InvalidReference { text: text.chars().take(160).collect(), why };
        if text.starts_with(Digest::PREFIX) {
            return text.parse().map(Self::Digest).map_err(|error: crate::InvalidDigest| invalid(error.to_string()));
        }
        text.parse().map(Self::Name).map_err(|error: sentinal_model::Error| invalid(error.message().to_owned()))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_digests_are_told_apart() {
        let digest = Digest::of(b"x").to_string();
        assert!(matches!(digest.parse(), Ok(Reference::Digest(_))));
        for text in ["default", "python:3.12", "team/base_image-2"] {
            assert!(matches!(text.parse(), Ok(Reference::Name(_))), "{text}");
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_could_leave_the_store_or_confuse_it_is_refused() {
        let long = "a".repeat(129);
        for text in ["", "../etc/passwd", "/etc", "a/../b", "Default", "a b", "a\0", "sha256:abc", "-x", ".x", &long] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }
}

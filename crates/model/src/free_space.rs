//! How much of a disk is to be free.

use std::{fmt, str::FromStr};

use crate::{Error, parse_bytes};

/// A share of a disk, or an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeSpace {
    /// So many hundredths of it, at most 99.
    Percent(u8),
    /// So many bytes.
    Bytes(u64),
}

impl FreeSpace {
    /// What is to be free of a disk of this size.
    pub const fn of(self, total_bytes: u64) -> u64 {
        match self {
            Self::Percent(percent) => (total_bytes / 100).saturating_mul(percent as u64),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Default for FreeSpace {
    fn default() -> Self {
        Self::Percent(10)
    }
}

impl fmt::Display for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

impl FromStr for FreeSpace {
    type Err = Error;

    /// `10%`, `20Gi`, or `0` for nothing.
    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|percent| *percent < 100).map(Self::Percent),
            None => parse_bytes(text).map(Self::Bytes),
        };
        parsed.ok_or_else(|| {
            Error::invalid(format!("{text:?} is neither a share such as 10% nor an amount such as 20Gi"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_or_an_amount() {
        for (text, of_a_thousand) in [("10%", 100), ("0%", 0), ("99%", 990), ("2Ki", 2048), ("0", 0)] {
            assert_eq!(text.parse::<FreeSpace>().unwrap().of(1000), of_a_thousand, "{text}");
        }
        for text in ["", "%", "100%", "-1%", "1.5%", "ten", "1Q"] {
            assert!(text.parse::<FreeSpace>().is_err(), "{text}");
        }
        assert_eq!(FreeSpace::default().to_string(), "10%");
    }
}

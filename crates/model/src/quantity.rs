//! Amounts with a unit and a range: memory, disk, cpu.
//!
//! Memory and disk are Kubernetes quantities (`2048Mi`, `2Gi`, `1.5G`); cpu is a number of cores.

use std::{fmt, str::FromStr};

use crate::limits;

/// Why a text or number is no amount of that kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Neither digits nor a known suffix.
    #[error(
        "{text:?} is not a quantity: write a number with one of the suffixes Ki, Mi, Gi, Ti, k, M, G, T, for example 512Mi"
    )]
    Malformed {
        /// What was written, cut to 64 characters.
        text: String,
    },
    /// A quantity, but outside what a sandbox may have.
    #[error("{text:?} is out of range: {what} must be between {min} and {max}")]
    OutOfRange {
        /// What was written, cut to 64 characters.
        text: String,
        /// `memory`, `disk` or `cpu`.
        what: &'static str,
        /// The smallest allowed, as a caller would write it.
        min: String,
        /// The largest allowed, as a caller would write it.
        max: String,
    },
}

/// The bytes a Kubernetes quantity stands for; fractions of a byte are rounded up. `None` if it is
/// malformed; amounts over `u64::MAX` answer `u64::MAX`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor: u128 = match suffix {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let well_formed = !whole.is_empty()
        && digits_only(whole)
        && digits_only(fraction)
        && !number.ends_with('.')
        && number.len() <= 32;
    if !well_formed {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(9)];
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let scaled = whole.parse::<u128>().ok()?.saturating_mul(scale).saturating_add(fraction.parse().unwrap_or(0));
    Some(u64::try_from(scaled.saturating_mul(factor).div_ceil(scale)).unwrap_or(u64::MAX))
}

/// Bytes as the shortest exact quantity: `2Gi`, `1536Mi`, `1000`.
fn format_bytes(bytes: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let units = [(1_u64 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
    let exact = units.into_iter().find(|(unit, _)| bytes != 0 && bytes.is_multiple_of(*unit));
    match exact {
        Some((unit, suffix)) => write!(f, "{}{suffix}", bytes / unit),
        None => write!(f, "{bytes}"),
    }
}

/// Bytes as they would be written: the shortest exact quantity.
pub fn bytes_text(bytes: u64) -> String {
    struct Text(u64);

    impl fmt::Display for Text {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            format_bytes(self.0, f)
        }
    }

    Text(bytes).to_string()
}

macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            /// The smallest a sandbox may have.
            pub const MIN: Self = Self($min);
            /// The largest a sandbox may have, whatever the node.
            pub const MAX: Self = Self($max);

            /// An amount in bytes, within [`Self::MIN`] and [`Self::MAX`].
            pub fn try_from_bytes(bytes: u64) -> Result<Self, InvalidQuantity> {
                Self::checked(bytes, &bytes.to_string())
            }

            fn checked(bytes: u64, text: &str) -> Result<Self, InvalidQuantity> {
                if ($min..=$max).contains(&bytes) {
                    return Ok(Self(bytes));
                }
                Err(InvalidQuantity::OutOfRange {
                    text: text.chars().take(64).collect(),
                    what: $what,
                    min: Self::MIN.to_string(),
                    max: Self::MAX.to_string(),
                })
            }

            /// The amount in bytes.
            pub const fn bytes(self) -> u64 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidQuantity;

            fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
                let malformed = || InvalidQuantity::Malformed { text: text.chars().take(64).collect() };
                Self::checked(parse_bytes(text).ok_or_else(malformed)?, text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                format_bytes(self.0, f)
            }
        }
    };
}

bytes!(
    /// Memory of a sandbox: programs, page cache and the engine's own part together.
    Memory, "memory", limits::MEMORY_BYTES_MIN, limits::MEMORY_BYTES_MAX
);
bytes!(
    /// What a sandbox may write to its disk.
    Disk, "disk", limits::DISK_BYTES_MIN, limits::DISK_BYTES_MAX
);

/// Cores of a sandbox, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cpu(u32);

impl Cpu {
    /// `cores` rounded to a thousandth; between 0.05 and 64, so zero, negative and not-a-number are refused.
    pub fn try_from_cores(cores: f64) -> Result<Self, InvalidQuantity> {
        let milli = (cores * 1000.0).round();
        let (min, max) = (f64::from(limits::CPU_MILLI_MIN), f64::from(limits::CPU_MILLI_MAX));
        if min <= milli && milli <= max {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within the range just checked"
            )]
            return Ok(Self(milli as u32));
        }
        Err(InvalidQuantity::OutOfRange {
            text: cores.to_string(),
            what: "cpu",
            min: (min / 1000.0).to_string(),
            max: (max / 1000.0).to_string(),
        })
    }

    /// Thousandths of a core.
    pub const fn milli(self) -> u32 {
        self.0
    }

    /// Cores.
    pub fn cores(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cores().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_memory(text: &str, bytes: Option<u64>) {
        assert_eq!(text.parse::<Memory>().ok().map(Memory::bytes), bytes, "{text}");
    }

    #[test]
    fn memory_is_a_kubernetes_quantity_within_its_range() {
        check_memory("2048Mi", Some(2 << 30));
        check_memory("2Gi", Some(2 << 30));
        check_memory("1.5Gi", Some(3 << 29));
        check_memory("512M", Some(512_000_000));
        for text in [
            "",
            "Mi",
            "2048",
            "2GiB",
            "-1Mi",
            "1e99Gi",
            "+5Mi",
            "1..5Gi",
            ".5Gi",
            "5.Gi",
            "0",
            "99999999999999999999999999Ti",
            "１Gi",
            "1 Gi",
            "1Gi ",
        ] {
            check_memory(text, None);
        }
    }

    #[test]
    fn a_number_without_a_suffix_is_told_the_range() {
        let error = "2048".parse::<Memory>().unwrap_err().to_string();
        assert_eq!(error, "\"2048\" is out of range: memory must be between 64Mi and 1Ti");
    }

    #[test]
    fn a_quantity_prints_as_it_would_be_written() {
        assert_eq!("2048Mi".parse::<Memory>().unwrap().to_string(), "2Gi");
        assert_eq!("1536Mi".parse::<Memory>().unwrap().to_string(), "1536Mi");
    }

    #[test]
    fn cpu_refuses_what_is_not_between_its_bounds() {
        assert_eq!(Cpu::try_from_cores(0.5).unwrap().milli(), 500);
        assert_eq!(Cpu::try_from_cores(2.0).unwrap().milli(), 2000);
        for cores in [0.0, -1.0, f64::NAN, f64::INFINITY, 1000.0, 0.0001] {
            assert!(Cpu::try_from_cores(cores).is_err(), "{cores}");
        }
    }
}

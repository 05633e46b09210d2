//! Bytes inside JSON: as text where they are text, as base64 where they are not.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How bytes are written in a JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Encoding {
    /// As they are.
    #[serde(rename = "utf-8")]
    Utf8,
    /// RFC 4648, with padding.
    #[serde(rename = "base64")]
    Base64,
}

/// The beginning of a stream, as a JSON answer carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inline {
    /// The bytes, written as `encoding` says.
    pub text: String,
    /// How.
    pub encoding: Encoding,
    /// Whether the stream has more.
    pub truncated: bool,
}

impl Inline {
    /// The longest prefix of a stream of `bytes_total` bytes that `first` holds. A character that is cut off
    /// at the end of an incomplete prefix is left out rather than turning all of it into base64.
    pub fn new(first: Vec<u8>, bytes_total: u64) -> Self {
        let truncated = u64::try_from(first.len()).unwrap_or(u64::MAX) < bytes_total;
        match String::from_utf8(first) {
            Ok(text) => Self { text, encoding: Encoding::Utf8, truncated },
            Err(error) if truncated && error.utf8_error().error_len().is_none() => {
                let end = error.utf8_error().valid_up_to();
                let mut bytes = error.into_bytes();
                bytes.truncate(end);
                Self { text: String::from_utf8(bytes).unwrap_or_default(), encoding: Encoding::Utf8, truncated }
            }
            Err(error) => {
                let text = BASE64_STANDARD.encode(error.as_bytes());
                Self { text, encoding: Encoding::Base64, truncated }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: &[u8], bytes_total: u64, text: &str, encoding: Encoding, truncated: bool) {
        assert_eq!(Inline::new(first.to_vec(), bytes_total), Inline { text: text.to_owned(), encoding, truncated });
    }

    #[test]
    fn text_stays_text() {
        check("grüße".as_bytes(), 7, "grüße", Encoding::Utf8, false);
        check(b"", 0, "", Encoding::Utf8, false);
    }

    #[test]
    fn a_character_cut_off_by_the_limit_is_left_out() {
        check(b"ab\xc3", 100, "ab", Encoding::Utf8, true);
        check(b"ab\xf0\x9f\x98", 100, "ab", Encoding::Utf8, true);
    }

    #[test]
    fn bytes_that_are_no_text_become_base64() {
        check(b"\x00\xff", 2, "AP8=", Encoding::Base64, false);
        check(b"ab\xc3", 3, "YWLD", Encoding::Base64, false);
    }
}

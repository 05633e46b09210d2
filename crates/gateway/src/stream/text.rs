//! Output in pieces that are text where the output is: a character that is split between two pieces waits for its
//! second half.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sentinal_api::{Encoding, OutputChunk};

/// The beginning of a character at the end of what was seen of a stream.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    held: Vec<u8>,
    /// Of the first byte held.
    offset: u64,
}

impl Carry {
    /// What can be said after `data` has come; two pieces if `data` does not follow on what is held.
    pub(crate) fn push(&mut self, offset: u64, data: &[u8]) -> Vec<OutputChunk> {
        let mut chunks = Vec::with_capacity(1);
        if self.offset + length(&self.held) != offset {
            chunks.extend(self.flush());
            self.offset = offset;
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(data);
        let complete = match std::str::from_utf8(&bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => bytes.len(),
        };
        self.held = bytes.split_off(complete);
        chunks.extend(chunk(self.offset, bytes));
        self.offset += u64::try_from(complete).unwrap_or(u64::MAX);
        chunks
    }

    /// What is held, since nothing more comes.
    pub(crate) fn flush(&mut self) -> Option<OutputChunk> {
        chunk(self.offset, std::mem::take(&mut self.held))
    }
}

fn chunk(offset: u64, bytes: Vec<u8>) -> Option<OutputChunk> {
    if bytes.is_empty() {
        return None;
    }
    Some(match String::from_utf8(bytes) {
        Ok(data) => OutputChunk { offset, data, encoding: Encoding::Utf8 },
        Err(error) => {
            OutputChunk { offset, data: BASE64_STANDARD.encode(error.as_bytes()), encoding: Encoding::Base64 }
        }
    })
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[(u64, &[u8])], chunks: &[(u64, &str, Encoding)]) {
        let mut carry = Carry::default();
        let mut said: Vec<OutputChunk> = pieces.iter().flat_map(|(offset, data)| carry.push(*offset, data)).collect();
        said.extend(carry.flush());
        let said: Vec<_> = said.iter().map(|c| (c.offset, c.data.as_str(), c.encoding)).collect();
        assert_eq!(said, chunks);
    }

    #[test]
    fn a_split_character_waits_for_its_second_half() {
        check(
            &[(0, b"gr\xc3"), (3, b"\xbc\xc3"), (5, b"\x9f")],
            &[(0, "gr", Encoding::Utf8), (2, "ü", Encoding::Utf8), (4, "ß", Encoding::Utf8)],
        );
        check(&[(0, b"\xf0"), (1, b"\x9f"), (2, b"\x98"), (3, b"\x80")], &[(0, "😀", Encoding::Utf8)]);
    }

    #[test]
    fn what_is_no_text_becomes_base64() {
        check(&[(0, b"\x00\xff\x00")], &[(0, "AP8A", Encoding::Base64)]);
        check(&[(0, b"a\xc3")], &[(0, "a", Encoding::Utf8), (1, "ww==", Encoding::Base64)]);
    }

    #[test]
    fn a_gap_ends_what_is_held() {
        check(
            &[(0, b"a\xc3"), (10, b"b")],
            &[(0, "a", Encoding::Utf8), (1, "ww==", Encoding::Base64), (10, "b", Encoding::Utf8)],
        );
    }
}

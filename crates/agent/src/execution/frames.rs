//! What a context's program says of the code that it runs, as `proto/agent.proto` describes it. It is a guest's: nothing is
//! allocated for what it only announces.

use std::time::Duration;

use crate::limits::{RESULT_BYTES_MAX, RESULT_HEAD_BYTES_MAX};

/// One thing that was said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// JSON.
    Result(Vec<u8>),
    /// One that is too large to be held.
    TooLarge,
    /// The code has ended.
    End { exit_code: i32, cpu: Duration, memory_peak_bytes: u64 },
}

/// It said something else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Bytes that are not a whole frame yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Still to come of a result that is too large.
    skipped: usize,
}

impl Frames {
    /// Takes what was read, and gives what it completes.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<Vec<Frame>, Broken> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let skipped = self.skipped.min(bytes.len());
            self.skipped -= skipped;
            bytes = &bytes[skipped..];
            // No more than one frame is ever held.
            let count = bytes.len().min((RESULT_BYTES_MAX + RESULT_HEAD_BYTES_MAX).saturating_sub(self.bytes.len()));
            self.bytes.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            while let Some(frame) = self.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    fn next(&mut self) -> Result<Option<Frame>, Broken> {
        let Some(end) = self.bytes.iter().take(RESULT_HEAD_BYTES_MAX).position(|byte| *byte == b'\n') else {
            return if self.bytes.len() < RESULT_HEAD_BYTES_MAX { Ok(None) } else { Err(Broken) };
        };
        let head = std::str::from_utf8(&self.bytes[..end]).map_err(|_| Broken)?;
        let body = end + 1;
        match Head::parse(head).ok_or(Broken)? {
            Head::End(frame) => {
                self.bytes.drain(..body);
                Ok(Some(frame))
            }
            Head::Result(length) if RESULT_BYTES_MAX < length => {
                let here = (self.bytes.len() - body).min(length);
                self.bytes.drain(..body + here);
                self.skipped = length - here;
                Ok(Some(Frame::TooLarge))
            }
            Head::Result(length) if self.bytes.len() - body < length => Ok(None),
            Head::Result(length) => {
                let result = self.bytes[body..body + length].to_vec();
                self.bytes.drain(..body + length);
                Ok(Some(Frame::Result(result)))
            }
        }
    }
}

enum Head {
    Result(usize),
    End(Frame),
}

impl Head {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let head = match words.next()? {
            "R" => Self::Result(words.next()?.parse().ok()?),
            "E" => Self::End(Frame::End {
                exit_code: words.next()?.parse().ok()?,
                cpu: Duration::from_micros(words.next()?.parse().ok()?),
                memory_peak_bytes: words.next()?.parse().ok()?,
            }),
            _ => return None,
        };
        words.next().is_none().then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(exit_code: i32) -> Frame {
        Frame::End { exit_code, cpu: Duration::from_micros(7), memory_peak_bytes: 9 }
    }

    #[test]
    fn frames_come_in_pieces_of_any_size() {
        let said = b"R 5\n{\"a\"}R 0\nE -1 7 9\nE 0 7 9\n";
        let expected = [Frame::Result(b"{\"a\"}".to_vec()), Frame::Result(vec![]), end(-1), end(0)];
        for size in 1..=said.len() {
            let mut frames = Frames::default();
            let taken: Vec<Frame> = said.chunks(size).flat_map(|chunk| frames.take(chunk).unwrap()).collect();
            assert_eq!(taken, expected, "{size}");
        }
    }

    #[test]
    fn what_is_too_large_is_passed_over() {
        let mut frames = Frames::default();
        assert_eq!(frames.take(format!("R {}\n", RESULT_BYTES_MAX + 1).as_bytes()).unwrap(), [Frame::TooLarge]);
        for _ in 0..=RESULT_BYTES_MAX / 1024 {
            assert!(frames.take(&[b'x'; 1024][..(frames.skipped).min(1024)]).unwrap().is_empty());
            assert!(frames.bytes.is_empty());
        }
        assert_eq!(frames.take(b"E 0 7 9\n").unwrap(), [end(0)]);
    }

    #[test]
    fn whatever_else_is_said_is_the_end_of_it() {
        let long = "R".repeat(RESULT_HEAD_BYTES_MAX);
        for said in
            ["X 1\n", "R\n", "R -1\n", "R 1 2\n", "E 0\n", "E 0 0 0 0\n", "\n", "R 18446744073709551616\n", &long]
        {
            assert_eq!(Frames::default().take(said.as_bytes()), Err(Broken), "{said:?}");
        }
    }
}

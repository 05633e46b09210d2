//! What is typed, and the keys that leave a terminal.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, Stdin};

/// Ctrl-P, and Ctrl-Q after it.
const LEAVE: [u8; 2] = [0x10, 0x11];
/// Bytes typed, or pasted, at once.
const TYPED_BYTES: usize = 4096;

/// The keys of this terminal.
#[derive(Debug)]
pub(super) struct Keyboard {
    stdin: Stdin,
    leaving: Leaving,
    is_over: bool,
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Bytes(Bytes),
    Leave,
}

/// Whether the first of the two keys was the last one typed. It is held until the next says what was meant.
#[derive(Debug, Default)]
struct Leaving {
    is_begun: bool,
}

impl Keyboard {
    pub(super) fn new() -> Self {
        Self { stdin: tokio::io::stdin(), leaving: Leaving::default(), is_over: false }
    }

    /// Waits for something to be typed; for ever once the terminal is gone.
    pub(super) async fn next(&mut self) -> Typed {
        loop {
            let mut typed = BytesMut::with_capacity(TYPED_BYTES);
            if self.is_over {
                std::future::pending::<()>().await;
            }
            match self.stdin.read_buf(&mut typed).await {
                Ok(0) | Err(_) => self.is_over = true,
                Ok(_) => match self.leaving.filter(&typed) {
                    None => return Typed::Leave,
                    Some(bytes) if bytes.is_empty() => {}
                    Some(bytes) => return Typed::Bytes(bytes.into()),
                },
            }
        }
    }
}

impl Leaving {
    /// What of it is the program's; `None` if the terminal is to be left.
    fn filter(&mut self, typed: &[u8]) -> Option<Vec<u8>> {
        let mut passed = Vec::with_capacity(typed.len() + 1);
        for &key in typed {
            match (std::mem::take(&mut self.is_begun), key) {
                (true, key) if key == LEAVE[1] => return None,
                (was_begun, key) => {
                    if was_begun {
                        passed.push(LEAVE[0]);
                    }
                    self.is_begun = key == LEAVE[0];
                    if !self.is_begun {
                        passed.push(key);
                    }
                }
            }
        }
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &[&[u8]], expected: &[Option<&[u8]>]) {
        let mut leaving = Leaving::default();
        let passed: Vec<_> = typed.iter().map(|typed| leaving.filter(typed)).collect();
        assert_eq!(passed, expected.iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect::<Vec<_>>(), "{typed:?}");
    }

    #[test]
    fn two_keys_leave_and_one_of_them_alone_does_not() {
        check(&[b"ls\n"], &[Some(b"ls\n")]);
        check(&[b"\x10\x11"], &[None]);
        check(&[b"a\x10", b"\x11"], &[Some(b"a"), None]);
        check(&[b"\x10", b"\x10", b"\x11"], &[Some(b""), Some(b"\x10"), None]);
        check(&[b"\x10", b"x"], &[Some(b""), Some(b"\x10x")]);
        check(&[b"\x11"], &[Some(b"\x11")]);
    }
}

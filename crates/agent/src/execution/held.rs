//! What is held of one output stream: everything from the acknowledged offset on, up to a limit.

use std::collections::VecDeque;

use sentinal_agent_protocol::OUTPUT_HELD_BYTES;

/// Bytes that have an offset each. Offsets count from the program's first byte.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Offset of the first byte held.
    start: u64,
    bytes: VecDeque<u8>,
}

impl Held {
    /// How many bytes there were in all.
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// How many more fit.
    pub(super) fn room(&self) -> usize {
        OUTPUT_HELD_BYTES.saturating_sub(self.bytes.len())
    }

    /// Adds what was read; the caller has asked for [`Self::room`].
    pub(super) fn push(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room());
        self.bytes.extend(bytes);
    }

    /// Drops what comes before the offset.
    pub(super) fn acknowledge(&mut self, offset: u64) {
        let Ok(count) = usize::try_from(offset.saturating_sub(self.start)) else { return self.clear() };
        if self.bytes.len() <= count {
            return self.clear();
        }
        self.bytes.drain(..count);
        self.start += count as u64;
    }

    /// Up to `most` bytes from the offset on, or from the first held one after it, with their offset.
    pub(super) fn copy(&self, offset: u64, most: usize) -> Option<(u64, Vec<u8>)> {
        let offset = offset.max(self.start);
        let skipped = usize::try_from(offset - self.start).ok()?;
        let count = self.bytes.len().checked_sub(skipped)?.min(most);
        if count == 0 {
            return None;
        }
        let (first, second) = self.bytes.as_slices();
        let mut copy = Vec::with_capacity(count);
        copy.extend(first.iter().skip(skipped).take(count));
        copy.extend(second.iter().skip(skipped.saturating_sub(first.len())).take(count - copy.len()));
        Some((offset, copy))
    }

    fn clear(&mut self) {
        self.start = self.end();
        // Gives the memory back as well: most programs write once.
        self.bytes = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn acknowledging_makes_room() {
        let mut held = Held::default();
        held.push(&vec![7; OUTPUT_HELD_BYTES]);
        assert_eq!(held.room(), 0);
        held.acknowledge(10);
        assert_eq!((held.room(), held.end()), (10, OUTPUT_HELD_BYTES as u64));
        held.acknowledge(u64::MAX);
        assert_eq!((held.room(), held.end()), (OUTPUT_HELD_BYTES, OUTPUT_HELD_BYTES as u64));
    }

    #[test]
    fn an_acknowledgement_never_goes_back() {
        let mut held = Held::default();
        held.push(b"abcdef");
        held.acknowledge(4);
        held.acknowledge(2);
        assert_eq!(held.copy(0, 9), Some((4, b"ef".to_vec())));
    }

    proptest! {
        /// Against a model that keeps everything.
        #[test]
        fn what_is_copied_is_what_was_written(steps in prop::collection::vec((0_usize..40, 0_u64..200, 0_u64..400), 1..40)) {
            let (mut held, mut all, mut acknowledged) = (Held::default(), Vec::new(), 0_u64);
            for (count, acknowledge, from) in steps {
                let bytes: Vec<u8> = (0..count).map(|index| u8::try_from((all.len() + index) % 251).unwrap()).collect();
                held.push(&bytes);
                all.extend(bytes);
                acknowledged = acknowledged.max(acknowledge.min(all.len() as u64));
                held.acknowledge(acknowledge);
                let start = usize::try_from(from.max(acknowledged)).unwrap();
                let expected: Vec<u8> = all.iter().skip(start).take(16).copied().collect();
                let copied = held.copy(from, 16);
                prop_assert_eq!(copied.is_none(), expected.is_empty());
                if let Some((offset, copy)) = copied {
                    prop_assert_eq!((offset, copy), (start as u64, expected));
                }
                prop_assert_eq!(held.end(), all.len() as u64);
            }
        }
    }
}

//! Programs whose every output byte is known beforehand.

use std::{num::ParseIntError, time::Duration};

use sentinal_model::{Command, Stream};

use crate::world::World;

/// Output is cut from this many bytes that repeat: a prime, so that no chunk fits by accident.
const PATTERN_BYTES: usize = 4099;

/// One program, as its arguments say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// Makes its output its own.
    mark: usize,
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
    /// From start to end; without an end it runs into its timeout.
    pub(crate) runs: Option<Duration>,
    pub(crate) exit_code: i32,
}

impl Program {
    pub(crate) fn random(world: &World) -> Self {
        let sizes = [0..40_u64, 0..2000, 0..2000, 14_000..40_000, 100_000..700_000];
        let sizes = sizes[world.pick(0..sizes.len())].clone();
        let runs = match world.pick(0..100) {
            0..55 => Some(world.millis(0..5)),
            55..85 => Some(world.millis(5..3000)),
            85..94 => Some(world.millis(3000..30_000)),
            _ => None,
        };
        let stderr = if world.chance(3000) { world.pick(sizes.clone()) } else { 0 };
        Self {
            mark: world.pick(0..PATTERN_BYTES),
            stdout: world.pick(sizes),
            stderr,
            runs,
            exit_code: if world.chance(7000) { 0 } else { world.pick(1..125) },
        }
    }

    /// One that says nothing and ends at once.
    pub(crate) const fn trivial() -> Self {
        Self { mark: 0, stdout: 3, stderr: 0, runs: Some(Duration::ZERO), exit_code: 0 }
    }

    pub(crate) fn command(&self, timeout: Duration) -> Command {
        let runs = self.runs.map_or(-1, |runs| i64::try_from(runs.as_millis()).unwrap_or(i64::MAX));
        let numbers = [
            self.mark.to_string(),
            self.stdout.to_string(),
            self.stderr.to_string(),
            runs.to_string(),
            self.exit_code.to_string(),
        ];
        let argv = std::iter::once("program".to_owned()).chain(numbers).collect();
        Command {
            argv,
            env: Vec::new(),
            cwd: None,
            user: None,
            stdin: Vec::new(),
            stdin_open: false,
            timeout,
            terminal: None,
            context: None,
        }
    }

    /// The program that these arguments stand for.
    pub(crate) fn parse(argv: &[String]) -> Result<Self, ParseIntError> {
        let word = |index: usize| argv.get(index).map_or("", String::as_str);
        let runs: i64 = word(4).parse()?;
        Ok(Self {
            mark: word(1).parse()?,
            stdout: word(2).parse()?,
            stderr: word(3).parse()?,
            runs: u64::try_from(runs).ok().map(Duration::from_millis),
            exit_code: word(5).parse()?,
        })
    }

    pub(crate) const fn length(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }

    /// What it writes from one offset to another.
    pub(crate) fn output(&self, stream: Stream, from: u64, to: u64) -> Vec<u8> {
        let pattern = pattern();
        let skip = if stream == Stream::Stderr { 1777 } else { 0 };
        let length = usize::try_from(to.saturating_sub(from)).unwrap_or_default();
        let mut at = (usize::try_from(from).unwrap_or_default() + self.mark + skip) % PATTERN_BYTES;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let count = (length - bytes.len()).min(PATTERN_BYTES - at);
            bytes.extend_from_slice(&pattern[at..at + count]);
            at = 0;
        }
        bytes
    }

    /// Whether these bytes are what it writes from that offset on.
    pub(crate) fn wrote(&self, stream: Stream, offset: u64, bytes: &[u8]) -> bool {
        let end = offset + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        end <= self.length(stream) && self.output(stream, offset, end) == bytes
    }
}

/// Bytes without a rhythm.
fn pattern() -> &'static [u8; PATTERN_BYTES] {
    static PATTERN: std::sync::OnceLock<[u8; PATTERN_BYTES]> = std::sync::OnceLock::new();
    PATTERN.get_or_init(|| {
        let mut state = 12_345_u32;
        std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_read_back_from_its_arguments() {
        let program = Program { mark: 7, stdout: 100_000, stderr: 3, runs: None, exit_code: 4 };
        assert_eq!(Program::parse(&program.command(Duration::ZERO).argv), Ok(program));
    }

    #[test]
    fn parts_of_the_output_are_parts_of_the_whole() {
        let program = Program { mark: 7, stdout: 100_000, stderr: 3, runs: None, exit_code: 4 };
        let whole = program.output(Stream::Stdout, 0, 100_000);
        assert_eq!(program.output(Stream::Stdout, 12_345, 54_321), whole[12_345..54_321]);
        assert!(program.wrote(Stream::Stdout, 99_990, &whole[99_990..]));
        assert!(!program.wrote(Stream::Stdout, 99_989, &whole[99_990..]));
        assert!(!program.wrote(Stream::Stdout, 99_999, &[whole[99_999], 0]));
    }
}

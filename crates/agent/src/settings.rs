//! What the agent is told at its start: a token, an epoch, a deadline and how long the sandbox may be idle by
//! environment, a socket by argument.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use sentinal_agent_protocol::{
    ENV_DEADLINE_MS, ENV_EPOCH, ENV_IDLE_MS, ENV_PROGRAM_OOM_SCORE, ENV_TOKEN, SOCKET_PATH,
    preamble::{Hello, Token, VERSION_MAX, VERSION_MIN},
};
use tokio::time::Instant;

use crate::sys;

/// What the kernel takes.
const OOM_SCORES: std::ops::RangeInclusive<i32> = -1000..=1000;

/// All the agent needs to know.
pub(crate) struct Settings {
    /// Where the server listens.
    pub(crate) socket: PathBuf,
    /// What to say first.
    pub(crate) hello: Hello,
    /// When the sandbox ends, unless told otherwise later.
    pub(crate) deadline: Option<Instant>,
    /// How long the sandbox may be idle, unless told otherwise later.
    pub(crate) idle: Option<Duration>,
    /// What programs get as their score under memory pressure.
    pub(crate) program_oom_score: Option<i32>,
}

/// Why the agent cannot start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    name: &'static str,
    needed: &'static str,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the environment variable {} must be {}", self.name, self.needed)
    }
}

impl Settings {
    /// Reads the settings and wipes them from the environment, where a program could find the token.
    pub(crate) fn take() -> Result<Self, Invalid> {
        let names = [ENV_TOKEN, ENV_EPOCH, ENV_DEADLINE_MS, ENV_IDLE_MS, ENV_PROGRAM_OOM_SCORE];
        let mut found = sys::take_environment(names);
        let [token, epoch, deadline, idle, score] = found.each_mut().map(|value| value.take().unwrap_or_default());
        let socket = std::env::args_os().nth(1).unwrap_or_else(|| OsString::from(SOCKET_PATH));
        let hello = Hello {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            epoch: parse_epoch(&epoch)?,
            token: parse_token(&token)?,
        };
        let deadline = parse_ms(ENV_DEADLINE_MS, &deadline)?.and_then(|left| Instant::now().checked_add(left));
        let (idle, program_oom_score) = (parse_ms(ENV_IDLE_MS, &idle)?, parse_score(&score)?);
        Ok(Self { socket: socket.into(), hello, deadline, idle, program_oom_score })
    }
}

fn parse_token(text: &str) -> Result<Token, Invalid> {
    let invalid = || Invalid { name: ENV_TOKEN, needed: "64 hexadecimal digits" };
    let mut token = [0; 32];
    if text.len() != 2 * token.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(invalid());
    }
    for (index, byte) in token.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| invalid())?;
    }
    Ok(Token(token))
}

fn parse_epoch(text: &str) -> Result<u64, Invalid> {
    text.parse().map_err(|_| Invalid { name: ENV_EPOCH, needed: "a decimal number" })
}

/// Empty: none.
fn parse_ms(name: &'static str, text: &str) -> Result<Option<Duration>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    let ms = text.parse().map_err(|_| Invalid { name, needed: "a number of milliseconds" })?;
    Ok(Some(Duration::from_millis(ms)))
}

fn parse_score(text: &str) -> Result<Option<i32>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    let score = text.parse().ok().filter(|score| OOM_SCORES.contains(score));
    score.map(Some).ok_or(Invalid { name: ENV_PROGRAM_OOM_SCORE, needed: "a number from -1000 to 1000" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_64_hexadecimal_digits() {
        assert_eq!(parse_token(&"0f".repeat(32)), Ok(Token([15; 32])));
        for wrong in ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &"é".repeat(32), &"+f".repeat(32)] {
            assert!(parse_token(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_score_may_be_missing_but_not_wrong() {
        assert_eq!(parse_score(""), Ok(None));
        assert_eq!(parse_score("600"), Ok(Some(600)));
        for wrong in ["much", "1001", "-1001"] {
            assert!(parse_score(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_deadline_may_be_missing_but_not_wrong() {
        assert_eq!(parse_ms(ENV_DEADLINE_MS, ""), Ok(None));
        assert_eq!(parse_ms(ENV_DEADLINE_MS, "1500"), Ok(Some(Duration::from_millis(1500))));
        assert!(parse_ms(ENV_IDLE_MS, "soon").is_err());
    }
}

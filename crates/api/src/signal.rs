//! A signal as callers name it.

use sentinal_model::{Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The signals of Linux by name (signal(7)); the first is number 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];
/// The last of the real-time signals.
const NUMBER_MAX: i32 = 64;

/// A signal for a running program.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"signal": "SIGINT"}))]
pub struct SendSignal {
    /// Its name, with or without `SIG`, or its number, 1 to 64.
    pub signal: SignalName,
}

/// A signal's name or number.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a signal's name such as \"SIGTERM\", or its number")]
pub enum SignalName {
    /// A number.
    Number(i32),
    /// A name.
    Name(String),
}

impl SendSignal {
    /// The signal's number.
    pub fn number(&self) -> Result<i32> {
        let number = match &self.signal {
            SignalName::Number(number) => Some(*number),
            SignalName::Name(name) => {
                let name = name.strip_prefix("SIG").unwrap_or(name);
                NAMES.iter().position(|known| *known == name).and_then(|at| i32::try_from(at + 1).ok())
            }
        };
        number.filter(|number| (1..=NUMBER_MAX).contains(number)).ok_or_else(|| {
            let known = NAMES.join(", ");
            Error::invalid(format!(
                "signal: there is no such signal; write a number from 1 to {NUMBER_MAX} or one of {known}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<i32>) {
        let parsed = crate::parse_json::<SendSignal>(body.as_bytes()).and_then(|signal| signal.number());
        assert_eq!(parsed.ok(), expected, "{body}");
    }

    #[test]
    fn a_signal_has_a_name_or_a_number() {
        check(r#"{"signal":"SIGTERM"}"#, Some(15));
        check(r#"{"signal":"KILL"}"#, Some(9));
        check(r#"{"signal":"SYS"}"#, Some(31));
        check(r#"{"signal":2}"#, Some(2));
        check(r#"{"signal":64}"#, Some(64));
        for refused in [r#""SIGNAL""#, r#""term""#, r#""SIG""#, "0", "65", "-9", "null", "1.5", "{}"] {
            check(&format!(r#"{{"signal":{refused}}}"#), None);
        }
        check("{}", None);
    }
}

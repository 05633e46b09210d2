//! How a program ended, as an exit status.

use sentinal_api::Execution;

use super::number_code;
use crate::show::note;

/// As `timeout` of coreutils says it.
const TIMED_OUT: u8 = 124;
/// As a shell sees what SIGKILL has ended.
const KILLED: u8 = 128 + 9;

/// The program's own exit status, or the one that stands for how it was ended; what a number alone would not say is
/// told.
pub(crate) fn exit_code(execution: &Execution) -> u8 {
    match execution.outcome.as_deref() {
        Some("exited") => execution.exit_code.and_then(|code| u8::try_from(code & 0xff).ok()).unwrap_or(u8::MAX),
        Some("signaled") => number_code(execution.signal.unwrap_or_default()),
        Some("timeout") => {
            note("the program's time is up; --timeout gives it more");
            TIMED_OUT
        }
        Some("oom") => {
            note("the program ran out of memory; --memory gives its sandbox more");
            KILLED
        }
        _ => {
            note("the program was ended with its sandbox");
            KILLED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: serde_json::Value, code: u8) {
        let mut json = serde_json::json!({"id": "exe_1", "sandbox_id": "sbx_1", "state": "finished", "created_at": ""});
        json.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(exit_code(&serde_json::from_value(json).unwrap()), code, "{fields}");
    }

    #[test]
    fn every_end_has_a_status() {
        check(serde_json::json!({"outcome": "exited", "exit_code": 3}), 3);
        check(serde_json::json!({"outcome": "signaled", "signal": 15}), 143);
        check(serde_json::json!({"outcome": "timeout", "signal": 9}), 124);
        check(serde_json::json!({"outcome": "oom"}), 137);
        check(serde_json::json!({"outcome": "killed"}), 137);
    }
}

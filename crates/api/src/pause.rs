//! A pause as callers ask for it.

use sentinal_model::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a sandbox is to be paused. The body may be left out, and so may every field.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"keep": "memory"}))]
pub struct PauseSandbox {
    /// What is kept: `memory`, where it is, so that everything goes on where it was; `memory` unless told.
    #[schema(value_type = Option<crate::Keep>)]
    pub keep: Option<String>,
}

impl PauseSandbox {
    /// Refuses what cannot be done.
    pub fn check(&self) -> Result<()> {
        match self.keep.as_deref() {
            None | Some("memory") => Ok(()),
            Some("disk") => {
                let message = "keep: a sandbox cannot be kept on the disk yet; pause it with its memory: \"memory\"";
                Err(Error::new(Code::NotSupported, message))
            }
            Some(other) => {
                let other: String = other.chars().take(64).collect();
                Err(Error::invalid(format!("keep: {other:?} does not exist; known are memory, disk")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: std::result::Result<(), Code>) {
        let checked = crate::parse_json::<PauseSandbox>(body.as_bytes()).and_then(|pause| pause.check());
        assert_eq!(checked.map_err(|error| error.code()), expected, "{body}");
    }

    #[test]
    fn memory_is_kept_unless_told() {
        check("{}", Ok(()));
        check(r#"{"keep":"memory"}"#, Ok(()));
        check(r#"{"keep":null}"#, Ok(()));
        check(r#"{"keep":"disk"}"#, Err(Code::NotSupported));
        check(r#"{"keep":"nothing"}"#, Err(Code::InvalidRequest));
        check(r#"{"kept":"memory"}"#, Err(Code::InvalidRequest));
    }
}

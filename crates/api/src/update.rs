//! A change of a sandbox as callers ask for it.

use std::collections::BTreeMap;

use sentinal_model::{Error, Result, SandboxUpdate, limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::field::{seconds, unique_map};

/// What is to be changed of a sandbox; what is left out stays as it is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"ttl": 600, "labels": {"team": "blue", "draft": null}}))]
pub struct UpdateSandbox {
    /// Seconds it lives, counted from now, at most a day.
    #[schema(minimum = 1, maximum = 86400)]
    pub ttl: Option<f64>,
    /// Labels to set; null removes one.
    #[serde(default, deserialize_with = "unique_map")]
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>)]
    pub labels: Option<BTreeMap<String, Option<String>>>,
}

impl TryFrom<UpdateSandbox> for SandboxUpdate {
    type Error = Error;

    fn try_from(wire: UpdateSandbox) -> Result<Self> {
        let UpdateSandbox { ttl, labels } = wire;
        let labels = labels.unwrap_or_default();
        if ttl.is_none() && labels.is_empty() {
            return Err(Error::invalid("the body changes nothing; give ttl, labels, or both"));
        }
        let ttl = ttl.map(|value| seconds("ttl", value, limits::TTL_MIN, limits::TTL_MAX)).transpose()?;
        Ok(Self { ttl, labels })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(body: &str) -> Result<SandboxUpdate> {
        crate::parse_json::<UpdateSandbox>(body.as_bytes())?.try_into()
    }

    #[test]
    fn what_is_left_out_stays() {
        let parsed = parse(r#"{"labels":{"team":"blue","draft":null}}"#).unwrap();
        let labels = [("draft".to_owned(), None), ("team".to_owned(), Some("blue".to_owned()))];
        assert_eq!(parsed, SandboxUpdate { ttl: None, labels: labels.into() });
        assert_eq!(parse(r#"{"ttl":1.5}"#).unwrap().ttl, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn what_changes_nothing_or_cannot_be_changed_is_refused() {
        let check = |body, message| assert_eq!(parse(body).unwrap_err().message(), message, "{body}");
        check("{}", "the body changes nothing; give ttl, labels, or both");
        check(r#"{"labels":{}}"#, "the body changes nothing; give ttl, labels, or both");
        check(r#"{"ttl":0}"#, "ttl: 0 is out of range: write a number of seconds between 1 and 86400");
        check(r#"{"cpu":2}"#, "unknown field \"cpu\"; known fields: ttl, labels");
        check(r#"{"labels":{"a":null,"a":"b"}}"#, "labels: \"a\" is given twice; give it once");
    }
}

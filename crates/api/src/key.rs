//! API keys as callers see them and ask for them.

use std::{fmt, time::Duration};

use sentinal_model::{Error, KeyId, Millis, Result, Role, limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    field::{parse_time, seconds},
    query::{PageQuery, Query},
};

/// Shortest time until a key expires.
const TTL_MIN: Duration = Duration::from_secs(1);

/// A key without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its id. The secret text of the key begins with `sntl_` and the digits of it.
    #[schema(example = "key_9b2f6c0d4e8a41739c5d7e1f2a3b4c5d")]
    pub id: String,
    /// What it is for, in its maker's words.
    #[schema(example = "ci")]
    pub name: String,
    /// What its holder is, and so what it may do.
    #[schema(value_type = crate::Role, example = "developer")]
    pub role: String,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it stops being taken; null is never.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// When it was last used, to the minute; null is not yet.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// Since when it is not taken any more; null unless it was revoked.
    #[schema(format = DateTime)]
    pub revoked_at: Option<String>,
}

/// A key that was just made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct MadeKey {
    /// What is kept of it.
    #[serde(flatten)]
    pub made: Key,
    /// The key itself, for `Authorization: Bearer`. It is shown here and never again.
    #[schema(example = "sntl_9b2f6c0d4e8a41739c5d7e1f2a3b4c5d_5f0c…")]
    pub key: String,
}

impl fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeKey").field("made", &self.made).field("key", &"[redacted]").finish()
    }
}

/// The key with which somebody asks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OwnKey {
    /// What is kept of it.
    #[serde(flatten)]
    pub key: Key,
    /// Whose sandboxes, images and keys it reaches.
    #[schema(example = "default")]
    pub tenant: String,
}

/// A key to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"name": "ci", "role": "developer", "expires_in": 2_592_000}))]
pub struct NewKey {
    /// What it is for: 1 to 128 bytes.
    pub name: String,
    /// What its holder is to be: nothing that may do more than whoever asks.
    #[schema(value_type = crate::Role)]
    pub role: String,
    /// Seconds after which it expires. Without either field it never does, or with the key that it is made with.
    #[schema(minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<f64>,
    /// When it expires, in place of `expires_in`.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A key that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedKey {
    /// What it is for.
    pub name: String,
    /// What its holder is to be.
    pub role: Role,
    /// When it expires.
    pub expires_at: Option<Millis>,
}

impl NewKey {
    /// What was asked for at this moment.
    pub fn parse(self, now: Millis) -> Result<ParsedKey> {
        let Self { name, role, expires_in, expires_at } = self;
        let expires_at = match (expires_in, expires_at) {
            (Some(_), Some(_)) => return Err(Error::invalid("expires_in: excludes expires_at; leave one of them out")),
            (Some(after), None) => Some(now.after(seconds("expires_in", after, TTL_MIN, limits::KEY_TTL_MAX)?)),
            (None, Some(at)) => Some(not_too_late(parse_time("expires_at", &at)?, now)?),
            (None, None) => None,
        };
        Ok(ParsedKey { name: parse_name(name)?, role: parse_role(&role)?, expires_at })
    }
}

fn not_too_late(at: Millis, now: Millis) -> Result<Millis> {
    if at <= now.after(limits::KEY_TTL_MAX) {
        return Ok(at);
    }
    Err(Error::invalid("expires_at: is more than ten years away; leave it out for a key that never expires"))
}

fn parse_name(name: String) -> Result<String> {
    let max = limits::KEY_NAME_BYTES_MAX;
    if name.trim().is_empty() || max < name.len() || name.contains(char::is_control) {
        return Err(Error::invalid(format!("name: write 1 to {max} bytes that say what the key is for")));
    }
    Ok(name)
}

fn parse_role(name: &str) -> Result<Role> {
    let known = || Role::ALL.map(Role::as_str).join(", ");
    Role::from_name(name).ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        Error::invalid(format!("role: {name:?} is none; there are {}", known()))
    })
}

/// Which keys.
#[derive(Debug)]
pub struct KeysQuery(pub PageQuery<KeyId>);

impl TryFrom<Query> for KeysQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let page = PageQuery::take(&mut query)?;
        query.finish(&["limit", "cursor"])?;
        Ok(Self(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_json;

    const NOW: Millis = Millis(1_000_000);

    fn parse(body: &str) -> Result<ParsedKey> {
        parse_json::<NewKey>(body.as_bytes())?.parse(NOW)
    }

    #[test]
    fn a_key_is_asked_for() {
        let check = |body: &str, role, expires_at: Option<i64>| {
            let expect = ParsedKey { name: "ci".to_owned(), role, expires_at: expires_at.map(Millis) };
            assert_eq!(parse(body), Ok(expect), "{body}");
        };
        check(r#"{"name":"ci","role":"viewer"}"#, Role::Viewer, None);
        check(r#"{"name":"ci","role":"admin","expires_in":2.5}"#, Role::Admin, Some(1_002_500));
        check(r#"{"name":"ci","role":"auditor","expires_at":"1970-01-01T01:00:00Z"}"#, Role::Auditor, Some(3_600_000));
    }

    #[test]
    fn what_can_never_be_a_key_is_refused_by_name() {
        for (body, field) in [
            (r#"{"role":"viewer"}"#, "name"),
            (r#"{"name":" ","role":"viewer"}"#, "name"),
            ("{\"name\":\"a\\u0007\",\"role\":\"viewer\"}", "name"),
            (r#"{"name":"ci"}"#, "role"),
            (r#"{"name":"ci","role":"root"}"#, "role"),
            (r#"{"name":"ci","role":"viewer","expires_in":0}"#, "expires_in"),
            (r#"{"name":"ci","role":"viewer","expires_in":1e12}"#, "expires_in"),
            (r#"{"name":"ci","role":"viewer","expires_at":"soon"}"#, "expires_at"),
            (r#"{"name":"ci","role":"viewer","expires_at":"2999-01-01T00:00:00Z"}"#, "expires_at"),
            (r#"{"name":"ci","role":"viewer","expires_in":5,"expires_at":"1970-01-02T00:00:00Z"}"#, "expires_in"),
            (r#"{"name":"ci","role":"viewer","key":"mine"}"#, "key"),
        ] {
            let refused = parse(body).unwrap_err();
            assert!(refused.message().contains(field), "{body}: {refused}");
        }
        let long = "x".repeat(limits::KEY_NAME_BYTES_MAX + 1);
        assert!(parse(&format!(r#"{{"name":"{long}","role":"viewer"}}"#)).is_err());
    }
}

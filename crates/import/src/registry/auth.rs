//! What a registry wants to see: nothing, a user and a password, or a token that another server gives for them.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use std::fmt;

use reqwest::{Response, Url, header::WWW_AUTHENTICATE};
use serde::Deserialize;

/// A user of a registry. Never printed.
#[derive(Clone)]
pub struct Credentials {
    /// Who.
    pub username: String,
    /// A password, or a token that is used as one.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: Url },
}

/// Where a token comes from, as its server writes it.
#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    pub(super) fn text(self) -> Option<String> {
        self.token.or(self.access_token)
    }
}

impl Challenge {
    /// What an answer asks for, with the scope that pulling from a repository needs.
    pub(super) fn of(response: &Response, repository: &str) -> Option<Self> {
        let header = response.headers().get(WWW_AUTHENTICATE)?.to_str().ok()?;
        Self::parse(header, repository)
    }

    fn parse(header: &str, repository: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut realm = Url::parse(&parameter(rest, "realm")?).ok()?;
        if let Some(service) = parameter(rest, "service") {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        // Not the scope that it names: no more is asked for than is needed.
        realm.query_pairs_mut().append_pair("scope", &format!("repository:{repository}:pull"));
        Some(Self::Bearer { realm })
    }
}

/// The value of `name="value"` among others.
fn parameter(list: &str, name: &str) -> Option<String> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim().trim_start_matches(',').trim().eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_and_asks_for_no_more_than_a_pull() {
        let header = r#"Bearer realm="https://auth.example.com/token?x=1",service="registry, example",scope="repository:a:push""#;
        let Some(Challenge::Bearer { realm }) = Challenge::parse(header, "team/app") else { panic!() };
        assert_eq!(
            realm.as_str(),
            "https://auth.example.com/token?x=1&service=registry%2C+example&scope=repository%3Ateam%2Fapp%3Apull"
        );
        assert_eq!(Challenge::parse("Basic realm=\"x\"", "a"), Some(Challenge::Basic));
        for other in ["Digest realm=\"x\"", "Bearer", "Bearer realm=", "Bearer realm=\"no url\"", "Bearer =\"", ""] {
            assert_eq!(Challenge::parse(other, "a"), None, "{other}");
        }
    }
}

//! Where the server may connect to.
//!
//! Whoever names a host, or is asked and names another one, could have the server read what only machines on its own
//! networks are to read, such as the address that tells a cloud's machines their secrets. So: TLS, and public addresses
//! alone, unless the operator has named the host.

use std::{fmt, net::IpAddr};

use reqwest::Url;

use crate::public::is_public;

/// The hosts that the operator has named.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// The option that names them, for messages.
    option: &'static str,
    named: Vec<Origin>,
}

/// What a connection is made to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    is_plain: bool,
    host: String,
    port: u16,
}

/// What the operator has named and is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a host is named as HOST[:PORT], or http://HOST[:PORT]")]
pub struct InvalidHost;

/// An address that may not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Host and port.
    pub host: String,
    /// What would have to be different.
    pub why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.host, self.why)
    }
}

impl std::error::Error for Refused {}

impl Gate {
    /// Each is `HOST[:PORT]`, which may have a private address, or `http://HOST[:PORT]`, which has no TLS either. `option`
    /// is what the operator names them with, such as `--registry`.
    pub fn new(option: &'static str, named: &[String]) -> Result<Self, InvalidHost> {
        let named = named.iter().map(|text| Origin::parse(text)).collect::<Option<_>>();
        named.map(|named| Self { option, named }).ok_or(InvalidHost)
    }

    /// Whether the operator has named the address as it is.
    pub fn is_named(&self, url: &Url) -> bool {
        Origin::of(url).is_some_and(|origin| self.named.contains(&origin))
    }

    /// Refuses an address that may not be asked. A name is looked at again when it is looked up.
    pub fn pass(&self, url: &Url) -> Result<(), Refused> {
        if self.is_named(url) {
            return Ok(());
        }
        let option = self.option;
        if url.scheme() != "https" {
            let why = format!("it has no TLS, and the operator has not named it with {option} http://HOST");
            return Err(Refused { host: authority(url), why });
        }
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|address| !is_public(address)) {
            let why = format!("its address is not public, and the operator has not named it with {option} HOST");
            return Err(Refused { host: authority(url), why });
        }
        Ok(())
    }

    pub(crate) const fn option(&self) -> &'static str {
        self.option
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (host, is_plain) = text.strip_prefix("http://").map_or((text, false), |host| (host, true));
        let scheme = if is_plain { "http" } else { "https" };
        let url = Url::parse(&format!("{scheme}://{host}/")).ok().filter(|_| is_host(host))?;
        Self::of(&url)
    }

    fn of(url: &Url) -> Option<Self> {
        let is_plain = url.scheme() == "http";
        let host = url.host_str().filter(|_| is_plain || url.scheme() == "https")?;
        Some(Self { is_plain, host: host.to_owned(), port: url.port_or_known_default()? })
    }
}

/// Host and port, as people name them.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether a text is made of what hosts and ports are made of.
pub fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed) && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(named: &[&str]) -> Result<Gate, InvalidHost> {
        let named: Vec<String> = named.iter().map(|&host| host.to_owned()).collect();
        Gate::new("--registry", &named)
    }

    #[test]
    fn only_what_the_operator_named_may_be_private_or_plain() {
        let gate = gate(&["http://127.0.0.1:5000", "10.0.0.1", "Internal:443", "http://plain"]).unwrap();
        let passes = |url: &str| gate.pass(&Url::parse(url).unwrap()).is_ok();
        for passed in [
            "http://127.0.0.1:5000/v2/",
            "https://10.0.0.1/v2/",
            "https://1.1.1.1/",
            "https://internal/",
            "http://plain:80/x",
            "https://10.0.0.1:443/",
        ] {
            assert!(passes(passed), "{passed}");
        }
        for refused in [
            "http://127.0.0.1:5001/",
            "https://127.0.0.1:5000/",
            "http://10.0.0.1/",
            "https://10.0.0.1:8443/",
            "http://1.1.1.1/",
            "http://plain:81/",
            "https://169.254.169.254/latest/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
            "https://10.0.0.2/",
            "ftp://1.1.1.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "file:///etc/passwd",
        ] {
            assert!(!passes(refused), "{refused}");
        }
    }

    #[test]
    fn what_is_no_host_is_not_named() {
        for text in ["https://a.b", "a b", "", "a.b/x", "user@a.b", "a..b", "http://", "a:x"] {
            assert_eq!(gate(&[text]).unwrap_err(), InvalidHost, "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_operator_would_have_to_do() {
        let refused = gate(&[]).unwrap().pass(&Url::parse("http://receiver:8080/").unwrap()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "receiver:8080: it has no TLS, and the operator has not named it with --registry http://HOST"
        );
    }
}

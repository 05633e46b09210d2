//! Where the server may connect to for an image.
//!
//! Whoever may pull names a host, and a registry names others. Without this, both could have the server read what only
//! machines on its own networks are to read, such as the address that tells a cloud's machines their secrets. So: TLS, and
//! public addresses alone, unless the operator has named the registry. Names are looked up here and nowhere else, so that
//! none can mean one address when it is looked at and another one when it is used.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use super::Reference;
use crate::ImportError;

/// The registries that the operator has named.
#[derive(Debug, Clone, Default)]
pub struct Registries(Vec<Named>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    /// With its port, if it is not that of its scheme.
    host: String,
    is_plain: bool,
}

impl Registries {
    /// Each is `HOST[:PORT]`, which may have a private address, or `http://HOST[:PORT]`, which has no TLS either.
    pub fn new(named: &[String]) -> Result<Self, ImportError> {
        let parse = |text: &String| {
            let (host, is_plain) = text.strip_prefix("http://").map_or((&**text, false), |host| (host, true));
            let is_host = format!("{host}/x").parse::<Reference>().is_ok();
            let wrong = ImportError::Reference("a registry is named as HOST[:PORT], or http://HOST[:PORT]");
            if is_host { Ok(Named { host: host.to_ascii_lowercase(), is_plain }) } else { Err(wrong) }
        };
        named.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Refuses what could never be asked.
    pub(crate) fn check(&self, reference: &Reference) -> Result<(), ImportError> {
        self.base(reference).map(drop)
    }

    /// Where a registry's API begins.
    pub(super) fn base(&self, reference: &Reference) -> Result<Url, ImportError> {
        let scheme = if self.find(&reference.host).is_some_and(|named| named.is_plain) { "http" } else { "https" };
        let url = Url::parse(&format!("{scheme}://{}/v2/", reference.host));
        let url = url.map_err(|_| ImportError::Reference("its host is none"))?;
        self.pass(&url)?;
        Ok(url)
    }

    /// Refuses an address that may not be asked. A name is looked at again when it is looked up.
    pub(super) fn pass(&self, url: &Url) -> Result<(), ImportError> {
        let named = self.find(&authority(url));
        let refused = |why| Err(ImportError::NotAllowed { host: authority(url), why });
        if url.scheme() != "https" && !named.is_some_and(|named| named.is_plain) {
            return refused("it has no TLS, and the operator has not named it with --registry http://HOST");
        }
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|address| !is_public(address)) && named.is_none() {
            return refused("its address is not public, and the operator has not named it with --registry HOST");
        }
        Ok(())
    }

    fn find(&self, host: &str) -> Option<&Named> {
        self.0.iter().find(|named| named.host == host)
    }

    /// Whether a name may have any address. Where it is looked up, the port is not known.
    fn is_named(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|named| named.host == name || named.host.rsplit_once(':').is_some_and(|(host, _)| host == name))
    }
}

/// Host and port, as a reference names them.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Looks names up, and leaves out what may not be asked.
#[derive(Debug, Clone)]
pub(super) struct PublicNames(pub(super) Arc<Registries>);

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let registries = Arc::clone(&self.0);
        Box::pin(async move {
            let may_be_private = registries.is_named(name.as_str());
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| may_be_private || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err("it has no public address, and the operator has not named it with --registry".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the Internet at large.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && b & 0xc0 == 64;
    let is_protocol = a == 192 && b == 0 && c == 0;
    let is_benchmark = a == 198 && b & 0xfe == 18;
    !(a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || is_shared
        || is_protocol
        || is_benchmark
        || 224 <= a)
}

/// Only what is given out for the Internet (`2000::/3`), and nothing there that holds another address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let is_tunnel = a == 0x2002 || (a == 0x2001 && b < 0x200);
    let is_documentation = a == 0x2001 && b == 0xdb8;
    a & 0xe000 == 0x2000 && !is_tunnel && !is_documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_somebody_s_own_network_are_not_public() {
        for private in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "8.8.8.8", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn only_what_the_operator_named_may_be_private_or_plain() {
        let registries = Registries::new(&["http://127.0.0.1:5000".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        let passes = |url: &str| registries.pass(&Url::parse(url).unwrap()).is_ok();
        assert!(passes("http://127.0.0.1:5000/v2/") && passes("https://10.0.0.1/v2/") && passes("https://1.1.1.1/"));
        for refused in [
            "http://127.0.0.1:5001/",
            "http://10.0.0.1/",
            "http://1.1.1.1/",
            "https://169.254.169.254/latest/",
            "https://[::1]/",
            "https://10.0.0.2/",
            "ftp://1.1.1.1/",
            "https://2130706433/",
            "https://0x7f.1/",
        ] {
            assert!(!passes(refused), "{refused}");
        }
        assert!(Registries::new(&["https://a.b".to_owned()]).is_err() && Registries::new(&["a b".to_owned()]).is_err());
    }
}

//! What is said to a port of a sandbox, and what it may say to its caller.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::request::{KEY_PROTOCOL, Shown, hide_cookie};

/// How a port is seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Face {
    /// Below the API, as this path.
    Path { prefix: String, port: u16 },
    /// By a host name of its own, to somebody who has shown this.
    Host { shown: Shown },
}

/// About one connection and not what comes over it (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];

/// What would act on the whole origin, which is the API's.
const ON_THE_ORIGIN: [HeaderName; 11] = [
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("public-key-pins"),
    HeaderName::from_static("accept-ch"),
    HeaderName::from_static("critical-ch"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
];

/// Gives a page an origin that nobody else has (HTML, section 7.1.5).
const OPAQUE_ORIGIN: HeaderValue =
    HeaderValue::from_static("sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts");

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Leaves out what is shown to this server, and says where the port is seen.
pub(super) fn for_the_port(headers: &mut HeaderMap, face: &Face) {
    let upgrade = between(headers);
    if *face != (Face::Host { shown: Shown::Cookie }) {
        headers.remove(header::AUTHORIZATION);
    }
    hide_cookie(headers);
    hide_key(headers);
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    if let Face::Path { prefix, port } = face {
        headers.remove(header::COOKIE);
        set(headers, header::HOST, &format!("localhost:{port}"));
        set(headers, FORWARDED_PREFIX, prefix);
    }
    restore(headers, upgrade);
}

/// Leaves out what is not the port's to say.
pub(super) fn for_the_caller(headers: &mut HeaderMap, face: &Face) {
    let upgrade = between(headers);
    if let Face::Path { prefix, port } = face {
        for name in ON_THE_ORIGIN {
            headers.remove(name);
        }
        headers.append(header::CONTENT_SECURITY_POLICY, OPAQUE_ORIGIN);
        if let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) {
            let location = moved(location, prefix, *port);
            set(headers, header::LOCATION, &location);
        }
    }
    restore(headers, upgrade);
}

/// Removes what is about the connection; answers what it is to be upgraded to.
fn between(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let words: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|word| word.trim().parse().ok())
        .collect();
    let upgrade = headers.remove(header::UPGRADE).filter(|_| words.contains(&header::UPGRADE));
    for name in words.into_iter().chain(HOP_BY_HOP) {
        headers.remove(name);
    }
    upgrade
}

fn restore(headers: &mut HeaderMap, upgrade: Option<HeaderValue>) {
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Browsers show their key among the subprotocols of a WebSocket.
fn hide_key(headers: &mut HeaderMap) {
    let Some(offered) = headers.remove(header::SEC_WEBSOCKET_PROTOCOL) else { return };
    let offered = offered.to_str().unwrap_or_default().split(',').map(str::trim);
    let left: Vec<&str> = offered.filter(|name| !name.starts_with(KEY_PROTOCOL)).collect();
    if !left.is_empty() {
        set(headers, header::SEC_WEBSOCKET_PROTOCOL, &left.join(", "));
    }
}

/// Where a redirect of the port leads for its caller.
fn moved(location: &str, prefix: &str, port: u16) -> String {
    let own = [format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}")];
    let path = own.iter().find_map(|own| location.strip_prefix(own.as_str())).unwrap_or(location);
    if path.starts_with('/') && !path.starts_with("//") { format!("{prefix}{path}") } else { location.to_owned() }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Made of what was a header, a number or an id.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Face {
        Face::Path { prefix: "/p".to_owned(), port: 8000 }
    }

    const fn host(shown: Shown) -> Face {
        Face::Host { shown }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn check(
        change: fn(&mut HeaderMap, &Face),
        face: &Face,
        before: &[(&'static str, &str)],
        after: &[(&'static str, &str)],
    ) {
        let mut changed = headers(before);
        change(&mut changed, face);
        assert_eq!(changed, headers(after));
    }

    #[test]
    fn a_port_sees_neither_key_nor_cookie_of_the_api() {
        let before =
            [("host", "a:1"), ("authorization", "Bearer k"), ("cookie", "a=b"), ("accept", "*/*"), ("te", "x")];
        let seen = [
            ("host", "localhost:8000"),
            ("x-forwarded-host", "a:1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-prefix", "/p"),
            ("accept", "*/*"),
        ];
        check(for_the_port, &path(), &before, &seen);
        let seen = [
            ("host", "a:1"),
            ("x-forwarded-host", "a:1"),
            ("x-forwarded-proto", "http"),
            ("cookie", "a=b"),
            ("accept", "*/*"),
        ];
        check(for_the_port, &host(Shown::Key), &before, &seen);
        let before = [("authorization", "Bearer its own"), ("cookie", "sentinal_link=t")];
        let seen = [("authorization", "Bearer its own"), ("x-forwarded-proto", "http")];
        check(for_the_port, &host(Shown::Cookie), &before, &seen);
        let offered = [("sec-websocket-protocol", "chat, sentinal.key.sntl_k")];
        check(
            for_the_port,
            &host(Shown::Key),
            &offered,
            &[("sec-websocket-protocol", "chat"), ("x-forwarded-proto", "http")],
        );
    }

    #[test]
    fn what_is_about_the_connection_stays_there() {
        let before = [("connection", "x-a, Upgrade"), ("x-a", "1"), ("upgrade", "websocket"), ("x-b", "2")];
        let kept = [("connection", "upgrade"), ("upgrade", "websocket"), ("x-b", "2")];
        check(for_the_caller, &host(Shown::Key), &before, &kept);
        check(for_the_caller, &host(Shown::Key), &[("upgrade", "h2c"), ("transfer-encoding", "chunked")], &[]);
    }

    #[test]
    fn below_the_api_a_page_is_nobody() {
        let before =
            [("set-cookie", "a=b"), ("clear-site-data", "*"), ("location", "/login?x"), ("content-type", "text/html")];
        let policy = OPAQUE_ORIGIN.to_str().unwrap().to_owned();
        let after =
            [("location", "/p/login?x"), ("content-type", "text/html"), ("content-security-policy", policy.as_str())];
        check(for_the_caller, &path(), &before, &after);
        check(for_the_caller, &host(Shown::Key), &before, &before);
    }

    #[test]
    fn redirects_stay_on_the_port_or_lead_away() {
        for (location, expected) in [
            ("http://localhost:8000/a", "/p/a"),
            ("http://127.0.0.1:8000/", "/p/"),
            ("a/b", "a/b"),
            ("//example.com/a", "//example.com/a"),
            ("https://example.com/", "https://example.com/"),
        ] {
            assert_eq!(moved(location, "/p", 8000), expected);
        }
    }
}

//! Requests by host name, `{port}-{sandbox id}.` and anything: each port of a sandbox is an origin of its own for a
//! browser. They go where `/api/v1/sandbox/{id}/port/{port}/` goes, and nowhere else.

use axum::extract::Request;
use http::{HeaderMap, Uri, header, uri::PathAndQuery};
use sentinal_model::SandboxId;

/// Marks a request that came by its host name, with the address that it had there.
#[derive(Debug, Clone)]
pub(crate) struct ByHost(pub(crate) Uri);

/// Gives a request that names a port of a sandbox as its host the path of that port.
pub(crate) fn route<B>(mut request: http::Request<B>) -> http::Request<B> {
    let host = request.uri().host().or_else(|| host(request.headers()));
    let Some((port, id)) = host.and_then(named) else { return request };
    let rest = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    // `OPTIONS *` is about no path.
    let rest = rest.strip_prefix('/').unwrap_or_default();
    if let Ok(uri) = Uri::try_from(format!("/api/v1/sandbox/{id}/port/{port}/{rest}")) {
        let before = std::mem::replace(request.uri_mut(), uri);
        request.extensions_mut().insert(ByHost(before));
    }
    request
}

/// Whether a request came by its host name.
pub(crate) fn is_by_host(request: &Request) -> bool {
    request.extensions().get::<ByHost>().is_some()
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// The port and the sandbox that a host name is of.
fn named(host: &str) -> Option<(u16, SandboxId)> {
    let (label, _) = host.split_once('.')?;
    let (port, id) = label.split_once('-')?;
    let is_plain = !port.starts_with(['0', '+']);
    Some((port.parse().ok().filter(|_| is_plain)?, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70";

    fn check(host: &str, uri: &str, expected: &str) {
        let request = http::Request::get(uri).header(header::HOST, host).body(()).unwrap();
        let routed = route(request);
        assert_eq!(routed.uri(), expected, "{host} {uri}");
        assert_eq!(routed.extensions().get::<ByHost>().is_some(), expected != uri);
    }

    #[test]
    fn a_host_name_of_a_port_is_all_that_such_a_request_can_reach() {
        let at = format!("/api/v1/sandbox/{ID}/port/8000/");
        check(&format!("8000-{ID}.localhost:8080"), "/", &at);
        check(&format!("8000-{ID}.localhost"), "/a%2Fb/../c?d=/e", &format!("{at}a%2Fb/../c?d=/e"));
        check(&format!("8000-{ID}.sandboxes.example.com"), "/api/v1/sandbox", &format!("{at}api/v1/sandbox"));
    }

    #[test]
    fn any_other_host_is_the_api() {
        for host in ["localhost:8080", "127.0.0.1:8080", "8000-sbx_1.localhost", "sandbox.example.com"] {
            check(host, "/health", "/health");
        }
        for port in ["0", "00080", "+80", "65536", "-1", ""] {
            check(&format!("{port}-{ID}.localhost"), "/health", "/health");
        }
        check(&format!("8000-{ID}"), "/health", "/health");
    }
}

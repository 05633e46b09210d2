//! Who asks for a port of a sandbox: somebody with a key, or a browser with a link.

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderValue, Uri, header, request::Parts};
use sentinal_auth::{ConnectPort, Permit};
use sentinal_model::{Error, SandboxId};

use super::{Authenticated, Holder, Id, Port, no_longer_taken};
use crate::{
    App,
    answer::{Rejection, Reply},
    by_host::ByHost,
    links::{Door, Token},
};

/// A link's token in a query, and the cookie into which it is made.
pub(crate) const LINK: &str = "sentinal_link";

/// Somebody who may talk to this port.
pub(crate) struct Visitor {
    pub(crate) permit: Permit<ConnectPort>,
    pub(crate) door: Door,
    pub(crate) shown: Shown,
}

/// What a visitor has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A key, which the port must not see.
    Key,
    /// A cookie, which it must not see either.
    Cookie,
    /// A link that is to be made a cookie of, and where it leads.
    Link(Token, Uri),
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let Id(sandbox) = Id::<SandboxId>::from_request_parts(parts, app).await?;
        let Port(port) = Port::from_request_parts(parts, app).await?;
        let door = Door { sandbox, port };
        // Only a host name has cookies of its own.
        let shown = parts.extensions.get::<ByHost>().and_then(|ByHost(uri)| shown(&parts.headers, uri));
        let of_the_link = shown.and_then(|(token, shown)| Some((app.links.whose(&token, door)?, shown)));
        let (caller, shown) = match of_the_link {
            Some((caller, shown)) if app.keys.is_taken(caller.key()) => {
                Holder::of(&parts.extensions).is(caller.key());
                (caller, shown)
            }
            Some(_) => return Err(no_longer_taken().into()),
            None => (Authenticated::from_request_parts(parts, app).await.map_err(explained)?.0, Shown::Key),
        };
        Ok(Self { permit: app.policy.permit(&caller)?, door, shown })
    }
}

fn explained(rejection: Rejection) -> Rejection {
    rejection.explained(|error| {
        let message = format!("{}; a browser needs a link: POST /api/v1/sandbox/{{id}}/link", error.message());
        Error::new(error.code(), message)
    })
}

/// What a request by host name shows. A new link goes before an old cookie.
fn shown(headers: &HeaderMap, uri: &Uri) -> Option<(Token, Shown)> {
    if let Some((token, rest)) = uri.query().and_then(linked) {
        let query = if rest.is_empty() { String::new() } else { format!("?{rest}") };
        let target = format!("{}{query}", uri.path()).parse().ok()?;
        return Some((token.clone(), Shown::Link(token, target)));
    }
    let token = cookies(headers).find_map(|(name, value)| (name == LINK).then(|| Token::shown(value)))?;
    Some((token, Shown::Cookie))
}

/// The token in a query, and the query without it.
fn linked(query: &str) -> Option<(Token, String)> {
    let token = query.split('&').find_map(|pair| pair.strip_prefix(LINK)?.strip_prefix('='))?;
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with(LINK)).collect();
    Some((Token::shown(token), rest.join("&")))
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// Takes the cookie of a link out of what a port sees.
pub(crate) fn hide_cookie(headers: &mut HeaderMap) {
    let left: Vec<String> =
        cookies(headers).filter(|(name, _)| *name != LINK).map(|(name, value)| format!("{name}={value}")).collect();
    headers.remove(header::COOKIE);
    if let (false, Ok(value)) = (left.is_empty(), HeaderValue::from_str(&left.join("; "))) {
        headers.insert(header::COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_taken_out_of_its_address() {
        let check = |uri: &str, token: &str, target: &str| {
            let (shown_token, shown) = shown(&HeaderMap::new(), &uri.parse().unwrap()).unwrap();
            assert_eq!(shown_token, Token::shown(token));
            assert_eq!(shown, Shown::Link(Token::shown(token), target.parse().unwrap()));
        };
        check("/?sentinal_link=abc", "abc", "/");
        check("/a/b?x=1&sentinal_link=abc&y=2", "abc", "/a/b?x=1&y=2");
        assert!(shown(&HeaderMap::new(), &"/a?x=sentinal_link".parse().unwrap()).is_none());
    }

    #[test]
    fn a_cookie_of_ours_is_found_and_kept_from_the_port() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; sentinal_link=abc"));
        headers.append(header::COOKIE, HeaderValue::from_static("b=2"));
        assert_eq!(shown(&headers, &Uri::from_static("/")), Some((Token::shown("abc"), Shown::Cookie)));
        hide_cookie(&mut headers);
        assert_eq!(headers.get(header::COOKIE).unwrap(), "a=1; b=2");
    }
}

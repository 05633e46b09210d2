//! Who calls, and proof that they may.

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use sentinal_auth::{Action, Caller, Permit};
use sentinal_model::{Code, Error, Result};

use super::Holder;
use crate::{
    App,
    answer::{Rejection, Reply},
};

/// What stands before a key among the subprotocols of a WebSocket, where browsers can send nothing else.
pub(crate) const KEY_PROTOCOL: &str = "sentinal.key.";

/// Somebody who has shown a key.
pub(crate) struct Authenticated(pub(crate) Caller);

/// Somebody who has shown a key that allows this action.
pub(crate) struct Allowed<A: Action>(pub(crate) Permit<A>);

impl FromRequestParts<App> for Authenticated {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let caller = app.keys.authenticate(bearer(&parts.headers)?)?;
        Holder::of(&parts.extensions).is(caller.key());
        Ok(Self(caller))
    }
}

impl<A: Action> FromRequestParts<App> for Allowed<A> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Reply<Self> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, app).await?;
        Ok(Self(app.policy.permit(&caller)?))
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str> {
    if let (None, Some(key)) = (headers.get(header::AUTHORIZATION), offered(headers)) {
        return Ok(key);
    }
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Error::new(Code::Unauthenticated, "no API key; send the header Authorization: Bearer KEY, once"));
    };
    let malformed = || Error::new(Code::Unauthenticated, "the Authorization header is not of the form Bearer KEY");
    let (scheme, key) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(key.trim()) } else { Err(malformed()) }
}

fn offered(headers: &HeaderMap) -> Option<&str> {
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    offered.split(',').find_map(|name| name.trim().strip_prefix(KEY_PROTOCOL))
}

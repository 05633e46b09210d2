//! Links for browsers.

use std::time::Duration;

use axum::{Json, extract::State};
use http::{HeaderMap, StatusCode, header};
use sentinal_api::{Link, NewLink, time_text};
use sentinal_auth::{ConnectPort, ReadSandbox};
use sentinal_model::{Clock as _, Error, Result, SandboxId, SystemClock};

use crate::{
    App,
    answer::Reply,
    links::Door,
    openapi::Problems,
    request::{Authenticated, Id, Valid},
};

/// Make a link to a port
///
/// An address under which a browser, which cannot show a key, reaches what listens on a port of the sandbox. Whoever has
/// it may use it until it expires, the sandbox ends, or the server is started anew. The port has a host name of its own,
/// `{port}-{id}.` before the server's: `localhost` works as it is, any other name needs a wildcard in the DNS.
#[utoipa::path(post, operation_id = "createLink", path = "/api/v1/sandbox/{id}/link", tag = "port",
    params(("id" = String, Path, description = "The sandbox's id")), request_body = NewLink,
    responses((status = 201, description = "The link", body = Link), Problems))]
pub(crate) async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Id(id): Id<SandboxId>,
    headers: HeaderMap,
    Valid(body): Valid<NewLink>,
) -> Reply<(StatusCode, Json<Link>)> {
    app.policy.permit::<ConnectPort>(&caller)?;
    let (port, lasts) = body.parse()?;
    // It must be the caller's own.
    app.controller.sandbox(&app.policy.permit::<ReadSandbox>(&caller)?, id).await?;
    let host = host(&headers)?;
    let token = app.links.open(&caller, Door { sandbox: id, port }, lasts)?;
    let url = format!("http://{port}-{id}.{host}/?{}={}", crate::request::LINK, token.as_str());
    Ok((StatusCode::CREATED, Json(Link { url, expires_at: expires(lasts) })))
}

fn expires(lasts: Duration) -> String {
    time_text(SystemClock.now().after(lasts))
}

/// The name under which the caller knows this server. An address has no names below it.
fn host(headers: &HeaderMap) -> Result<String> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let authority: http::uri::Authority =
        host.parse().map_err(|error| Error::invalid(format!("the Host header: {error}")))?;
    let name = authority.host().trim_matches(['[', ']']);
    let name = if name.parse::<std::net::IpAddr>().is_ok() { "localhost" } else { name };
    Ok(authority.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")))
}

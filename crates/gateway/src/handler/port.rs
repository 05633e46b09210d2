//! What listens on a port of a sandbox, as a part of this server: HTTP, and whatever it is upgraded to.
//!
//! It is hostile. Below the API's own address it is kept from acting as the API's origin; by its host name it has an
//! origin of its own. In neither case does it see what its caller shows to this server.

mod headers;

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Redirect, Response},
};
use futures::{TryStreamExt as _, future::BoxFuture};
use http::{HeaderValue, StatusCode, Uri, Version, header, uri::PathAndQuery};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    client::conn::http1,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use sentinal_auth::{ConnectPort, Permit};
use sentinal_model::{Code, Error, Result, limits};
use tokio::time::timeout;

use self::headers::{Face, for_the_caller, for_the_port};
use crate::{
    App,
    answer::Reply,
    by_host::is_by_host,
    links::{Door, Token},
    openapi::Binary,
    request::{Holder, LINK, Shown, Visitor, chunks},
    socket,
    stream::{Kind, body},
};

/// What is taken of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The address of a port without the slash at its end, to which what it answers is relative.
pub(crate) async fn itself(request: Request) -> Response {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::permanent(&format!("{}/{query}", request.uri().path())).into_response()
}

/// Talk to what listens on a port
///
/// Any method, any path below, any body, and what it is upgraded to, WebSockets among it, goes to what listens on the port
/// of the sandbox's loopback addresses, and what that answers comes back. It does not see the key. Below this path a page
/// has an origin that nobody else has, and sets no cookies; under the host name `{port}-{id}.` before the server's own
/// it has one of its own. `unavailable` where nobody listens.
#[utoipa::path(get, operation_id = "getPort", path = "/api/v1/sandbox/{id}/port/{port}/", tag = "port",
    params(("id" = String, Path, description = "The sandbox's id"), ("port" = u16, Path, minimum = 1, description = "1 to 65535")),
    responses((status = "default", description = "Whatever it answers, or a problem", content_type = "*/*", body = Binary)))]
pub(crate) async fn proxy(
    State(app): State<App>,
    Visitor { permit, door, shown }: Visitor,
    mut request: Request,
) -> Reply<Response> {
    if let Shown::Link(token, target) = shown {
        return Ok(with_cookie(&token, &target)?);
    }
    let prefix = prefix(door);
    let face = if is_by_host(&request) {
        Face::Host { shown }
    } else {
        Face::Path { prefix: prefix.clone(), port: door.port }
    };
    let ended = Holder::of(request.extensions()).ended(&app);
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let request = outgoing(request, &prefix, &face)?;
    let mut answer = ask(&app, &permit, door, request).await?;
    for_the_caller(answer.headers_mut(), &face);
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(switch(&app, (upgrade, ended), answer)?);
    }
    let (mut parts, bytes) = answer.into_parts();
    parts.version = Version::HTTP_11;
    let is_empty = bytes.is_end_stream();
    let bytes = Body::new(bytes).into_data_stream().map_err(|error| broken(&error));
    let bytes = if is_empty { Body::empty() } else { body(&app, Kind::Follow, Box::pin(bytes)) };
    Ok(Response::from_parts(parts, bytes))
}

fn prefix(door: Door) -> String {
    format!("/api/v1/sandbox/{}/port/{}", door.sandbox, door.port)
}

/// Sends a browser to where its link leads, with a cookie in place of the token.
fn with_cookie(token: &Token, target: &Uri) -> Result<Response> {
    let cookie = format!("{LINK}={}; Path=/; HttpOnly; SameSite=Lax", token.as_str());
    let header = |text: &str| HeaderValue::from_str(text).map_err(|error| Error::invalid(format!("the link: {error}")));
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::SET_COOKIE, header(&cookie)?);
    response.headers_mut().insert(header::LOCATION, header(&target.to_string())?);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// The request as the port is to see it.
fn outgoing(request: Request, prefix: &str, face: &Face) -> Result<Request> {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let target = target.strip_prefix(prefix).unwrap_or("/");
    parts.uri = Uri::try_from(target).map_err(|error| Error::invalid(format!("the path: {error}")))?;
    parts.version = Version::HTTP_11;
    for_the_port(&mut parts.headers, face);
    let is_empty = body.is_end_stream();
    Ok(Request::from_parts(parts, if is_empty { Body::empty() } else { Body::from_stream(chunks(body)) }))
}

/// One request on a connection of its own.
async fn ask(
    app: &App,
    permit: &Permit<ConnectPort>,
    Door { sandbox, port }: Door,
    request: Request,
) -> Result<http::Response<Incoming>> {
    let stream = app.controller.connect(permit, sandbox, port).await?;
    let connection = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connection.map_err(|error| broken(&error))?;
    app.streams.spawn(connection.with_upgrades());
    let answer = timeout(limits::PORT_ANSWER_DEADLINE, sender.send_request(request)).await;
    let late = |_| {
        let seconds = limits::PORT_ANSWER_DEADLINE.as_secs();
        Error::new(Code::Unavailable, format!("port {port} of the sandbox did not answer within {seconds} seconds"))
    };
    answer.map_err(late)?.map_err(|error| broken(&error))
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Code::Unavailable, "what listens on the port did not answer as HTTP does").with_source(error)
}

/// From here on it is bytes both ways, until either side has left.
fn switch(
    app: &App,
    (caller, ended): (Option<OnUpgrade>, BoxFuture<'static, ()>),
    mut answer: http::Response<Incoming>,
) -> Result<Response> {
    let caller = caller.ok_or_else(|| {
        Error::new(Code::Unavailable, "what listens on the port changed the protocol, which nobody asked for")
    })?;
    let permit = socket::permit(app)?;
    let port = hyper::upgrade::on(&mut answer);
    let closing = app.closing.clone();
    app.streams.spawn(async move {
        let both = async {
            let (caller, port) = tokio::try_join!(caller, port)?;
            carry(caller, port).await;
            Ok::<_, hyper::Error>(())
        };
        let while_it_may = async {
            tokio::select! {
                done = both => done,
                () = ended => Ok(()),
            }
        };
        if let Some(Err(error)) = closing.run_until_cancelled(while_it_may).await {
            tracing::debug!(%error, "connection to a port did not change its protocol");
        }
        drop(permit);
    });
    let (parts, _) = answer.into_parts();
    Ok(Response::from_parts(parts, Body::empty()))
}

async fn carry(caller: Upgraded, port: Upgraded) {
    let (mut caller, mut port) = (TokioIo::new(caller), TokioIo::new(port));
    // How either side left is its own matter.
    let _ = tokio::io::copy_bidirectional(&mut caller, &mut port).await;
}

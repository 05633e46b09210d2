//! The API over HTTP: one place that sends, and one that reads what is refused.

mod events;
mod socket;

use std::time::Duration;

use anyhow::Result;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use sentinal_api::Problem;
use sentinal_model::limits;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

pub(crate) use events::Events;
pub(crate) use socket::{Received, Receiver, Sender, Socket};

use crate::{
    failure::{self, Failure},
    server::{Server, is_loopback},
};

/// How long a connection may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// After so long a silent connection is looked at: what is followed may be silent for hours.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long an answer may take: the longest wait that a caller can ask for, and some.
const ANSWER_DEADLINE: Duration = limits::WAIT_MAX.saturating_add(Duration::from_secs(60));
/// How long a server may be away in the middle of a request that can be sent again.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// How long to wait before that.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// What a refusal may have.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// A server and the way to it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: Server,
}

/// An answer as it came, and as it is read.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) json: Value,
    pub(crate) body: T,
}

impl Client {
    /// A client of this server; nothing is sent yet.
    pub(crate) fn new(server: Server) -> Result<Self> {
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_DEADLINE)
            .tcp_keepalive(KEEP_ALIVE)
            .user_agent(USER_AGENT);
        // What is on this machine is not asked for through a proxy.
        let builder = if is_loopback(&server.url) { builder.no_proxy() } else { builder };
        Ok(Self { http: builder.redirect(reqwest::redirect::Policy::none()).build()?, server })
    }

    /// Where the server is, as people write it.
    pub(crate) fn shown(&self) -> String {
        shown(&self.server.url)
    }

    /// A request for `/api/v1` and these parts of a path.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let request = self.http.request(method, self.address(&["api", "v1"], path));
        match &self.server.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// What is beside the API and open to all: no key is sent. A server that is not well says so with a body, too.
    pub(crate) async fn public<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.http.get(self.address(&[], &[path])).timeout(ANSWER_DEADLINE);
        let response = request.send().await.map_err(|error| self.unsent(error))?;
        let status = response.status();
        response.json().await.map_err(|_| Failure::Foreign { url: self.shown(), status }.into())
    }

    fn address(&self, prefix: &[&str], path: &[&str]) -> Url {
        let mut url = self.server.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(prefix).extend(path);
        }
        url
    }

    /// Sends, and turns every refusal into a failure. The body of the answer is not read yet.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.unsent(error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await.into()) }
    }

    /// Sends and reads JSON.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Answer<T>> {
        let response = self.send(request.timeout(ANSWER_DEADLINE)).await?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(Failure::Broken)?;
        let foreign = |_| Failure::Foreign { url: self.shown(), status };
        let json: Value = serde_json::from_slice(&bytes).map_err(foreign)?;
        let body = T::deserialize(&json).map_err(foreign)?;
        Ok(Answer { json, body })
    }

    /// GET.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer<T>> {
        self.ask(self.request(Method::GET, path).query(query)).await
    }

    /// A request with this body; what is not given in it is left out.
    pub(crate) async fn submit<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<Answer<T>> {
        self.ask(with_body(self.request(method, path), body)?).await
    }

    /// POST of what is made at most once, however often it is sent: where the connection broke, it is sent again.
    pub(crate) async fn make_once<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<Answer<T>> {
        let (key, mut broke_at) = (generate_key(), None::<Instant>);
        loop {
            let request = with_body(self.request(Method::POST, path), body)?.header("idempotency-key", &key);
            let answer = self.ask(request).await;
            let Err(error) = &answer else { return answer };
            if failure::of(error).is_some_and(|failure| matches!(failure, Failure::Broken(_))) {
                broke_at.get_or_insert_with(Instant::now);
            }
            let is_hopeful = broke_at.is_some_and(|at| at.elapsed() < AWAY_MAX) && failure::is_passing(error);
            if !is_hopeful {
                return answer;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Events as they come.
    pub(crate) async fn events(&self, request: RequestBuilder) -> Result<Events> {
        Ok(Events::new(self.send(request.header("accept", "text/event-stream")).await?))
    }

    /// A WebSocket. It is opened like any other request, so that there is one way for keys and refusals.
    pub(crate) async fn socket(&self, request: RequestBuilder) -> Result<Socket> {
        let key = generate_key();
        let response = socket::asked(request, &key).send().await.map_err(|error| self.unsent(error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.refusal(response).await.into());
        }
        if !socket::is_accepted(&response, &key) {
            return Err(Failure::Foreign { url: self.shown(), status: response.status() }.into());
        }
        Ok(Socket::new(response.upgrade().await.map_err(Failure::Broken)?).await)
    }

    fn unsent(&self, source: reqwest::Error) -> Failure {
        if source.is_connect() {
            return Failure::Unreachable { url: self.shown(), source: root(&source) };
        }
        Failure::Broken(source.without_url())
    }

    async fn refusal(&self, mut response: Response) -> Failure {
        let status = response.status();
        let mut text = Vec::new();
        while let Ok(Some(piece)) = response.chunk().await {
            text.extend_from_slice(&piece);
            if PROBLEM_BYTES_MAX < text.len() {
                break;
            }
        }
        match serde_json::from_slice::<Problem>(&text) {
            Ok(problem) => Failure::Refused(Box::new(problem)),
            Err(_) => Failure::Foreign { url: self.shown(), status },
        }
    }
}

/// An address as people write it.
fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// What is at the root of it: the layers above say the same in more words.
fn root(error: &reqwest::Error) -> std::io::Error {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.last().map_or_else(|| std::io::Error::other("unknown"), |cause| std::io::Error::other(cause.to_string()))
}

const USER_AGENT: &str = concat!("sentinal/", env!("CARGO_PKG_VERSION"));

/// The request with this body. Fields that were not given are not sent, rather than sent as nothing.
pub(crate) fn with_body(request: RequestBuilder, body: &impl Serialize) -> Result<RequestBuilder> {
    let mut body = serde_json::to_value(body)?;
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    Ok(request.json(&body))
}

//! Requests to one registry, for one repository.

use std::sync::Arc;

use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, RANGE},
};
use sentinal_image::Digest;
use sentinal_outbound::{Clients, reason};
use tokio::{sync::Mutex, time::timeout};

use super::{
    Credentials, Reference, Registries,
    auth::{Challenge, Token},
    reference::Version,
};
use crate::{
    ImportError,
    limits::{ANSWER_DEADLINE, CONNECT_DEADLINE, DOCUMENT_BYTES_MAX, REDIRECTS_MAX, SILENCE_MAX, TOKEN_BYTES_MAX},
};

const DOCUMENTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// A repository of a registry.
#[derive(Debug)]
pub(crate) struct Registry {
    clients: Clients,
    pub(super) reference: Reference,
    base: Url,
    credentials: Option<Credentials>,
    /// What was shown last and worked.
    shown: Mutex<Option<HeaderValue>>,
}

impl Registry {
    pub(crate) fn new(
        registries: &Registries,
        reference: Reference,
        credentials: Option<Credentials>,
    ) -> Result<Self, ImportError> {
        let base = registries.base(&reference)?;
        let clients = Clients::new(Arc::clone(&registries.0), |builder| {
            builder.connect_timeout(CONNECT_DEADLINE).read_timeout(SILENCE_MAX)
        });
        let clients = clients.map_err(|error| failed(&reference.host, &error))?;
        Ok(Self { clients, reference, base, credentials, shown: Mutex::new(None) })
    }

    /// A manifest or an index: its bytes, which are what their digest says where one is known.
    pub(super) async fn manifest(&self, version: &Version) -> Result<Vec<u8>, ImportError> {
        let name = match version {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(digest) => digest.to_string(),
        };
        let url = self.url(&format!("manifests/{name}"))?;
        let response = self.get(url, &name, |request| request.header(ACCEPT, DOCUMENTS)).await?;
        let bytes = self.whole(response, DOCUMENT_BYTES_MAX).await?;
        if let Version::Digest(expected) = version {
            check(&bytes, *expected)?;
        }
        Ok(bytes)
    }

    /// A small blob, whole, of a size that is known.
    pub(super) async fn document(&self, digest: Digest, size: u64) -> Result<Vec<u8>, ImportError> {
        if DOCUMENT_BYTES_MAX < size {
            return Err(ImportError::TooLarge { what: "the configuration", max: DOCUMENT_BYTES_MAX, unit: "bytes" });
        }
        let response = self.blob(digest, 0).await?;
        let bytes = self.whole(response, size).await?;
        check(&bytes, digest)?;
        Ok(bytes)
    }

    /// A blob from `offset` on, or from its beginning if the registry knows no better.
    pub(super) async fn blob(&self, digest: Digest, offset: u64) -> Result<Response, ImportError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let ask = |request: RequestBuilder| match offset {
            0 => request,
            _ => request.header(RANGE, format!("bytes={offset}-")),
        };
        self.get(url, &digest.to_string(), ask).await
    }

    fn url(&self, path: &str) -> Result<Url, ImportError> {
        let url = self.base.join(&format!("{}/{path}", self.reference.repository));
        url.map_err(|_| ImportError::Reference("its repository is none"))
    }

    /// Asks, shows what is wanted if that is asked for, and goes where it is sent.
    async fn get(
        &self,
        url: Url,
        what: &str,
        ask: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, ImportError> {
        let mut response = self.send(url.clone(), true, &ask).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.authorize(&response).await?;
            response = self.send(url.clone(), true, &ask).await?;
        }
        let mut at = url;
        for _ in 0..REDIRECTS_MAX {
            if !response.status().is_redirection() {
                return self.answered(response, what);
            }
            let next = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let next = next.and_then(|next| at.join(next).ok()).ok_or_else(|| self.broken("it sends us nowhere"))?;
            // What was shown to the registry is not for others.
            let is_own = next.origin() == self.base.origin();
            response = self.send(next.clone(), is_own, &ask).await?;
            at = next;
        }
        Err(self.broken("it sends us from one place to the next"))
    }

    fn answered(&self, response: Response, what: &str) -> Result<Response, ImportError> {
        let host = self.reference.host.clone();
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.credentials.is_some() => {
                Err(ImportError::Credentials { host })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Err(ImportError::NotThere { host, what: format!("{} {what}", self.reference.repository) })
            }
            status => Err(self.broken(&format!("it answers {}", status.as_u16()))),
        }
    }

    async fn send(
        &self,
        url: Url,
        is_own: bool,
        ask: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, ImportError> {
        let mut request = ask(self.clients.of(&url)?.get(url));
        if let Some(shown) = self.shown.lock().await.clone().filter(|_| is_own) {
            request = request.header(AUTHORIZATION, shown);
        }
        self.sent(request).await
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, ImportError> {
        let sent = timeout(ANSWER_DEADLINE, request.send()).await;
        let sent = sent.map_err(|_| self.broken("it does not answer"))?;
        sent.map_err(|error| failed(&self.reference.host, &error))
    }

    /// Finds out what to show from now on.
    async fn authorize(&self, refused: &Response) -> Result<(), ImportError> {
        let challenge = Challenge::of(refused, &self.reference.repository);
        let refused = || ImportError::Credentials { host: self.reference.host.clone() };
        let header = match (challenge, &self.credentials) {
            (Some(Challenge::Bearer { realm }), _) => {
                let token = self.token(realm).await?;
                HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| refused())?
            }
            (Some(Challenge::Basic), Some(credentials)) => {
                basic(self.clients.of(&self.base)?, &self.base, credentials).ok_or_else(refused)?
            }
            // The next answer is taken for what it is.
            (Some(Challenge::Basic) | None, _) => return Ok(()),
        };
        *self.shown.lock().await = Some(header);
        Ok(())
    }

    async fn token(&self, realm: Url) -> Result<String, ImportError> {
        let mut request = self.clients.of(&realm)?.get(realm);
        if let Some(Credentials { username, password }) = &self.credentials {
            request = request.basic_auth(username, Some(password));
        }
        let response = self.sent(request).await?;
        if !response.status().is_success() {
            return Err(ImportError::Credentials { host: self.reference.host.clone() });
        }
        let bytes = self.whole(response, TOKEN_BYTES_MAX).await?;
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        token.and_then(Token::text).ok_or_else(|| self.broken("its token cannot be read"))
    }

    /// All bytes of an answer, of which there may be so many.
    async fn whole(&self, mut response: Response, max: u64) -> Result<Vec<u8>, ImportError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&self.reference.host, &error))? {
            if max < (bytes.len() + chunk.len()) as u64 {
                return Err(ImportError::Wrong {
                    what: "a document".to_owned(),
                    why: format!("it has more than {max} bytes"),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    pub(super) fn broken(&self, why: &str) -> ImportError {
        ImportError::Registry { host: self.reference.host.clone(), why: why.to_owned() }
    }
}

fn check(bytes: &[u8], expected: Digest) -> Result<(), ImportError> {
    let found = Digest::of(bytes);
    if found == expected {
        return Ok(());
    }
    Err(ImportError::Wrong { what: expected.to_string(), why: format!("its digest is {found}") })
}

fn basic(client: &Client, base: &Url, credentials: &Credentials) -> Option<HeaderValue> {
    let request =
        client.get(base.clone()).basic_auth(&credentials.username, Some(&credentials.password)).build().ok()?;
    request.headers().get(AUTHORIZATION).cloned()
}

/// Without what the request showed.
pub(super) fn failed(host: &str, error: &reqwest::Error) -> ImportError {
    ImportError::Registry { host: host.to_owned(), why: reason(error) }
}

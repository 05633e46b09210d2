//! Links for browsers, which cannot show a key: each opens one port of one sandbox for a while, as whoever asked for it.
//! They are in memory alone and end with the server.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sentinal_auth::Caller;
use sentinal_model::{Code, Error, Result, SandboxId, limits};
use tokio::time::Instant;

const TOKEN_BYTES: usize = 32;

/// What a link opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) sandbox: SandboxId,
    pub(crate) port: u16,
}

/// All links that are open.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<HashMap<Hash, Link>>);

/// What is kept of a link's token.
type Hash = [u8; 32];

#[derive(Debug)]
struct Link {
    caller: Caller,
    door: Door,
    until: Instant,
}

/// What a link's holder shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Links {
    /// Makes a link of this caller's.
    pub(crate) fn open(&self, caller: &Caller, door: Door, lasts: Duration) -> Result<Token> {
        let mut bytes = [0; TOKEN_BYTES];
        rand::fill(&mut bytes).map_err(|_| Error::new(Code::Internal, "no randomness for a link"))?;
        let token = Token(BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let mut links = self.lock();
        let now = Instant::now();
        links.retain(|_, link| now < link.until);
        if limits::LINKS_MAX <= links.len() {
            let most = limits::LINKS_MAX;
            return Err(Error::new(Code::QuotaExceeded, format!("{most} links are open; wait for one to end")));
        }
        links.insert(token.hash(), Link { caller: caller.clone(), door, until: now + lasts });
        Ok(token)
    }

    /// Whose link this is, if it opens that door.
    pub(crate) fn whose(&self, token: &Token, door: Door) -> Option<Caller> {
        let links = self.lock();
        let link = links.get(&token.hash())?;
        (link.door == door && Instant::now() < link.until).then(|| link.caller.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Token {
    /// As somebody shows it.
    pub(crate) fn shown(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Found by its hash, so that how long that takes tells nothing of it.
    fn hash(&self) -> Hash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        hash
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

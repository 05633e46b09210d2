//! What the gateway asks of others, by subject. The controller and [`Keys`] answer; so do the fakes of this crate's tests.

mod events;
mod executions;
mod files;
mod images;
mod interactive;
mod keys;
mod sandboxes;
mod server;
mod webhooks;

use std::sync::Arc;

use futures::future::BoxFuture;
use sentinal_auth::{Caller, Keys};
use sentinal_model::{KeyId, Result};

pub use self::{
    events::AskEvents,
    executions::{AskExecutions, Offsets},
    files::AskFiles,
    images::AskImages,
    interactive::AskInteractive,
    keys::AskKeys,
    sandboxes::AskSandboxes,
    server::AskServer,
    webhooks::AskWebhooks,
};

/// Recognises callers by their keys.
pub trait Authenticate: Send + Sync + std::fmt::Debug {
    /// Whose key this is; `unauthenticated` if it is nobody's.
    fn authenticate(&self, key: &str) -> Result<Caller>;

    /// Whether a key that was recognised can still be used.
    fn is_taken(&self, key: KeyId) -> bool;

    /// Resolves when it cannot be used any more.
    fn ended(&self, key: KeyId) -> BoxFuture<'static, ()>;
}

impl Authenticate for Arc<Keys> {
    fn authenticate(&self, key: &str) -> Result<Caller> {
        Keys::authenticate(self, key)
    }

    fn is_taken(&self, key: KeyId) -> bool {
        Keys::is_taken(self, key)
    }

    fn ended(&self, key: KeyId) -> BoxFuture<'static, ()> {
        Box::pin(Keys::ended(self, key))
    }
}

/// The calls of the [`Controller`](sentinal_controller::Controller), which says what each means, by subject.
pub trait Ask:
    AskSandboxes
    + AskExecutions
    + AskInteractive
    + AskFiles
    + AskImages
    + AskEvents
    + AskKeys
    + AskServer
    + AskWebhooks
    + std::fmt::Debug
{
}

impl<T> Ask for T where
    T: AskSandboxes
        + AskExecutions
        + AskInteractive
        + AskFiles
        + AskImages
        + AskEvents
        + AskKeys
        + AskServer
        + AskWebhooks
        + std::fmt::Debug
{
}

//! REST in front of the controller.
//!
//! A request is given an id, its caller is recognised, the policy gives a permit, the body is read within its
//! limits, and the controller is asked. What comes back is JSON, bytes or events; what goes wrong is always
//! `application/problem+json` with a code from a closed set.
//!
//! The gateway knows no engine, no store and no node: it can ask the controller ([`Ask`]) and nobody else.
//! It keeps nothing: a gateway that is killed loses connections and no sandbox.
//!
//! Start at [`serve`], then `router`, then any file in `handler`.

mod answer;
mod app;
mod ask;
mod by_host;
mod docs;
mod handler;
mod links;
mod multipart;
mod openapi;
mod present;
mod request;
mod router;
mod serve;
mod socket;
mod stream;

pub use app::{App, Limits};
pub use ask::{
    Ask, AskEvents, AskExecutions, AskFiles, AskImages, AskInteractive, AskKeys, AskSandboxes, AskServer, AskWebhooks,
    Authenticate, Offsets,
};
pub use openapi::document as openapi_document;
pub use present::event_document;
pub use router::router;
pub use serve::serve;

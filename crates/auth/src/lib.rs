//! Who calls, and what they may do.
//!
//! A caller shows a key ([`Keys`]), the policy answers with a [`Permit`] for one action, and the controller
//! takes nothing but permits. There is no other way to make one, so an unchecked call does not compile.
//!
//! Secrets are never stored, logged or shown twice: the store has their SHA-256, [`ApiKey`] prints redacted.
//!
//! Start at [`Keys::authenticate`], then [`Policy::permit`]; how keys come and go is in `change`.

mod action;
mod admin;
mod api_key;
mod caller;
mod change;
mod keys;
mod permit;
#[cfg(test)]
mod testing;

pub use action::{
    Action, ActionName, ConnectPort, ControlExecution, CreateKey, CreateSandbox, CreateWebhook, DestroySandbox,
    Execute, ImportImage, PauseSandbox, ReadEngine, ReadExecution, ReadFile, ReadImage, ReadKey, ReadLogs, ReadMetrics,
    ReadQuota, ReadSandbox, ReadSelf, ReadUsage, ReadWebhook, RemoveImage, RemoveWebhook, ResumeSandbox, RevokeKey,
    TestWebhook, UpdateSandbox, UpdateWebhook, WriteFile,
};
pub use admin::{AdminKey, AdminKeyError};
pub use api_key::ApiKey;
pub use caller::Caller;
pub use change::{NewKey, Turn};
pub use keys::Keys;
pub use permit::{Permit, Policy};

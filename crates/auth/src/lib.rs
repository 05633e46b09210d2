//! Who calls, and what they may do.
//!
//! A caller shows a key ([`Keys`]), the policy answers with a [`Permit`] for one action, and the controller
//! takes nothing but permits. There is no other way to make one, so an unchecked call does not compile.
//!
//! Secrets are never stored, logged or shown twice: the store has their SHA-256, [`ApiKey`] prints redacted.
//!
//! Start at [`Keys::authenticate`], then [`Policy::permit`].

mod action;
mod admin;
mod api_key;
mod caller;
mod keys;
mod permit;

pub use action::{
    Action, ActionName, ConnectPort, ControlExecution, CreateSandbox, CreateWebhook, DestroySandbox, Execute,
    ImportImage, PauseSandbox, ReadEngine, ReadExecution, ReadFile, ReadImage, ReadLogs, ReadMetrics, ReadSandbox,
    ReadWebhook, RemoveImage, RemoveWebhook, ResumeSandbox, TestWebhook, UpdateSandbox, UpdateWebhook, WriteFile,
};
pub use admin::{AdminKey, AdminKeyError};
pub use api_key::ApiKey;
pub use caller::{Caller, Role};
pub use keys::Keys;
pub use permit::{Permit, Policy};

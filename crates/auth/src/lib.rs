//! Who calls, and what they may do.
//!
//! A caller shows a key ([`Keys`]), the policy answers with a [`Permit`] for one action, and the controller
//! takes nothing but permits. There is no other way to make one, so an unchecked call does not compile.

mod action;
mod caller;
mod permit;

pub use action::{
    Action, ActionName, CreateSandbox, DestroySandbox, Execute, ReadExecution, ReadFile, ReadLogs, ReadMetrics,
    ReadSandbox, WriteFile,
};
pub use caller::{Caller, Role};
pub use permit::{Permit, Policy};

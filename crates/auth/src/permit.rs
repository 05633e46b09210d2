//! The proof that somebody was asked.

use std::marker::PhantomData;

use sentinal_model::{Code, Error, KeyId, Result, TenantId};

use crate::{Action, ActionName, Caller, Role};

/// Proof that the policy allows this caller this action. Only [`Policy::permit`] makes one.
#[derive(Debug, Clone)]
pub struct Permit<A: Action> {
    caller: Caller,
    action: PhantomData<A>,
}

impl<A: Action> Permit<A> {
    /// Whose things the permit is for.
    pub const fn tenant(&self) -> &TenantId {
        self.caller.tenant()
    }

    /// Which key was shown.
    pub const fn key(&self) -> KeyId {
        self.caller.key()
    }
}

/// Who may do what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy;

impl Policy {
    /// Asks whether `caller` may do `A`.
    pub fn permit<A: Action>(&self, caller: &Caller) -> Result<Permit<A>> {
        if allows(caller.role, A::NAME) {
            return Ok(Permit { caller: caller.clone(), action: PhantomData });
        }
        let message = format!("the role {} may not {}; use a key with another role", caller.role.as_str(), A::NAME.as_str());
        Err(Error::new(Code::Forbidden, message))
    }
}

/// The table of roles and actions.
const fn allows(role: Role, action: ActionName) -> bool {
    match (role, action) {
        (
            Role::Admin,
            ActionName::CreateSandbox
            | ActionName::ReadSandbox
            | ActionName::DestroySandbox
            | ActionName::Execute
            | ActionName::ReadExecution
            | ActionName::WriteFile
            | ActionName::ReadFile
            | ActionName::ReadLogs
            | ActionName::ReadMetrics,
        ) => true,
    }
}

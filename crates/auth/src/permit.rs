//! The proof that somebody was asked.

use std::marker::PhantomData;

use sentinal_model::{Code, Error, KeyId, Result, TenantId};

use crate::{Action, ActionName, Caller, Role};

/// Proof that the policy allows this caller this action. Only [`Policy::permit`] makes one:
///
/// ```compile_fail,E0451
/// use sentinal_auth::{Caller, CreateSandbox, Permit};
///
/// fn forge(caller: Caller) -> Permit<CreateSandbox> {
///     Permit { caller, action: std::marker::PhantomData }
/// }
/// ```
///
/// and one for reading is none for destroying:
///
/// ```compile_fail,E0308
/// use sentinal_auth::{Caller, DestroySandbox, Permit, Policy, ReadSandbox};
///
/// fn upgrade(permit: Permit<ReadSandbox>) -> Permit<DestroySandbox> {
///     permit
/// }
/// ```
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
        let message =
            format!("the role {} may not {}; use a key with another role", caller.role.as_str(), A::NAME.as_str());
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
            | ActionName::UpdateSandbox
            | ActionName::PauseSandbox
            | ActionName::ResumeSandbox
            | ActionName::Execute
            | ActionName::ReadExecution
            | ActionName::ControlExecution
            | ActionName::ConnectPort
            | ActionName::WriteFile
            | ActionName::ReadFile
            | ActionName::ReadLogs
            | ActionName::ReadMetrics
            | ActionName::ReadEngine
            | ActionName::ReadImage
            | ActionName::ImportImage
            | ActionName::RemoveImage
            | ActionName::CreateWebhook
            | ActionName::ReadWebhook
            | ActionName::UpdateWebhook
            | ActionName::TestWebhook
            | ActionName::RemoveWebhook,
        ) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table once more, by role: what a role may do is changed in two places, on purpose.
    const fn expected(role: Role) -> &'static [ActionName] {
        match role {
            Role::Admin => &[
                ActionName::CreateSandbox,
                ActionName::ReadSandbox,
                ActionName::DestroySandbox,
                ActionName::UpdateSandbox,
                ActionName::PauseSandbox,
                ActionName::ResumeSandbox,
                ActionName::Execute,
                ActionName::ReadExecution,
                ActionName::ControlExecution,
                ActionName::ConnectPort,
                ActionName::WriteFile,
                ActionName::ReadFile,
                ActionName::ReadLogs,
                ActionName::ReadMetrics,
                ActionName::ReadEngine,
                ActionName::ReadImage,
                ActionName::ImportImage,
                ActionName::RemoveImage,
                ActionName::CreateWebhook,
                ActionName::ReadWebhook,
                ActionName::UpdateWebhook,
                ActionName::TestWebhook,
                ActionName::RemoveWebhook,
            ],
        }
    }

    fn caller(role: Role) -> Caller {
        Caller { key: KeyId::from_bytes([1; 16]), tenant: TenantId::from_stored("blue"), role }
    }

    fn check<A: Action>() {
        for role in Role::ALL {
            let permit = Policy.permit::<A>(&caller(role));
            match permit {
                Ok(permit) => {
                    assert!(expected(role).contains(&A::NAME), "{role:?} {:?}", A::NAME);
                    assert_eq!((permit.tenant().as_str(), permit.key()), ("blue", KeyId::from_bytes([1; 16])));
                }
                Err(error) => {
                    assert!(!expected(role).contains(&A::NAME), "{role:?} {:?}", A::NAME);
                    assert_eq!(error.code(), Code::Forbidden);
                }
            }
        }
    }

    #[test]
    fn every_role_may_do_what_the_table_says_and_nothing_else() {
        for role in Role::ALL {
            for action in ActionName::ALL {
                assert_eq!(allows(role, *action), expected(role).contains(action), "{role:?} {action:?}");
            }
        }
    }

    #[test]
    fn a_permit_names_its_caller_and_is_refused_by_the_table() {
        check::<crate::CreateSandbox>();
        check::<crate::ReadSandbox>();
        check::<crate::DestroySandbox>();
        check::<crate::UpdateSandbox>();
        check::<crate::PauseSandbox>();
        check::<crate::ResumeSandbox>();
        check::<crate::Execute>();
        check::<crate::ReadExecution>();
        check::<crate::ControlExecution>();
        check::<crate::ConnectPort>();
        check::<crate::WriteFile>();
        check::<crate::ReadFile>();
        check::<crate::ReadLogs>();
        check::<crate::ReadMetrics>();
        check::<crate::ReadEngine>();
        check::<crate::ReadImage>();
        check::<crate::ImportImage>();
        check::<crate::RemoveImage>();
        check::<crate::CreateWebhook>();
        check::<crate::ReadWebhook>();
        check::<crate::UpdateWebhook>();
        check::<crate::TestWebhook>();
        check::<crate::RemoveWebhook>();
    }

    #[test]
    fn a_role_is_read_back_from_what_was_stored() {
        for role in Role::ALL {
            assert_eq!(Role::from_stored(role.as_str()), Some(role));
        }
        for text in ["", "Admin", "root", "admin "] {
            assert_eq!(Role::from_stored(text), None);
        }
    }
}

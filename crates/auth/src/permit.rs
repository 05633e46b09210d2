//! The proof that somebody was asked.

use std::marker::PhantomData;

use sentinal_model::{Code, Error, KeyId, Result, Role, TenantId};

use crate::{Action, ActionName, Caller};

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

    /// Who has shown it.
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What its holder is.
    pub const fn role(&self) -> Role {
        self.caller.role()
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
    match action {
        ActionName::CreateKey | ActionName::RevokeKey => matches!(role, Role::Admin),
        ActionName::ReadKey => matches!(role, Role::Admin | Role::Auditor),
        // An image is everybody's: whoever moves a name changes what others start from.
        ActionName::ImportImage
        | ActionName::RemoveImage
        // A webhook tells somebody elsewhere what happens, for as long as it is there.
        | ActionName::CreateWebhook
        | ActionName::ReadWebhook
        | ActionName::UpdateWebhook
        | ActionName::TestWebhook
        | ActionName::RemoveWebhook => matches!(role, Role::Admin | Role::Operator),
        ActionName::CreateSandbox
        | ActionName::DestroySandbox
        | ActionName::UpdateSandbox
        | ActionName::PauseSandbox
        | ActionName::ResumeSandbox
        | ActionName::Execute
        | ActionName::ControlExecution
        | ActionName::ConnectPort
        | ActionName::WriteFile
        | ActionName::ReadFile => matches!(role, Role::Admin | Role::Operator | Role::Developer),
        ActionName::ReadMetrics => matches!(role, Role::Admin | Role::Operator | Role::Viewer),
        ActionName::ReadSandbox
        | ActionName::ReadExecution
        | ActionName::ReadLogs
        | ActionName::ReadEngine
        | ActionName::ReadImage
        | ActionName::ReadSelf
        | ActionName::ReadUsage
        | ActionName::ReadQuota => true,
    }
}

/// Whether `role` may do all that `other` may.
pub(crate) fn covers(role: Role, other: Role) -> bool {
    ActionName::ALL.iter().all(|action| allows(role, *action) || !allows(other, *action))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table once more, by role: what a role may do is changed in two places, on purpose.
    fn expected(role: Role) -> Vec<ActionName> {
        use ActionName as A;
        let look = [
            A::ReadSandbox,
            A::ReadExecution,
            A::ReadLogs,
            A::ReadEngine,
            A::ReadImage,
            A::ReadSelf,
            A::ReadUsage,
            A::ReadQuota,
        ];
        let work = [
            A::CreateSandbox,
            A::DestroySandbox,
            A::UpdateSandbox,
            A::PauseSandbox,
            A::ResumeSandbox,
            A::Execute,
            A::ControlExecution,
            A::ConnectPort,
            A::WriteFile,
            A::ReadFile,
        ];
        let more: &[ActionName] = match role {
            Role::Admin => &[A::ReadKey, A::CreateKey, A::RevokeKey],
            Role::Operator | Role::Developer => &[],
            Role::Viewer => return [&look[..], &[A::ReadMetrics]].concat(),
            Role::Auditor => return [&look[..], &[A::ReadKey]].concat(),
        };
        let run: &[ActionName] = match role {
            Role::Admin | Role::Operator => &[
                A::ReadMetrics,
                A::ImportImage,
                A::RemoveImage,
                A::CreateWebhook,
                A::ReadWebhook,
                A::UpdateWebhook,
                A::TestWebhook,
                A::RemoveWebhook,
            ],
            Role::Developer | Role::Viewer | Role::Auditor => &[],
        };
        [&look[..], &work, run, more].concat()
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
        check::<crate::ReadKey>();
        check::<crate::CreateKey>();
        check::<crate::RevokeKey>();
        check::<crate::ReadSelf>();
        check::<crate::ReadUsage>();
        check::<crate::ReadQuota>();
        check::<crate::CreateWebhook>();
        check::<crate::ReadWebhook>();
        check::<crate::UpdateWebhook>();
        check::<crate::TestWebhook>();
        check::<crate::RemoveWebhook>();
    }

    #[test]
    fn a_role_covers_another_if_it_may_do_all_that_one_may() {
        let covered = |role: Role| Role::ALL.into_iter().filter(|other| covers(role, *other)).collect::<Vec<_>>();
        assert_eq!(covered(Role::Admin), Role::ALL);
        assert_eq!(covered(Role::Operator), [Role::Operator, Role::Developer, Role::Viewer]);
        for role in [Role::Developer, Role::Viewer, Role::Auditor] {
            assert_eq!(covered(role), [role]);
        }
    }
}

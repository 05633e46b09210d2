//! Somebody who has shown a key.

use sentinal_model::{KeyId, Role, TenantId};

/// Somebody who has shown a key. Made by [`crate::Keys`] alone:
///
/// ```compile_fail,E0451
/// use sentinal_auth::Caller;
/// use sentinal_model::{KeyId, Role, TenantId};
///
/// let caller = Caller { key: KeyId::generate(), tenant: TenantId::default_tenant(), role: Role::Admin };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub(crate) key: KeyId,
    pub(crate) tenant: TenantId,
    pub(crate) role: Role,
}

impl Caller {
    /// Which key was shown.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// On whose behalf.
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What the key's holder is.
    pub const fn role(&self) -> Role {
        self.role
    }
}

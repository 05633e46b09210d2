//! Somebody who has shown a key.

use sentinal_model::{KeyId, TenantId};

/// What a key's holder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// May do everything within its tenant.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 1] = [Self::Admin];

    /// The role as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
        }
    }

    /// The role that [`Self::as_str`] wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// Somebody who has shown a key. Made by [`crate::Keys`] alone:
///
/// ```compile_fail,E0451
/// use sentinal_auth::{Caller, Role};
/// use sentinal_model::{KeyId, TenantId};
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

//! What the holder of a key is.

/// What the holder of a key is. What each may do is a table in `auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// May do everything within its tenant, and alone makes and revokes keys.
    Admin,
    /// Runs the service: everything but keys.
    Operator,
    /// Works in sandboxes; images and keys are others' matter.
    Developer,
    /// Looks, and changes nothing.
    Viewer,
    /// Reads what happened and who has which key; nothing inside a sandbox.
    Auditor,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Operator, Self::Developer, Self::Viewer, Self::Auditor];

    /// The role as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
        }
    }

    /// The role with this name.
    pub fn from_name(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_back_from_its_name() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        for text in ["", "Admin", "root", "admin "] {
            assert_eq!(Role::from_name(text), None);
        }
    }
}

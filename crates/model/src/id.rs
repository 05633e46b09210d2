//! One type per kind of id, printed with a prefix and parsed back strictly.

use std::{fmt, str::FromStr, sync::Arc};

use uuid::Uuid;

use crate::Millis;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an id of this kind looks like {prefix}0190f5c8e4b07c3e9f6a8d2b4c5e6f70: {prefix} and 32 lower-case hexadecimal digits"
)]
pub struct InvalidId {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id: UUID version 7 (RFC 9562), so ids sort by time of creation.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// When it was generated, as the id itself says.
            pub const fn generated_at(self) -> Millis {
                let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
                Millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f]))
            }

            /// The id made of these 16 bytes, for seeded tests and simulations.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { prefix: $prefix };
                let digits = text.strip_prefix($prefix).ok_or_else(|| invalid.clone())?;
                let canonical = digits.len() == 32
                    && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !canonical {
                    return Err(invalid);
                }
                Uuid::try_parse(digits).map(Self).map_err(|_| invalid)
            }
        }
    };
}

id!(
    /// A sandbox; everything it has on a host carries this name.
    SandboxId, "sbx_"
);
id!(
    /// An image that is being pulled.
    ImageJobId, "job_"
);
id!(
    /// One program started in a sandbox.
    ExecutionId, "exe_"
);
id!(
    /// A program in a sandbox that runs one piece of code after the other and keeps what they leave.
    ContextId, "ctx_"
);
id!(
    /// Where events are delivered to.
    WebhookId, "whk_"
);
id!(
    /// An API key; the secret part is no id.
    KeyId, "key_"
);

/// Whose it is. One tenant, `default`, exists from the first start.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The tenant that exists from the first start.
    pub fn default_tenant() -> Self {
        Self(Arc::from("default"))
    }

    /// Nobody, whose everything is that has no owner yet. No key is ever nobody's.
    pub fn nobody() -> Self {
        Self(Arc::from(""))
    }

    /// A tenant by the name the store gave it.
    pub fn from_stored(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A machine that runs sandboxes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// The node on the server's own machine.
    pub fn local() -> Self {
        Self(Arc::from("local"))
    }

    /// A node by the name the store or the node itself gave it.
    pub fn from_stored(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often the controller has changed its mind about a sandbox. A node refuses a request that carries
/// a lower one than it has seen for the same sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u64);

impl Generation {
    /// What a sandbox starts with.
    pub const FIRST: Self = Self(1);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_parsed_back_from_what_it_prints() {
        let id = SandboxId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn an_id_tells_when_it_was_generated() {
        let id: SandboxId = "sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70".parse().unwrap();
        assert_eq!(id.generated_at(), Millis(0x0190_f5c8_e4b0));
    }

    #[test]
    fn an_id_of_another_shape_is_refused() {
        let id = SandboxId::generate().to_string();
        let upper = id.to_uppercase();
        let braced = format!("sbx_{{{}}}", &id[4..]);
        for text in
            ["", "sbx_", "sbx_1", "exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70", &upper, &braced, &id[..35], "../../etc"]
        {
            assert!(text.parse::<SandboxId>().is_err(), "{text}");
        }
    }
}

//! The text that a caller shows: `sntl_`, 32 hexadecimal digits of the key's id, `_`, 64 of its secret.
//!
//! One key has one spelling, lower-case and of one length: what differs in a single character is refused before
//! anything is looked up.

use std::fmt;

use aws_lc_rs::{digest, rand};
use sentinal_model::{Code, Error, KeyId, Millis, Result, Role, TenantId};
use sentinal_store::KeyRecord;

/// What every key begins with, so that scanners for leaked secrets find it.
const PREFIX: &str = "sntl_";
const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
/// How long every key is.
const TEXT_BYTES: usize = PREFIX.len() + 2 * ID_BYTES + 1 + 2 * SECRET_BYTES;

/// An API key with its secret. Neither `Debug` nor anything else shows the secret but [`Self::expose`].
#[derive(Clone)]
pub struct ApiKey {
    id: KeyId,
    id_bytes: [u8; ID_BYTES],
    secret: [u8; SECRET_BYTES],
}

impl ApiKey {
    /// A fresh key with 256 random bits.
    pub fn generate() -> Result<Self> {
        let (mut id_bytes, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        for bytes in [&mut id_bytes[..], &mut secret[..]] {
            rand::fill(bytes).map_err(|_| Error::new(Code::Unavailable, "the system gives no random numbers"))?;
        }
        Ok(Self { id: KeyId::from_bytes(id_bytes), id_bytes, secret })
    }

    /// The key that a text is, if it is one to the letter.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TEXT_BYTES {
            return None;
        }
        let digits = text.strip_prefix(PREFIX)?.as_bytes();
        let (id, rest) = digits.split_at_checked(2 * ID_BYTES)?;
        let (separator, secret) = rest.split_first()?;
        if *separator != b'_' {
            return None;
        }
        let id_bytes = from_hex(id)?;
        Some(Self { id: KeyId::from_bytes(id_bytes), id_bytes, secret: from_hex(secret)? })
    }

    /// The text to hand to its owner, once.
    pub fn expose(&self) -> String {
        let mut text = String::with_capacity(TEXT_BYTES);
        text.push_str(PREFIX);
        push_hex(&mut text, &self.id_bytes);
        text.push('_');
        push_hex(&mut text, &self.secret);
        text
    }

    /// Which key it is.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What the store keeps of it.
    pub fn record(&self, tenant: TenantId, role: Role, name: &str, created_at: Millis) -> KeyRecord {
        KeyRecord {
            id: self.id,
            tenant,
            name: name.to_owned(),
            role: role.as_str().to_owned(),
            secret_hash: self.secret_hash(),
            created_at,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        }
    }

    /// SHA-256 of the secret. A slow hash would add nothing to 256 random bits.
    pub(crate) fn secret_hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, &self.secret).as_ref());
        hash
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}, [redacted])", self.id)
    }
}

/// The bytes of exactly so many lower-case hexadecimal digits.
fn from_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0xf] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_parsed_back_from_what_its_owner_got() {
        let key = ApiKey::generate().unwrap();
        let text = key.expose();
        let parsed = ApiKey::parse(&text).unwrap();
        assert_eq!((parsed.id, parsed.secret), (key.id, key.secret));
        assert_eq!(text.len(), 102);
        assert!(key.id.to_string().strip_prefix("key_").is_some_and(|id| text.contains(id)));
    }

    #[test]
    fn no_other_spelling_is_the_key() {
        let text = ApiKey::generate().unwrap().expose();
        let others = [
            String::new(),
            text.to_uppercase(),
            text.replacen("sntl", "sntk", 1),
            text[..101].to_owned(),
            format!("{text}0"),
            format!(" {}", &text[1..]),
            format!("{}g", &text[..101]),
            format!("{}-{}", &text[..37], &text[38..]),
            format!("{}\n", &text[..101]),
            format!("{}é", &text[..100]),
            "sntl_".repeat(2000),
            "a".repeat(10_000),
        ];
        for other in others {
            assert!(ApiKey::parse(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn the_secret_is_not_in_the_debug_output() {
        let key = ApiKey::generate().unwrap();
        let text = key.expose();
        let shown = format!("{key:?} {:?}", key.record(TenantId::default_tenant(), Role::Admin, "laptop", Millis(0)));
        assert!(!shown.contains(&text[38..]), "{shown}");
        assert!(!shown.contains(&format!("{:?}", key.secret)), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_is_exactly_its_key(text in "(sntl_)?[0-9a-gé_]{90,102}|.{0,200}") {
            if let Some(key) = ApiKey::parse(&text) {
                prop_assert_eq!(key.expose(), text);
            }
        }
    }
}

//! The first bytes of a connection, in both directions, of fixed size.
//!
//! ```text
//! agent  -> server   magic[8] version_min u16 version_max u16 epoch u64 token[32]      52 bytes
//! server -> agent    magic[8] version u16 verdict u16                                  12 bytes
//! ```
//!
//! Numbers are big-endian. Nothing is allocated before both sides agree.

/// What every connection begins with.
pub const MAGIC: [u8; 8] = *b"SENTINAL";

/// The oldest protocol version this build speaks.
pub const VERSION_MIN: u16 = 1;

/// The newest protocol version this build speaks.
pub const VERSION_MAX: u16 = 1;

/// Size of what the agent sends.
pub const HELLO_BYTES: usize = 52;

/// Size of what the server answers.
pub const WELCOME_BYTES: usize = 12;

/// Proof of which sandbox is dialling.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub [u8; 32]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What the agent says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Oldest version it speaks.
    pub version_min: u16,
    /// Newest version it speaks.
    pub version_max: u16,
    /// Counts boots and restores of this sandbox.
    pub epoch: u64,
    /// Proof of which sandbox it is.
    pub token: Token,
}

/// Why a preamble was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The other side is something else.
    #[error("the preamble does not begin with the magic of this protocol")]
    Magic,
    /// No version that both speak.
    #[error("no protocol version in common")]
    Version,
    /// A verdict from a later protocol.
    #[error("the answer carries an unknown verdict")]
    Verdict,
}

/// The server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    /// gRPC follows, in this version.
    Accepted {
        /// The version both speak.
        version: u16,
    },
    /// The connection ends here: wrong token, epoch or version. The agent may dial again.
    Refused,
}

impl Hello {
    /// The bytes to send.
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.version_min.to_be_bytes());
        bytes[10..12].copy_from_slice(&self.version_max.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[20..].copy_from_slice(&self.token.0);
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8; HELLO_BYTES]) -> Result<Self, Invalid> {
        if bytes[..8] != MAGIC {
            return Err(Invalid::Magic);
        }
        let (mut epoch, mut token) = ([0; 8], [0; 32]);
        epoch.copy_from_slice(&bytes[12..20]);
        token.copy_from_slice(&bytes[20..]);
        Ok(Self {
            version_min: u16::from_be_bytes([bytes[8], bytes[9]]),
            version_max: u16::from_be_bytes([bytes[10], bytes[11]]),
            epoch: u64::from_be_bytes(epoch),
            token: Token(token),
        })
    }

    /// The newest version that both sides speak.
    pub fn common_version(&self) -> Result<u16, Invalid> {
        let version = self.version_max.min(VERSION_MAX);
        let spoken = version >= self.version_min.max(VERSION_MIN);
        if spoken { Ok(version) } else { Err(Invalid::Version) }
    }
}

impl Welcome {
    /// The bytes to send.
    pub fn encode(self) -> [u8; WELCOME_BYTES] {
        let (version, verdict) = match self {
            Self::Accepted { version } => (version, 0_u16),
            Self::Refused => (0, 1),
        };
        let mut bytes = [0; WELCOME_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&version.to_be_bytes());
        bytes[10..].copy_from_slice(&verdict.to_be_bytes());
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8; WELCOME_BYTES]) -> Result<Self, Invalid> {
        if bytes[..8] != MAGIC {
            return Err(Invalid::Magic);
        }
        match u16::from_be_bytes([bytes[10], bytes[11]]) {
            0 => Ok(Self::Accepted { version: u16::from_be_bytes([bytes[8], bytes[9]]) }),
            1 => Ok(Self::Refused),
            _ => Err(Invalid::Verdict),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version_min: u16, version_max: u16) -> Hello {
        Hello { version_min, version_max, epoch: 7, token: Token([9; 32]) }
    }

    #[test]
    fn a_preamble_is_read_back_from_its_bytes() {
        let hello = hello(1, 3);
        assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        for welcome in [Welcome::Accepted { version: 1 }, Welcome::Refused] {
            assert_eq!(Welcome::decode(&welcome.encode()), Ok(welcome));
        }
    }

    #[test]
    fn sides_without_a_common_version_part() {
        assert_eq!(hello(1, 9).common_version(), Ok(VERSION_MAX));
        assert_eq!(hello(VERSION_MAX + 1, 9).common_version(), Err(Invalid::Version));
        assert_eq!(hello(0, 0).common_version(), Err(Invalid::Version));
    }

    #[test]
    fn a_token_is_never_printed() {
        assert!(!format!("{:?}", hello(1, 1)).contains('9'));
    }
}

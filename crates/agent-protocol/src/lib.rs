//! What the server and the agent say to each other.
//!
//! The agent dials; [`preamble`] is what both sides exchange first, in the raw; then the connection carries
//! gRPC with the server as client ([`v1`], generated from `proto/agent.proto` and checked in).
//!
//! Both sides treat what they read as hostile: the preamble has a fixed size, and messages are bounded by
//! [`MESSAGE_BYTES_MAX`].

pub mod defaults;
pub mod preamble;

/// The messages and the service, generated from `proto/agent.proto`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::str_to_string,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod v1 {
    include!("generated/sentinal.agent.v1.rs");
}

/// Largest message either side takes. Bulk data comes in chunks of at most [`CHUNK_BYTES`].
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// How much of a stream or file one message carries.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Largest frame of HTTP/2 that either side takes: one chunk and its envelope.
pub const FRAME_BYTES_MAX: u32 = 272 * 1024;

const _: () = assert!(CHUNK_BYTES < FRAME_BYTES_MAX as usize, "a chunk and its envelope fit in one frame");

/// Output of one stream that the agent holds until it is acknowledged; then the program waits.
pub const OUTPUT_HELD_BYTES: usize = 256 * 1024;

/// Where the agent's own binary is inside a sandbox.
pub const AGENT_PATH: &str = "/.sentinal/agent";

/// The socket that the agent dials, inside a sandbox.
pub const SOCKET_PATH: &str = "/.sentinal/host/agent.sock";

/// The socket's name in the instance's socket folder on the host.
pub const SOCKET_NAME: &str = "agent.sock";

/// The agent's environment: a folder on the sandbox's bounded disk, where the engine could only give a root that
/// is read-only. The agent lays it over the root before all else, which needs `CAP_SYS_ADMIN`.
pub const ENV_LAYER: &str = "SENTINAL_LAYER";

/// The agent's environment: the score under memory pressure that programs get, as a decimal number, so that the kernel
/// ends them before it ends the agent. Without it they have the agent's.
pub const ENV_PROGRAM_OOM_SCORE: &str = "SENTINAL_PROGRAM_OOM_SCORE";

/// The agent's environment: the token as 64 hexadecimal digits.
pub const ENV_TOKEN: &str = "SENTINAL_TOKEN";

/// The agent's environment: the epoch as a decimal number.
pub const ENV_EPOCH: &str = "SENTINAL_EPOCH";

/// The agent's environment: milliseconds from its start to the end of the sandbox, as a decimal number.
pub const ENV_DEADLINE_MS: &str = "SENTINAL_DEADLINE_MS";

/// The agent's environment: milliseconds that the sandbox may be idle, as a decimal number; without it, for ever.
pub const ENV_IDLE_MS: &str = "SENTINAL_IDLE_MS";

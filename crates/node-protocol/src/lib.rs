//! What `serve` and `node` say to each other over a Unix socket, and `serve`'s side of it.
//!
//! The controller knows the trait [`Node`] and the types around it, and no wire. [`v1`] is generated from
//! `proto/node.proto` and checked in.
//!
//! Start at [`Node`], then [`UnixNode`].

mod client;
mod port;
mod wire;

pub use client::{CALL_DEADLINE, UnixNode, error_of};
pub use port::{
    AgentToken, Boot, EndReason, EngineView, EventStream, HostBootId, HostUsage, ImageConfig, ImageDetails, ImageView,
    InstanceState, Inventory, Keep, MemoryPressure, Named, Node, NodeEvent, NodeInstance, NodeView, Place, Probe,
    RemovedImages, Room,
};

/// The messages and the service, generated from `proto/node.proto`.
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
    include!("generated/sentinal.node.v1.rs");
}

/// The oldest protocol version this build speaks.
pub const VERSION_MIN: u32 = 1;

/// The newest protocol version this build speaks.
pub const VERSION_MAX: u32 = 1;

/// Largest message either side takes.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// How much of an image one message carries.
pub const IMAGE_CHUNK_BYTES: usize = 256 * 1024;

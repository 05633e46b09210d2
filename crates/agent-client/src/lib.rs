//! The server's side of the agent: it listens in each sandbox's socket folder, checks who dials, and speaks
//! gRPC to the agent over the connection that the agent made.
//!
//! Connections are disposable: whenever one breaks the agent dials again, and [`Agent`] waits for it. What
//! comes from an agent is hostile: sizes are bounded, texts are cleaned, every wait has a deadline.
//!
//! Start at [`Agents`] (one per server), then [`Agent`] (one per sandbox).

mod accept;
mod agent;
mod archive;
mod body;
mod connection;
mod context;
mod error;
mod execution;
mod file;
mod folder;
mod port;
mod registry;
mod stdin;
mod transport;
mod watch;

pub use agent::{Agent, RunningExecution};
pub use body::WriteError;
pub use connection::Connection;
pub use context::OpenContext;
pub use error::{AgentError, clean};
pub use execution::{Events, ExecutionEvent, Finished, Start};
pub use file::Reading;
pub use port::PortStream;
pub use registry::{Agents, Listen};
pub use transport::{Listener, Peer, Stream, Transport};

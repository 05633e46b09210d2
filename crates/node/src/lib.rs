//! The process that has the host's rights: engines, images and instances on this host. As root it has all engines; as an
//! ordinary user's, native alone.
//!
//! It does what `serve` asks over a Unix socket, for no one but that server's user and root. It never decides
//! what should exist: it writes down what it was asked, does it, and tells what is there. The one thing it
//! ends by itself is a sandbox past its ttl. It trusts neither the server's words (all are checked) nor
//! anything that the server or a guest may have put into a folder.
//!
//! `sentinal node` is two processes: [`keep`] starts the worker again when it dies and collects the children
//! that engines leave behind; the worker is [`run_with`].
//!
//! Start at [`run_with`], then `host.rs`.

mod agent;
mod blocking;
mod config;
pub mod doctor;
mod door;
mod engines;
mod error;
mod folder;
mod host;
mod idle;
mod images;
mod keeper;
mod limits;
#[cfg(feature = "local")]
mod local;
mod record;
mod room;
mod run;
mod service;
mod socket;
#[cfg(test)]
mod testing;

pub use config::{Blocking, Hardware, IDLE_EXIT, NodeConfig, NodeParts};
pub use folder::Owner;
pub use images::{Image, Images, ReceiveImage};
pub use keeper::{KeeperError, keep};
#[cfg(feature = "local")]
pub use local::LocalNode;
pub use run::{Programs, StartError, run_with, stop_signal, this_machine};
pub use sentinal_engine_gvisor::{Starter, starter};
pub use sentinal_engine_native::{Launcher, launch};

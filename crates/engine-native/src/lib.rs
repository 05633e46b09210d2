//! Namespaces of the host's own kernel as an engine: fast, everywhere, and only as strong as that kernel.
//!
//! Each instance is one process tree whose first process is the agent, put into its namespaces by the
//! [launcher](sentinal_launcher), which ends as soon as the agent runs. The root is the image's EROFS file, mounted
//! inside the sandbox alone, with a bounded ext4 file laid over it; limits are the host's cgroups.
//!
//! Nothing is remembered: the folder, the cgroup and the process of an id say what exists, so that a crash at any
//! instruction is cleaned up by a halt. What is mounted ends with the last process, by the kernel's hand.
//!
//! Where the node is not root, less is to be had: the image is unpacked once into a folder, the layer is memory, and what
//! holds a sandbox together is its first process instead of a cgroup ([`Privilege`]).
//!
//! Start at [`Native`], then `boot.rs`.

#![forbid(unsafe_code)]

mod boot;
mod config;
mod engine;
mod grant;
mod images;
mod probe;
mod subordinate;
mod trees;
mod users;

pub use config::{Launcher, NativeConfig, Privilege};
pub use engine::Native;
pub use sentinal_launcher::Users;
pub use sentinal_launcher::launch;

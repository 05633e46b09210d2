//! gVisor as an engine: OCI bundles and `runsc`.
//!
//! Each instance is one `runsc` container that is its own sandbox, with a state folder of its own: no
//! instance can meet another's locks, and removing the folder removes all that `runsc` knew. The root is the
//! image's EROFS file, read by gVisor itself; what the sandbox writes goes to a bounded [layer] on the host.
//! Limits are the host's cgroups; `runsc` is told to leave them alone.
//!
//! It never asks `runsc` what exists: the folder, the cgroup and the mounts of an id say it, so that a crash
//! at any instruction is cleaned up by a halt.
//!
//! Start at [`Gvisor`], then `boot.rs`.
//!
//! [layer]: sentinal_engine::layer

#![deny(unsafe_code)]

mod boot;
mod bundle;
mod config;
mod engine;
mod folder;
mod probe;
mod rest;
mod runsc;
pub mod starter;

pub use config::{GvisorConfig, Starter};
pub use engine::Gvisor;

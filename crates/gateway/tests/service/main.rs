//! The gateway in front of a fake controller: what comes in, what goes out, and what happens at every limit.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod answers;
mod client;
mod execute;
mod fake;
mod files;
mod logs;
mod refused;
mod resource;
mod socket;
mod webhook;

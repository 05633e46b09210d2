//! The real binary, driven over a real socket, as the server would. Natively, and so also as a process that is
//! not init; what needs init or root is skipped with a line where it cannot be had.

#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

mod deadline;
mod executions;
mod files;
mod harness;
mod hostile;
mod identity;
mod init;
mod limits;
mod output;
mod port;
mod reconnect;
mod stdin;
mod terminal;

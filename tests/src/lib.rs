//! The harness of the tests that only the whole product can pass: real processes, a real socket, a real engine.
//!
//! It knows the product from outside only: its command lines ([`commands`]), its HTTP interface ([`Client`])
//! and what it leaves on the host ([`Leaks`]). A test that the machine cannot run prints `SKIPPED: what: why`.
//!
//! Start at [`Server`], which runs `sentinal serve` and `sentinal node` on a data folder of its own. The suites that
//! are one table for all engines start at [`Ground`] and end in a [`Matrix`].

pub mod commands;

mod api;
mod binaries;
mod capability;
mod client;
mod column;
mod files;
mod form;
mod ground;
mod guardian;
mod leaks;
mod matrix;
mod neighbour;
mod place;
mod poll;
mod process;
mod role;
mod server;
mod shared;
mod socket;
mod sse;
mod tar;

pub use api::{Execution, ListOf, NewExecution, Problem, Sandbox, Uploaded, UploadedFile};
pub use binaries::Binaries;
pub use capability::{Missing, detect, detect_host, find_program, skipped};
pub use client::{Answer, Client, Request};
pub use column::{Column, LostToOom};
pub use form::{multipart, percent_encoded};
pub use ground::{Ground, on};
pub use leaks::Leaks;
pub use matrix::{Cell, Matrix, Skip};
pub use neighbour::Neighbour;
pub use place::Place;
pub use poll::{eventually, soon};
pub use process::{Process, processes};
pub use role::Role;
pub use server::{Options, Server, free_port};
pub use shared::{Guest, guest, shared};
pub use socket::{Opened, Said, Socket};
pub use sse::{Event, EventStream, Followed};
pub use tar::Tar;

/// What a test answers: nothing, or what was not as it should be.
pub type Fact = anyhow::Result<()>;

//! The launcher: one process with one thread that the node executes to build one native sandbox. It holds nothing
//! and ends as soon as the sandbox's init runs.
//!
//! Two processes share the work. The one *outside* has the host's root: it enters the sandbox's cgroup, opens
//! what only the host can open (the image, the layer, the socket), gives each of them the sandbox's own range of
//! users, and hands them over as file systems that are mounted nowhere. The one *inside* is the sandbox's first
//! process: it has a user namespace of its own and no right on the host from its first instruction on. It makes
//! the other namespaces, puts the root together, gives up what programs must not have, and becomes the agent.
//! Nothing is ever mounted where the host could see it: with the last process everything is gone.
//!
//! Where the node is an ordinary user's, the one outside has no more than that user's rights: it says who the
//! sandbox's users are, and the one inside opens everything itself ([`Ground`]).
//!
//! Start at [`launch`], then `outside.rs` and `inside.rs`; what programs may ask the kernel for is in
//! `seccomp/allowed.rs`.

mod chore;
mod confine;
mod error;
mod file_systems;
mod inside;
mod landlock;
pub mod loops;
mod mounts;
mod outside;
mod plan;
pub mod seccomp;
mod socket;
mod started;
mod sys;
mod tree;
mod users;

pub use confine::{AGENT_OOM_SCORE, PROGRAM_OOM_SCORE};
pub use error::{LaunchError, Step};
pub use landlock::abi as landlock_abi;
pub use plan::{Chore, Ground, Plan, Task, Users};
pub use started::Started;

use std::io::Read;

/// Does the [`Task`] that is read from `input`. A sandbox is launched when its init runs, or has ended where the plan
/// says so. Call it in a process with one thread that does nothing afterwards: it enters the sandbox's cgroup.
pub fn launch(input: impl Read) -> Result<(), LaunchError> {
    match Task::read(input)? {
        Task::Launch(plan) => outside::launch(&plan),
        Task::Run(chore) => chore::run(&chore),
    }
}

//! The real controller, scheduler, store and node in a world that is made of a seed: engines, agents, disks, sockets and
//! clocks are simulated, in one thread and in no time. They are slow, they fail, they lose and repeat answers; processes
//! crash between any two actions; and after every one of them what must always hold is looked at.
//!
//! The same seed is the same story. `cargo run -p sentinal-sim -- --seed N` tells it.
//!
//! Start at `run.rs`; what must hold is in `ledger.rs` (after every commit), `machine.rs` (of what really runs),
//! `client.rs` (of every answer) and `verify.rs` (in the end).

mod agent;
mod chaos;
mod client;
mod engine;
mod entropy;
mod journal;
mod ledger;
mod life;
mod link;
mod machine;
mod network;
mod outputs;
mod parts;
mod permits;
mod plan;
mod processes;
mod program;
mod run;
mod sabotage;
mod sqlite;
mod store;
mod verify;
mod wish;
mod world;

pub use run::{Case, Report, prepare, run};
pub use sabotage::Sabotage;

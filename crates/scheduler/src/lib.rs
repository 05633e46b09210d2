//! Which engine and which node serve a sandbox, and why.
//!
//! [`place`] is a pure function: same request, same nodes, same answer. It never waits, never reads a clock,
//! never touches the store; the controller does that before and after. Nothing weaker than the policy's
//! minimum is ever chosen: what cannot be served fails, with a reason per engine.
//!
//! Start at [`place`], then [`Room::refusal`].

mod place;
mod room;

pub use place::{EngineState, NoPlace, Node, Overcommit, Policy, Request, Source, place};
pub use room::{Pressure, Room};

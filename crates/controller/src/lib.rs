//! The life of every sandbox.
//!
//! The gateway calls [`Controller`]; nobody else does. What shall be is written to the store before anything
//! is done, every action may be repeated, and a start reconciles what is with what shall be.

mod api;

pub use api::{Controller, Execution, FileBody, Health, LogEntry, LogQuery, NewExecution, OutputEvent};

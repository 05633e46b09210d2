//! The public API as a caller meets it, on a real engine. All tests of this binary share one server; each has a sandbox
//! of its own and looks afterwards whether anything of it is left on the host.

mod bad_fields;
mod bad_moments;
mod bad_requests;
mod bad_uploads;
mod context;
mod control;
mod docs;
mod endings;
mod events;
mod execute;
mod figures;
mod files;
mod five_calls;
mod idempotency;
mod inside;
mod key;
mod limits;
mod output;
mod port;
mod quota;
mod roles;
mod stream;
mod terminal;
mod update;
mod usage;
mod webhook;

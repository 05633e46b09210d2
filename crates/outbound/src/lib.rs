//! What the server connects to of its own accord.
//!
//! Somebody else names where: whoever pulls an image or has events delivered, and a registry that sends us elsewhere. So
//! there is one way out, [`Clients`], which asks a [`Gate`] first: TLS and public addresses alone, unless the operator has
//! named the host. Registries are asked by `sentinal-import`; events are delivered by [`Sender`].
//!
//! Start at [`Gate`], then [`Clients`], then [`Sender`].

mod clients;
mod gate;
mod limits;
mod public;
mod sender;
mod signature;

pub use clients::{Clients, reason};
pub use gate::{Gate, InvalidHost, Refused, is_host};
pub use sender::{Answer, InvalidUrl, Message, Sender};
pub use signature::sign;

//! What handlers take: a caller, a permit, an id, a query, a body - each valid, or the request is refused.

mod accept;
mod body;
mod caller;
mod holder;
mod id;
mod json;
mod once;
mod port;
mod query;
mod range;
mod upgrade;
mod visitor;

pub(crate) use accept::{Format, check_acceptable, format_wanted, last_event_id, media_type};
pub(crate) use body::{check_encoding, chunks, length_hint, limited};
pub(crate) use caller::{Allowed, Authenticated, KEY_PROTOCOL};
pub(crate) use holder::{Holder, guarded, no_longer_taken};
pub(crate) use id::{Id, ImageNamed, OfContext};
pub(crate) use json::{OrNothing, Valid};
pub(crate) use once::{Keyed, refuse_key, replayed};
pub(crate) use port::Port;
pub(crate) use query::Asked;
pub(crate) use range::wanted_range;
pub(crate) use upgrade::Upgrade;
pub(crate) use visitor::{LINK, Shown, Visitor, hide_cookie};

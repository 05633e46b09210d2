//! Which user a thread is.

use std::cell::RefCell;

use tonic::Status;

use super::sys;
use crate::user::Identity;

thread_local! {
    /// None: the agent's own, or not known because a change failed half-way.
    static CURRENT: RefCell<Option<Identity>> = const { RefCell::new(None) };
}

/// Makes the calling thread act on files as this user from here on. Only threads that do nothing but transfers
/// may call it.
pub(super) fn assume(identity: Identity) -> Result<(), Status> {
    CURRENT.with_borrow_mut(|current| {
        if current.as_ref() == Some(&identity) || !rustix::process::getuid().is_root() {
            // Without root, `Users` has made sure that the user is the agent's own.
            return Ok(());
        }
        *current = None;
        sys::assume(&identity)
            .map_err(|error| Status::internal(format!("cannot act as uid {}: {error}", identity.uid)))?;
        *current = Some(identity);
        Ok(())
    })
}

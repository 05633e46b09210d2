//! The one system call of the starter that no safe library offers.

#![allow(unsafe_code, reason = "STYLE: unsafe lives in files named sys.rs")]

use std::io;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives the calling thread a mount namespace of its own, a copy of the one it was in.
pub(super) fn own_mounts() -> io::Result<()> {
    // SAFETY: what makes the call unsafe is a separate table of descriptors, which is not asked for.
    // WHY: the mounts of a sandbox are to go with its last process, and to be seen by nobody else.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.map_err(Into::into)
}

//! Changing one thread's identity.

#![allow(unsafe_code, reason = "STYLE: unsafe lives in files named sys.rs")]

use std::{ffi::c_long, io};

use crate::user::Identity;

/// Leave this one as it is.
const KEEP: usize = usize::MAX;

/// Sets the effective identity of the calling thread, which decides about files. Real and saved ids stay root's:
/// that is the way back for the next user, and it keeps the user's own programs from signalling or tracing us.
/// All capabilities leave the effective set with the effective uid.
pub(super) fn assume(identity: &Identity) -> io::Result<()> {
    // To change groups the thread must be root again.
    call(libc::SYS_setresuid, [KEEP, 0, KEEP])?;
    call(libc::SYS_setgroups, [identity.groups.len(), identity.groups.as_ptr().expose_provenance(), 0])?;
    call(libc::SYS_setresgid, [KEEP, identity.gid as usize, KEEP])?;
    call(libc::SYS_setresuid, [KEEP, identity.uid as usize, KEEP])
}

fn call(number: c_long, arguments: [usize; 3]) -> io::Result<()> {
    let [first, second, third] = arguments;
    // SAFETY: the arguments are ids, or the length and address of a live list of groups, which is only read.
    // WHY: the C library's functions change all threads of the process, and the agent's other threads are root.
    let result = unsafe { libc::syscall(number, first, second, third) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

//! The randomness that the standard library takes from the kernel, fixed for threads that ask for it.
#![expect(unsafe_code, reason = "a function of the C library is put in front of the real one")]

use std::{
    cell::Cell,
    ffi::{c_uint, c_void},
};

thread_local! {
    static FIXED: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread's hash maps, and whatever else asks the kernel through the C library, get no randomness.
pub(crate) fn fix_randomness() {
    FIXED.set(true);
}

/// In front of the C library's function of this name, which the standard library allows for: it finds the symbol weakly.
///
/// # Safety
///
/// As of `getrandom(2)`: `buffer` is valid for writes of `length` bytes.
// SAFETY: the signature is that of the C library, and what it does is what that one may do: fill the buffer.
// WHY: the seeds of hash maps cannot be set in any other way.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    if !FIXED.get() {
        // SAFETY: the caller's promise is passed on as it is.
        // WHY: who did not ask for anything else gets real randomness.
        let filled = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return isize::try_from(filled).unwrap_or(-1);
    }
    // SAFETY: the caller promises that so many bytes may be written.
    // WHY: a raw buffer is what the C interface gives.
    unsafe { buffer.cast::<u8>().write_bytes(0x5a, length) };
    isize::try_from(length).unwrap_or(-1)
}

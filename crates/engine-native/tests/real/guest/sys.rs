//! System calls that std does not offer, made on purpose.

use std::{
    ffi::{CString, c_char, c_int, c_long, c_ulong},
    io,
    mem::MaybeUninit,
};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn statvfs(path: *const c_char, room: *mut Room) -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
}

/// The beginning of `struct statvfs`, and enough room for its end.
#[repr(C)]
struct Room {
    block_bytes: c_ulong,
    fragment_bytes: c_ulong,
    blocks: c_ulong,
    rest: [c_ulong; 32],
}

/// Nothing to do here: whoever needs a child's end waits for it.
pub fn reap_children() {
    // SAFETY: the default handler of SIGCHLD.
    unsafe { signal(17, 0) };
}

/// MiB of the file system.
pub fn room(path: &str) -> u64 {
    let path = CString::new(path).unwrap();
    let mut room = MaybeUninit::<Room>::zeroed();
    // SAFETY: the path is NUL-terminated, and the memory is longer than what is written.
    let room = unsafe {
        assert_eq!(statvfs(path.as_ptr(), room.as_mut_ptr()), 0);
        room.assume_init()
    };
    (room.blocks * room.fragment_bytes) >> 20
}

/// Makes a call that ought to be refused, and answers the error's name.
pub fn call(name: &str) -> String {
    let root = c"/".as_ptr();
    // SAFETY: none of these can do anything but fail, or be undone by the end of this process.
    let result = unsafe {
        match name {
            "mount" => syscall(165, c"none".as_ptr(), root, c"tmpfs".as_ptr(), 0, 0),
            "umount" => syscall(166, c"/proc".as_ptr(), 2),
            "unshare-user" => syscall(272, 0x1000_0000),
            "clone-user" => syscall(56, 0x1000_0000 | 17, 0, 0, 0, 0),
            "clone3" => syscall(435, 0, 0),
            "bpf" => syscall(321, 0, 0, 0),
            "keyctl" => syscall(250, 0, 0),
            "perf" => syscall(298, 0, 0, -1, -1, 0),
            "userfaultfd" => syscall(323, 0),
            "io_uring" => syscall(425, 1, 0),
            "ptrace" => syscall(101, 0, 0, 0, 0),
            "kexec" => syscall(246, 0, 0, 0, 0),
            "module" => syscall(175, 0, 0, c"".as_ptr()),
            "reboot" => syscall(169, 0, 0, 0, 0),
            "setns" => syscall(308, 0, 0),
            "vsock" => syscall(41, 40, 1, 0),
            "tiocsti" => syscall(16, 0, 0x5412, c"x".as_ptr()),
            "new-call" => syscall(600),
            "setuid-0" => syscall(105, 0),
            "sethostname" => syscall(170, c"x".as_ptr(), 1),
            "mknod-device" => syscall(133, c"/tmp/device".as_ptr(), 0o20666, 0x0103),
            _ => return "what?".to_owned(),
        }
    };
    if result < 0 { io::Error::last_os_error().raw_os_error().unwrap().to_string() } else { "ok".to_owned() }
}

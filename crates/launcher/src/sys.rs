//! System calls that no safe library offers.

#![allow(unsafe_code, reason = "STYLE: unsafe lives in files named sys.rs")]

use std::{
    ffi::{c_int, c_long},
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use rustix::{mount::MountAttrFlags, process::Pid, thread::UnshareFlags};

/// The kernel's `clone_args`, as long as its first version.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// The kernel's `mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    users: u64,
}

/// A copy of this process in a user and a pid namespace of its own, of which it is the first: `None` in the copy.
pub(crate) fn fork_into_namespaces() -> io::Result<Option<Pid>> {
    let flags = (libc::CLONE_NEWUSER | libc::CLONE_NEWPID).unsigned_abs();
    let arguments = CloneArguments {
        flags: u64::from(flags),
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        ..CloneArguments::default()
    };
    // SAFETY: without a stack and without shared memory it is a fork: the copy goes on here with memory of its own.
    // The process has one thread, so nothing in that memory is half done.
    // WHY: only clone3 makes the first process of a pid namespace at once, and std has no fork.
    let number = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<CloneArguments>()) };
    Ok(Pid::from_raw(i32::try_from(check(number)?).unwrap_or(0)))
}

/// Leaves the launcher's network, mounts, names and cgroup root for own ones.
pub(crate) fn make_namespaces() -> io::Result<()> {
    let all = UnshareFlags::NEWNS
        .union(UnshareFlags::NEWNET)
        .union(UnshareFlags::NEWIPC)
        .union(UnshareFlags::NEWUTS)
        .union(UnshareFlags::NEWCGROUP);
    // SAFETY: no descriptor table is unshared, which is what could break the owner of a descriptor.
    // WHY: the library marks every use so.
    unsafe { rustix::thread::unshare_unsafe(all) }.map_err(Into::into)
}

/// Adds flags to a mount, and the mapping of a user namespace.
pub(crate) fn set_attributes(
    mount: BorrowedFd<'_>,
    flags: MountAttrFlags,
    users: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let idmap = if users.is_some() { MountAttrFlags::MOUNT_ATTR_IDMAP } else { MountAttrFlags::empty() };
    let attributes = MountAttributes {
        set: u64::from((flags | idmap).bits()),
        clear: 0,
        propagation: 0,
        users: users.map_or(0, |users| u64::from(users.as_raw_fd().unsigned_abs())),
    };
    let (empty, size) = (c"".as_ptr(), size_of::<MountAttributes>());
    // SAFETY: the path is NUL-terminated, the attributes are as long as is said, and both live for the call; the
    // descriptors are open.
    // WHY: no library offers mount_setattr.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            empty,
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size,
        )
    };
    check(set).map(drop)
}

/// Switches on a network interface.
pub(crate) fn switch_on(socket: &OwnedFd, interface: &std::ffi::CStr) -> io::Result<()> {
    let mut name = [0; libc::IFNAMSIZ];
    for (place, byte) in name.iter_mut().zip(interface.to_bytes()) {
        *place = byte.cast_signed();
    }
    let flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    let request = libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    // SAFETY: the request is what SIOCSIFFLAGS reads, and lives for the call.
    // WHY: no safe library has it.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    check_int(done)
}

/// Which version of Landlock the kernel has.
pub(crate) fn landlock_abi() -> io::Result<u32> {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads nothing.
    // WHY: the library that is used for the rest keeps the answer to itself.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    Ok(u32::try_from(check(abi)?).unwrap_or(0))
}

/// The end of a process that something went wrong in: no destructor of the other process's things may run.
pub(crate) fn exit_at_once(code: c_int) -> ! {
    // SAFETY: it has no preconditions.
    // WHY: std's exit would run what the process outside has registered.
    unsafe { libc::_exit(code) }
}

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_int(result: c_int) -> io::Result<()> {
    check(c_long::from(result)).map(drop)
}

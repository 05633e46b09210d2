//! The loop devices' ioctls.

#![allow(unsafe_code, reason = "STYLE: unsafe lives in files named sys.rs")]

use std::{
    ffi::{c_int, c_ulong},
    fs::File,
    io,
    os::fd::AsRawFd as _,
};

const LOOP_CTL_GET_FREE: c_ulong = 0x4C82;
const LOOP_CONFIGURE: c_ulong = 0x4C0A;
const LOOP_GET_STATUS64: c_ulong = 0x4C05;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// The kernel's `loop_info64`.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// The kernel's `loop_config`.
#[repr(C)]
struct Configuration {
    file: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// The device and inode numbers of the file behind a loop device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backing {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) is_read_only: bool,
}

/// The number of a device that nobody uses; somebody may, a moment later.
pub(super) fn free_device(control: &File) -> io::Result<u32> {
    // SAFETY: the call takes no argument.
    // WHY: no safe library has it.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE, 0) };
    Ok(check(number)?.unsigned_abs())
}

/// Attaches a file; the device frees itself when nobody holds it any more.
pub(super) fn attach(device: &File, file: &File, block_bytes: u32, is_read_only: bool) -> io::Result<()> {
    let flags = LO_FLAGS_AUTOCLEAR | if is_read_only { LO_FLAGS_READ_ONLY } else { 0 };
    let configuration = Configuration {
        file: file.as_raw_fd().unsigned_abs(),
        block_size: block_bytes,
        info: Info { flags, ..nothing() },
        reserved: [0; 8],
    };
    // SAFETY: the configuration is what LOOP_CONFIGURE reads, and lives for the call.
    // WHY: no safe library has it.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const configuration) };
    check(done).map(drop)
}

/// What is attached to a device.
pub(super) fn backing(device: &File) -> io::Result<Backing> {
    let mut info = nothing();
    // SAFETY: LOOP_GET_STATUS64 writes exactly one such structure, for which every content is valid.
    // WHY: no safe library has it.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_GET_STATUS64, &raw mut info) };
    check(done)?;
    let is_read_only = info.flags & LO_FLAGS_READ_ONLY != 0;
    Ok(Backing { device: info.device, inode: info.inode, is_read_only })
}

const fn nothing() -> Info {
    Info {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: 0,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

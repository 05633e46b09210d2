//! What the agent does first: it lays the layer over the root.

use std::{
    ffi::{CString, c_char, c_int, c_long, c_ulong, c_void},
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    ptr::{null, null_mut},
};

const MS_BIND_REC: c_ulong = 4096 | 16384;
const MNT_DETACH: c_int = 2;
const SYS_PIVOT_ROOT: c_long = 155;
const PROT_READ_WRITE: c_int = 3;
const MAP_SHARED: c_int = 1;
const PR_CAPBSET_DROP: c_int = 24;
const CAP_SYS_ADMIN: c_ulong = 21;
const SYS_CAPGET: c_long = 125;
const SYS_CAPSET: c_long = 126;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

unsafe extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn umount2(target: *const c_char, flags: c_int) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn prctl(option: c_int, ...) -> c_int;
    fn mmap(at: *mut c_void, length: usize, protection: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
    fn read(file: c_int, buffer: *mut c_void, length: usize) -> isize;
}

pub fn make_writable() {
    let Some(layer) = std::env::var_os("SENTINAL_LAYER") else { return };
    let layer = layer.to_str().unwrap();
    for name in ["upper", "work"] {
        fs::create_dir(format!("{layer}/{name}")).unwrap();
        fs::set_permissions(format!("{layer}/{name}"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let root = "/.sentinal/root";
    bind_or_overlay("overlay", root, Some(&format!("lowerdir=/,upperdir={layer}/upper,workdir={layer}/work")));
    for name in ["proc", "dev", "sys", ".sentinal"] {
        let point = format!("{root}/{name}");
        fs::create_dir_all(&point).unwrap();
        bind_or_overlay(&format!("/{name}"), &point, None);
    }
    std::env::set_current_dir(root).unwrap();
    // SAFETY: the strings are NUL-terminated and live for the calls.
    unsafe {
        assert_eq!(syscall(SYS_PIVOT_ROOT, c".".as_ptr(), c".".as_ptr()), 0, "{}", io::Error::last_os_error());
        assert_eq!(umount2(c".".as_ptr(), MNT_DETACH), 0, "{}", io::Error::last_os_error());
        assert_eq!(prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN), 0, "{}", io::Error::last_os_error());
    }
    std::env::set_current_dir("/").unwrap();
    give_up_sys_admin();
}

/// Its holders are free of the process limit.
fn give_up_sys_admin() {
    let header = [CAPABILITY_VERSION_3, 0];
    // Effective, permitted, inheritable: the lower half of each, then the upper.
    let mut sets = [0u32; 6];
    // SAFETY: both are as long as version 3 of the calls says.
    unsafe {
        assert_eq!(syscall(SYS_CAPGET, header.as_ptr(), sets.as_mut_ptr()), 0, "{}", io::Error::last_os_error());
        sets[..3].iter_mut().for_each(|set| *set &= !(1 << CAP_SYS_ADMIN));
        assert_eq!(syscall(SYS_CAPSET, header.as_ptr(), sets.as_ptr()), 0, "{}", io::Error::last_os_error());
    }
}

fn bind_or_overlay(source: &str, target: &str, overlay: Option<&str>) {
    let [source, target, data] = [source, target, overlay.unwrap_or_default()].map(|text| CString::new(text).unwrap());
    let (kind, flags, data) = match overlay {
        Some(_) => (c"overlay".as_ptr(), 0, data.as_ptr().cast()),
        None => (null(), MS_BIND_REC, null()),
    };
    // SAFETY: the strings are NUL-terminated and live for the call.
    let done = unsafe { mount(source.as_ptr(), target.as_ptr(), kind, flags, data) };
    assert_eq!(done, 0, "{target:?}: {}", io::Error::last_os_error());
}

/// Reads zeros by system call into memory that is the file.
pub fn read_zeros_into(file: &File, length: usize) -> io::Result<()> {
    let zero = File::open("/dev/zero")?;
    // SAFETY: the mapping is as long as what is read into it, and nothing else refers to it.
    let done = unsafe {
        let memory = mmap(null_mut(), length, PROT_READ_WRITE, MAP_SHARED, file.as_raw_fd(), 0);
        read(zero.as_raw_fd(), memory, length)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

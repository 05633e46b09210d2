//! A root that can be written to, where the engine could only give one that cannot: a bounded layer is laid
//! over it.
//!
//! gVisor's own layer over a root has no size. Laid here, the sandbox's disk is one file system that knows its
//! size: full is an error to whoever writes, and `df` tells the truth.

use std::{
    env,
    ffi::CString,
    fs, io,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::Mode,
    mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, unmount},
    process::{chdir, pivot_root, umask},
    thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set, set_capabilities},
};
use sentinal_agent_protocol::{AGENT_PATH, ENV_LAYER};

/// What the kernel provides, taken along into the new root.
const KERNEL_FOLDERS: [&str; 3] = ["proc", "dev", "sys"];

/// Does nothing where the engine asks for nothing. Call it before there is a second thread.
pub(crate) fn make_writable() -> io::Result<()> {
    let Some(layer) = env::var_os(ENV_LAYER) else { return Ok(()) };
    let mask = umask(Mode::empty());
    let made = lay_over(Path::new(&layer));
    umask(mask);
    made?;
    // It served its purpose; with it, a program could do the same, and would be free of the process limit.
    remove_capability_from_bounding_set(CapabilitySet::SYS_ADMIN)?;
    let mut sets = capabilities(None)?;
    sets.effective.remove(CapabilitySet::SYS_ADMIN);
    sets.permitted.remove(CapabilitySet::SYS_ADMIN);
    Ok(set_capabilities(None, sets)?)
}

/// The layer becomes the root, with the old root beneath it.
fn lay_over(layer: &Path) -> io::Result<()> {
    let [upper, work] = ["upper", "work"].map(|name| layer.join(name));
    let root = layer.with_file_name("root");
    for folder in [&upper, &work] {
        fs::create_dir(folder)?;
    }
    // The root's own mode comes from the upper folder.
    rustix::fs::chmod(&upper, Mode::from_raw_mode(0o755))?;
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    let options = CString::new(PathBuf::from(options).into_os_string().into_vec())?;
    mount("overlay", &root, "overlay", MountFlags::empty(), Some(options.as_c_str()))?;
    for name in KERNEL_FOLDERS {
        let point = root.join(name);
        fs::create_dir_all(&point)?;
        mount_bind_recursive(Path::new("/").join(name), &point)?;
    }
    let own = within(&root, own_folder()?);
    fs::create_dir_all(&own)?;
    mount_bind(own_folder()?, own)?;
    chdir(&root)?;
    // The old root ends up on top of the new one, and is taken away from there.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    Ok(chdir("/")?)
}

/// Where the agent's binary and the socket are that it dials; they keep their paths.
fn own_folder() -> io::Result<&'static Path> {
    Ok(Path::new(AGENT_PATH).parent().ok_or(io::ErrorKind::NotFound)?)
}

fn within(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix("/").map_or_else(|_| root.to_owned(), |path| root.join(path))
}

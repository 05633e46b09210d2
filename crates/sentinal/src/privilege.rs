//! From root to an ordinary user, for good. Called while the process has one thread.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{process, thread};
use sentinal_node::Owner;

/// Permissions of the data folder: the server may make files there, but not touch what is the node's.
const DATA_FOLDER_MODE: u32 = 0o1771;

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    process::geteuid().is_root()
}

/// Makes the data folder of a server that will run as `server`. It is root's and sticky, so that the server
/// cannot put something else in the place of the node's folder in it.
pub(crate) fn make_data_folder(folder: &Path, server: Owner) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the data folder {}", folder.display()))?;
    let owned = fs::metadata(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
    ensure!(owned.is_dir(), "{} is not a folder", folder.display());
    if owned.uid() != 0 || owned.gid() != server.gid || owned.mode() & 0o7777 != DATA_FOLDER_MODE {
        chown(folder, Some(0), Some(server.gid))
            .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(DATA_FOLDER_MODE)))
            .with_context(|| format!("cannot take over {}", folder.display()))?;
    }
    Ok(())
}

/// Makes a folder that only the server may enter.
pub(crate) fn make_server_folder(folder: &Path, server: Option<Owner>) -> Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make {}", folder.display()));
        }
        Ok(()) | Err(_) => {}
    }
    // A link or a file in its place would have been put there by somebody else.
    ensure!(fs::symlink_metadata(folder)?.is_dir(), "{} is not a folder", folder.display());
    if let Some(server) = server {
        chown(folder, Some(server.uid), Some(server.gid))
            .with_context(|| format!("cannot give away {}", folder.display()))?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot close {}", folder.display()))
}

/// Becomes `user` and gives up every way back.
pub(crate) fn become_user(user: Owner) -> Result<()> {
    if user.uid == 0 {
        bail!("the server does not run as root; name an ordinary user with --server-user");
    }
    let (uid, gid) = (process::Uid::from_raw(user.uid), process::Gid::from_raw(user.gid));
    thread::set_thread_groups(&[]).context("cannot give up root's groups")?;
    thread::set_thread_res_gid(gid, gid, gid).context("cannot change the group")?;
    thread::set_thread_res_uid(uid, uid, uid).context("cannot change the user")?;
    thread::set_no_new_privs(true).context("cannot forbid new privileges")?;
    let root = process::Uid::ROOT;
    ensure!(thread::set_thread_res_uid(root, root, root).is_err(), "root could be had back; refusing to serve");
    Ok(())
}

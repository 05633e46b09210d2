//! What the agent does to itself and to the sandbox before it dials.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{Gid, Mode, Uid},
    process::{DumpableBehavior, Resource, Rlimit},
};
use sentinal_agent_protocol::{
    AGENT_PATH,
    defaults::{DEFAULTS_BYTES_MAX, DEFAULTS_PATH, Defaults},
};

use crate::{
    limits,
    spawn::Spawner,
    sys,
    user::{self, Users},
};

/// What the rest needs of the process.
pub(crate) struct Host {
    /// Readable when a child has ended.
    pub(crate) child_signals: OwnedFd,
    /// Who exists.
    pub(crate) users: Arc<Users>,
    /// Starts programs.
    pub(crate) spawner: Spawner,
}

/// Call it before there is a second thread. `program_oom_score`: what programs get, if not the agent's.
pub(crate) fn prepare(program_oom_score: Option<i32>) -> io::Result<Host> {
    sys::close_inherited();
    let child_signals = sys::child_signals()?;
    sys::survive_broken_pipes();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // What the agent's memory holds is nobody's: neither by core dump nor through /proc.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Children inherit it; a core dump would fill the sandbox's disk.
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let open_files = raise_open_files();
    if rustix::process::getpid().is_init() {
        // Each is a help, none a need: an image may be laid out otherwise.
        let _ = close_own_folder();
        let _ = make_home();
    } else {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    }
    let Defaults { user, folder, env } = image_defaults();
    let users = Arc::new(Users::new(user));
    let spawner = Spawner::new(Arc::clone(&users), open_files, program_oom_score)?.with_defaults(folder, env);
    Ok(Host { child_signals, users, spawner })
}

/// Raises the agent's own limit, and gives the one that programs are to have.
fn raise_open_files() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let before = limit.current.unwrap_or(u64::MAX);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let wanted = before.max(limits::OPEN_FILES.min(most));
    // Without it fewer executions fit, and each that does not is refused by itself.
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    before
}

/// What the image says, read before any program could have changed it. An image that says nothing is fine.
fn image_defaults() -> Defaults {
    let mut bytes = Vec::new();
    let file = File::open(Path::new("/").join(DEFAULTS_PATH));
    let read = file.and_then(|file| file.take(DEFAULTS_BYTES_MAX).read_to_end(&mut bytes));
    if read.is_ok() { Defaults::decode(&bytes) } else { Defaults::default() }
}

/// Nobody but the agent needs its folder; where a program's uid is that of the socket's owner on the host,
/// this is what keeps it from the socket.
fn close_own_folder() -> io::Result<()> {
    let folder = Path::new(AGENT_PATH).parent().ok_or(io::ErrorKind::NotFound)?;
    rustix::fs::chown(folder, Some(Uid::ROOT), Some(Gid::ROOT))?;
    Ok(rustix::fs::chmod(folder, Mode::RWXU)?)
}

/// The ordinary user's home, for images that have none.
fn make_home() -> io::Result<()> {
    if std::fs::symlink_metadata(user::HOME).is_ok() {
        return Ok(());
    }
    std::fs::create_dir_all(user::HOME)?;
    let (uid, gid) = (Uid::from_raw(user::ORDINARY_ID), Gid::from_raw(user::ORDINARY_ID));
    Ok(rustix::fs::chown(user::HOME, Some(uid), Some(gid))?)
}

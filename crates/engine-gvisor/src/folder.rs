//! One instance on disk.
//!
//! ```text
//! <engine folder>/         0700
//!   sbx_.../               0700  made first, removed last
//!     bundle/config.json   0600  holds the agent's token
//!     bundle/rootfs/             empty: the root is the image
//!     runsc/                     what runsc keeps of this instance
//!     guest/               0700  what the sandbox sees of the host, as `/.sentinal`
//!     guest/agent  guest/host/   empty: the agent and the socket folder are mounted there for the sandbox alone
//!     guest/layer/ guest/root/   empty: mounted over inside
//!     layer.ext4                 what the sandbox writes
//!     layer/                     empty: it is mounted there for the sandbox alone
//!     pid                        the sandbox process
//!     booted                     made last: without it the instance is partial
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use sentinal_engine::{EngineError, layer::Layer};
use sentinal_model::SandboxId;

/// Where `runsc` puts its socket when the path in its own folder would be too long for one.
const SOCKET_FOLDERS: [&str; 3] = ["/var/run", "/run", "/tmp"];

/// The folder of one instance, whether it exists or not.
#[derive(Debug, Clone)]
pub(crate) struct InstanceFolder {
    path: PathBuf,
    id: SandboxId,
}

impl InstanceFolder {
    pub(crate) fn new(engine: &Path, id: SandboxId) -> Self {
        Self { path: engine.join(id.to_string()), id }
    }

    /// Makes the folders. Nothing of it may exist.
    pub(crate) fn make(&self) -> Result<(), EngineError> {
        let guest = ["host", "layer", "root"].map(|name| self.guest().join(name));
        let folders = [self.bundle().join("rootfs"), self.runsc(), self.layer_point()];
        for folder in folders.into_iter().chain(guest) {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed("make", &folder))?;
        }
        let agent = self.guest_agent();
        File::create_new(&agent).map(drop).map_err(failed("make", &agent))
    }

    /// Writes the bundle, readable by nobody else.
    pub(crate) fn write_config(&self, config: &serde_json::Value) -> Result<(), EngineError> {
        let path = self.bundle().join("config.json");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(config.to_string().as_bytes()));
        written.map_err(failed("write", &path))
    }

    /// From now on the instance is booted.
    pub(crate) fn mark_booted(&self) -> Result<(), EngineError> {
        let path = self.path.join("booted");
        File::create(&path).map(drop).map_err(failed("make", &path))
    }

    pub(crate) fn is_booted(&self) -> bool {
        self.path.join("booted").exists()
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The sandbox process, if it was ever started.
    pub(crate) fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()
    }

    /// Removes everything. Takes milliseconds: not for an async thread.
    pub(crate) fn remove(&self) -> Result<(), EngineError> {
        for folder in SOCKET_FOLDERS {
            let socket = Path::new(folder).join(format!("runsc-{}.sock", self.id));
            gone(fs::remove_file(&socket)).map_err(failed("remove", &socket))?;
        }
        gone(fs::remove_dir_all(&self.path)).map_err(failed("remove", &self.path))
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.path.join("bundle")
    }

    pub(crate) fn runsc(&self) -> PathBuf {
        self.path.join("runsc")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.path.join("pid")
    }

    /// What the sandbox sees of the host.
    pub(crate) fn guest(&self) -> PathBuf {
        self.path.join("guest")
    }

    pub(crate) fn guest_agent(&self) -> PathBuf {
        self.guest().join("agent")
    }

    pub(crate) fn guest_sockets(&self) -> PathBuf {
        self.guest().join("host")
    }

    pub(crate) fn layer(&self) -> Layer {
        Layer::in_folder(&self.path)
    }

    /// Where it is mounted; `runsc` makes there the file behind what the sandbox writes.
    pub(crate) fn layer_point(&self) -> PathBuf {
        self.path.join("layer")
    }
}

/// Every sandbox that has a folder here.
pub(crate) fn list(engine: &Path) -> Result<Vec<SandboxId>, EngineError> {
    let entries = match fs::read_dir(engine) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed("list", engine)(source)),
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

pub(crate) fn failed(verb: &str, path: &Path) -> impl Fn(io::Error) -> EngineError {
    let what = format!("{verb} {}", path.display());
    move |source| EngineError::Io { what: what.clone(), source }
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

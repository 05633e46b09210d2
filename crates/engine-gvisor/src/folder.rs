//! One instance on disk: what `runsc` is given there.
//!
//! ```text
//!   sbx_.../               0700
//!     bundle/config.json   0600  holds the agent's token
//!     bundle/rootfs/             empty: the root is the image
//!     runsc/                     what runsc keeps of this instance
//!     guest/               0700  what the sandbox sees of the host, as `/.sentinal`
//!     guest/agent  guest/host/   empty: the agent and the socket folder are mounted there for the sandbox alone
//!     guest/layer/ guest/root/   empty: mounted over inside
//!     layer/                     empty: the layer is mounted there for the sandbox alone
//!     pid                        the sandbox process, which `runsc` writes
//! ```

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use sentinal_engine::{EngineError, host::InstanceFolder};

/// The folder of one instance, as this engine furnishes it.
#[derive(Debug, Clone)]
pub(crate) struct Furnished(pub(crate) InstanceFolder);

impl Furnished {
    /// Makes the folders. Nothing of it may exist.
    pub(crate) fn make(&self) -> Result<(), EngineError> {
        let guest = ["host", "layer", "root"].map(|name| self.guest().join(name));
        let folders = [self.bundle().join("rootfs"), self.runsc(), self.layer_point()];
        for folder in folders.into_iter().chain(guest) {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(EngineError::io("make", &folder))?;
        }
        let agent = self.guest_agent();
        File::create_new(&agent).map(drop).map_err(EngineError::io("make", &agent))
    }

    /// Writes the bundle, readable by nobody else.
    pub(crate) fn write_config(&self, config: &serde_json::Value) -> Result<(), EngineError> {
        let path = self.bundle().join("config.json");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(config.to_string().as_bytes()));
        written.map_err(EngineError::io("write", &path))
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.0.path().join("bundle")
    }

    pub(crate) fn runsc(&self) -> PathBuf {
        self.0.path().join("runsc")
    }

    /// What the sandbox sees of the host.
    pub(crate) fn guest(&self) -> PathBuf {
        self.0.path().join("guest")
    }

    pub(crate) fn guest_agent(&self) -> PathBuf {
        self.guest().join("agent")
    }

    pub(crate) fn guest_sockets(&self) -> PathBuf {
        self.guest().join("host")
    }

    /// Where it is mounted; `runsc` makes there the file behind what the sandbox writes.
    pub(crate) fn layer_point(&self) -> PathBuf {
        self.0.path().join("layer")
    }
}

//! Where one server of the tests keeps everything.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};

use crate::processes;

/// A data folder of its own, short, since the path of a Unix socket has at most 107 bytes.
#[derive(Debug, Clone)]
pub struct Place {
    data_dir: PathBuf,
    logs: PathBuf,
    /// Cgroups in which sandboxes of this place have been seen, as the last part of their parent's path.
    cgroup_parents: Arc<Mutex<BTreeSet<String>>>,
}

impl Place {
    /// A fresh folder. It is removed by the server's [`crate::Server`] guard; the logs stay in the target folder.
    pub fn fresh(name: &str) -> Result<Self> {
        let data_dir =
            tempfile::Builder::new().prefix("snt-").tempdir_in("/var/tmp").context("make a data folder")?.keep();
        Self::at(name, data_dir)
    }

    /// A folder that exists already, for example on a small disk.
    pub fn at(name: &str, data_dir: PathBuf) -> Result<Self> {
        // The server's ordinary user has to be able to get to what is its own in there.
        fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o755)).context("open the data folder")?;
        let logs = crate::binaries::target_dir().join("sentinal-tests").join(name);
        fs::create_dir_all(&logs).context("make the folder of the logs")?;
        for role in crate::Role::ALL {
            fs::write(logs.join(role.as_str()).with_extension("log"), "").context("begin a log")?;
        }
        Ok(Self { data_dir, logs, cgroup_parents: Arc::default() })
    }

    /// Looks where the sandboxes that run now have their cgroups, so that what is left there is found later, whatever
    /// its name.
    pub fn learn_cgroups(&self) {
        let dir = self.data_dir.to_string_lossy();
        let ours = processes().into_iter().filter(|process| process.names(&dir));
        let parents = ours.flat_map(|process| {
            let paths = process.cgroups.lines().filter_map(|line| line.split_once("/sbx_"));
            paths.filter_map(|(parent, _)| parent.rsplit('/').next().map(str::to_owned)).collect::<Vec<_>>()
        });
        self.cgroup_parents.lock().unwrap_or_else(PoisonError::into_inner).extend(parents);
    }

    /// What [`Self::learn_cgroups`] has seen.
    pub fn cgroup_parents(&self) -> BTreeSet<String> {
        self.cgroup_parents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The node's part of it.
    pub fn state_dir(&self) -> PathBuf {
        self.data_dir.join("node")
    }

    /// Where the node listens.
    pub fn socket(&self) -> PathBuf {
        self.state_dir().join("node.sock")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("sentinal.db")
    }

    /// The first admin key.
    pub fn admin_key(&self) -> PathBuf {
        self.data_dir.join("admin.key")
    }

    /// What a role has said on standard error.
    pub fn log(&self, role: crate::Role) -> PathBuf {
        self.logs.join(role.as_str()).with_extension("log")
    }

    /// The end of both logs, for a failure's message.
    pub fn log_tails(&self) -> String {
        let tail = |role: crate::Role| {
            let text = fs::read_to_string(self.log(role)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(25)..].join("\n");
            format!("--- {}\n{last}", self.log(role).display())
        };
        crate::Role::ALL.map(tail).join("\n")
    }
}

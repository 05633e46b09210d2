//! What the launcher is told: everything is decided by the node.

use std::{
    fmt,
    io::{self, Read},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::{LaunchError, Step};

/// Largest plan: an environment of a few variables and a handful of paths.
const PLAN_BYTES_MAX: u64 = 64 * 1024;

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Task {
    /// Launch a sandbox.
    Launch(Plan),
    /// Have a program do something with files that are a sandbox's users'.
    Run(Chore),
}

/// A program of the host that works as root of these users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chore {
    /// Whose root it is.
    pub users: Users,
    /// Where it works; root of those users must be allowed to write there.
    pub folder: PathBuf,
    /// What is its standard input, if not nothing.
    pub input: Option<PathBuf>,
    /// A name to be found in `PATH`.
    pub program: String,
    /// What it is told.
    pub arguments: Vec<String>,
}

/// One sandbox. All paths are on the host.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The files into which a process writes `0` to enter the sandbox's cgroup.
    pub cgroup: Vec<PathBuf>,
    /// Where it is written down which process is the sandbox's init, before it begins: see [`crate::Started`].
    pub pid_file: PathBuf,
    /// What the launcher may do on the host, and with what.
    pub ground: Ground,
    /// What the sandbox calls itself.
    pub hostname: String,
    /// The program that becomes init.
    pub agent: PathBuf,
    /// What init is told beyond its name.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// The folder with the socket that it dials.
    pub socket_folder: Option<PathBuf>,
    /// Size of `/dev/shm`.
    pub shm_bytes: u64,
    /// Processes of one user.
    pub processes_max: u64,
    /// Open files of a program.
    pub open_files_max: u64,
    /// Open files of the agent.
    pub agent_open_files_max: u64,
    /// Whether to wait for the end of init, which must be a success.
    pub to_its_end: bool,
}

/// What a sandbox stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ground {
    /// The launcher is root on the host.
    Root {
        /// The host's number of root inside; [`Plan::USERS`] follow each other from there, and are nobody else's.
        first_id: u32,
        /// The block device that holds the image, an EROFS file system.
        image: PathBuf,
        /// The file that holds the sandbox's layer, an ext4 file system.
        layer: PathBuf,
    },
    /// The launcher is an ordinary user.
    Unprivileged {
        /// Who is who on the host.
        users: Users,
        /// The folder that holds the image, unpacked.
        image: PathBuf,
        /// Size of the sandbox's layer, which is memory.
        layer_bytes: u64,
        /// Memory that one process may have to itself; nothing bounds that of all.
        memory_bytes: u64,
    },
}

/// Users of a sandbox that an ordinary user makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Users {
    /// One: the agent and all programs are the launcher's own user, and have no root among them.
    One,
    /// [`Plan::USERS`] from the range that the host has given to the launcher's user.
    Range {
        /// The host's number of root inside.
        first_uid: u32,
        /// The host's number of root's group inside.
        first_gid: u32,
    },
}

impl Users {
    /// The number of the only user inside, and of its group.
    pub const ONLY: u32 = 1000;
}

impl Plan {
    /// How many users a sandbox has.
    pub const USERS: u32 = 65_536;
}

impl Task {
    pub(crate) fn read(input: impl Read) -> Result<Self, LaunchError> {
        let mut text = Vec::new();
        let read = input.take(PLAN_BYTES_MAX).read_to_end(&mut text);
        let task = read.and_then(|_| serde_json::from_slice(&text).map_err(io::Error::from));
        task.map_err(|error| LaunchError::new(Step::Plan, "understand the plan", error))
    }
}

/// Without the environment, which holds the agent's token.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("pid_file", &self.pid_file).field("ground", &self.ground).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            cgroup: vec!["/sys/fs/cgroup/x/cgroup.procs".into()],
            pid_file: "/x/pid".into(),
            ground: Ground::Root { first_id: 524_288, image: "/dev/loop0".into(), layer: "/x/layer.ext4".into() },
            hostname: "sbx-1".to_owned(),
            agent: "/usr/lib/agent".into(),
            arguments: Vec::new(),
            environment: vec![("TOKEN".to_owned(), "secret".to_owned())],
            socket_folder: None,
            shm_bytes: 1,
            processes_max: 1,
            open_files_max: 1,
            agent_open_files_max: 1,
            to_its_end: false,
        }
    }

    #[test]
    fn a_plan_arrives_as_it_was_written() {
        let task = Task::Launch(plan());
        let text = serde_json::to_vec(&task).unwrap();
        assert_eq!(Task::read(text.as_slice()).unwrap(), task);
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        let text = serde_json::to_string(&Task::Launch(plan())).unwrap();
        for wrong in ["", "{}", &text.replace("hostname", "host"), &text[..text.len() - 1]] {
            assert_eq!(Task::read(wrong.as_bytes()).unwrap_err().step(), Some(Step::Plan), "{wrong}");
        }
    }

    #[test]
    fn the_token_is_not_printed() {
        assert!(!format!("{:?}", plan()).contains("secret"));
    }
}

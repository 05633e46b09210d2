//! The OCI bundle of one instance. Pure.

use std::path::Path;

use sentinal_model::{
    Disk, Memory,
    limits::{OPEN_FILES_MAX, PROCESSES_MAX},
};
use serde_json::{Value, json};

/// What the agent may do as root inside, and no program it starts as another user. Not `CAP_SYS_RESOURCE`: its
/// holders are exempt from the process limit.
const CAPABILITIES: [&str; 12] = [
    "CAP_CHOWN",            // uploaded files get their owner
    "CAP_DAC_OVERRIDE",     // files of any owner are read and written
    "CAP_FOWNER",           // and their mode set
    "CAP_FSETID",           // with set-group-id folders kept so
    "CAP_KILL",             // executions of any user are signalled
    "CAP_NET_BIND_SERVICE", // root's programs may listen below port 1024
    "CAP_SETGID",           // executions get their group
    "CAP_SETUID",           // and their user
    "CAP_SETPCAP",          // and lose every capability for good
    "CAP_SYS_CHROOT",       // root's programs may change their root, as package managers do
    "CAP_MKNOD",            // and unpack archives with device files
    "CAP_SYS_ADMIN",        // the agent lays the layer over the root, then gives this up for good
];

/// Of the host, around what gVisor isolates by itself.
const NAMESPACES: [&str; 5] = ["pid", "network", "ipc", "uts", "mount"];
/// Where the layer is until the agent has laid it over the root, and what it is told so by.
const LAYER_PATH: &str = "/.sentinal/layer";
const ENV_LAYER: &str = "SENTINAL_LAYER";
/// Open files of the agent itself, which holds several for each execution; its programs get fewer.
const AGENT_OPEN_FILES_MAX: u64 = 65_536;
/// `/dev/shm` is memory: it may take this share of the sandbox's.
const SHM_SHARE_OF_MEMORY: u64 = 4;
/// The kernel's choice under memory pressure falls on sandboxes before it falls on what runs them; and within a sandbox
/// on gVisor's kernel, before it falls on one of the processes behind the programs inside, which have no such score. One
/// of those alone would look like a program that exited by itself, in a sandbox that lives on.
const OOM_SCORE: i32 = 1000;

/// What differs between instances.
#[derive(Debug)]
pub(crate) struct Bundle<'a> {
    pub(crate) root: Root<'a>,
    pub(crate) hostname: &'a str,
    pub(crate) init: &'a [&'a str],
    pub(crate) env: &'a [(String, String)],
    /// What it sees of the host: the agent and the folder of its socket, as `/.sentinal`.
    pub(crate) guest: &'a Path,
    pub(crate) memory: Memory,
}

/// What the sandbox sees as `/`.
#[derive(Debug)]
pub(crate) enum Root<'a> {
    /// An image, and the host's folder that holds the file behind what is written. gVisor would lay a layer over
    /// the root by itself, but one without a size. So the layer is a tmpfs of its own, in that file, of a size
    /// that it counts by itself, and the agent lays it over the root.
    Image { image: &'a Path, data: &'a Path, disk: Disk },
    /// Nothing, read-write.
    Empty,
}

impl Bundle<'_> {
    pub(crate) fn config(&self) -> Value {
        let is_image = matches!(self.root, Root::Image { .. });
        json!({
            "ociVersion": "1.0.2",
            "annotations": self.annotations(),
            "hostname": self.hostname,
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "args": self.init,
                "env": self.environment(),
                "cwd": "/",
                "noNewPrivileges": true,
                "capabilities": { "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES },
                "rlimits": [
                    { "type": "RLIMIT_NOFILE", "soft": OPEN_FILES_MAX, "hard": AGENT_OPEN_FILES_MAX },
                    { "type": "RLIMIT_NPROC", "soft": PROCESSES_MAX, "hard": PROCESSES_MAX },
                    { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
                ],
                "oomScoreAdj": OOM_SCORE,
            },
            "root": { "path": "rootfs", "readonly": is_image },
            "mounts": self.mounts(),
            "linux": { "namespaces": NAMESPACES.map(|kind| json!({ "type": kind })) },
        })
    }

    fn environment(&self) -> Vec<String> {
        let mut environment = vec![format!("PATH={}", sentinal_engine::child::PATH)];
        if let Root::Image { .. } = self.root {
            environment.push(format!("{ENV_LAYER}={LAYER_PATH}"));
        }
        environment.extend(self.env.iter().map(|(name, value)| format!("{name}={value}")));
        environment
    }

    fn annotations(&self) -> Value {
        let Root::Image { image, data, disk } = self.root else { return json!({}) };
        json!({
            "dev.gvisor.spec.rootfs.source": image,
            "dev.gvisor.spec.rootfs.type": "erofs",
            "dev.gvisor.spec.mount.layer.source": data,
            "dev.gvisor.spec.mount.layer.type": "tmpfs",
            "dev.gvisor.spec.mount.layer.share": "container",
            "dev.gvisor.spec.mount.layer.options": format!("rw,size={}", disk.bytes()),
        })
    }

    fn mounts(&self) -> Vec<Value> {
        let shm_size = format!("size={}", self.memory.bytes() / SHM_SHARE_OF_MEMORY);
        let mut mounts = vec![
            json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
            json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs" }),
            json!({ "destination": "/dev/shm", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777", shm_size] }),
            json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"] }),
            // Closed to everybody but root: host uids are not mapped, so the socket's owner may be a user inside.
            // One mount for all: each costs a boot 8 ms.
            json!({ "destination": "/.sentinal", "type": "bind", "source": self.guest, "options": ["rbind", "ro"] }),
        ];
        if let Root::Image { data, .. } = self.root {
            mounts
                .push(json!({ "destination": LAYER_PATH, "type": "bind", "source": data, "options": ["bind", "rw"] }));
        }
        mounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(root: Root<'_>, name: &str) {
        let bundle = Bundle {
            root,
            hostname: "sbx-2b4c5e6f70",
            init: &["/.sentinal/agent"],
            env: &[("SENTINAL_EPOCH".to_owned(), "1".to_owned())],
            guest: Path::new("/x/guest"),
            memory: Memory::MIN,
        };
        insta::assert_json_snapshot!(name, bundle.config());
    }

    #[test]
    fn a_sandbox_writes_to_its_layer_only() {
        let (image, data) = (Path::new("/images/a.erofs"), Path::new("/x/data"));
        check(Root::Image { image, data, disk: Disk::MIN }, "image");
    }

    #[test]
    fn a_root_can_be_empty() {
        check(Root::Empty, "empty");
    }
}

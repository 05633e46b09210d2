//! The peers on the host's own kernel: `bwrap` and `runc`, on the same image, mounted for them.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{
    bare::{Ran, between, succeed},
    options::Options,
};

const NAMESPACES: [&str; 6] = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
const ENVIRONMENT: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The mounted image and the containers of `runc` on it. Both end when it is dropped.
#[derive(Debug)]
pub(crate) struct SharedKernel {
    root: PathBuf,
    bundles: PathBuf,
    state: PathBuf,
}

impl SharedKernel {
    /// Mounts the image.
    pub(crate) fn new(options: &Options, scratch: &Path) -> Result<Self> {
        let [root, bundles, state] = ["root", "bundles", "runc"].map(|name| scratch.join(name));
        for folder in [&root, &bundles] {
            fs::create_dir(folder).context("make a folder for the peers")?;
        }
        let mut mount = Command::new("mount");
        mount.args(["-t", "erofs", "-o", "ro,loop"]).arg(options.image()?).arg(&root);
        succeed(mount)?;
        Ok(Self { root, bundles, state })
    }

    /// Runs a program under `bwrap`, with every namespace that it has.
    pub(crate) fn bwrap(&self, program: &[&str]) -> Result<Ran> {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-all", "--die-with-parent", "--uid", "1000", "--gid", "1000", "--ro-bind"]);
        command.arg(&self.root).args(["/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--clearenv"]);
        command.args(["--setenv", "PATH", "/usr/bin:/bin", "--"]).args(program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn().context("start bwrap")?;
        let mut output = child.stdout.take().context("the output is piped")?;
        // The end of the output, for a program that prints nothing.
        let _ = output.read(&mut [0])?;
        let first_output = start.elapsed();
        let status = child.wait()?;
        ensure!(status.success(), "bwrap: {status}");
        Ok(Ran { first_output, end: start.elapsed() })
    }

    /// Starts a program in a container of `runc` that stays.
    pub(crate) fn start(&self, name: &str, program: &[&str]) -> Result<()> {
        let bundle = self.bundles.join(name);
        fs::create_dir(&bundle).context("make a bundle")?;
        fs::write(bundle.join("config.json"), self.config(program).to_string()).context("write a bundle")?;
        let mut command = self.runc(&["run", "--detach", "--bundle"]);
        command.arg(&bundle).arg(name);
        succeed(command)
    }

    /// Runs a program in a container that is there.
    pub(crate) fn exec(&self, name: &str, program: &[&str]) -> Result<Duration> {
        let mut command = self.runc(&["exec", "--user", "1000:1000", name]);
        command.args(program);
        let start = Instant::now();
        succeed(command)?;
        Ok(start.elapsed())
    }

    /// The same with something to read and somewhere to write to.
    pub(crate) fn exec_between(&self, name: &str, program: &[&str], files: [File; 2]) -> Result<Duration> {
        let mut command = self.runc(&["exec", "--user", "1000:1000", name]);
        command.args(program);
        between(command, files)
    }

    /// Ends a container.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        succeed(self.runc(&["delete", "--force", name]))?;
        fs::remove_dir_all(self.bundles.join(name)).context("remove a bundle")
    }

    fn runc(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(&self.state).args(arguments);
        command
    }

    fn config(&self, program: &[&str]) -> serde_json::Value {
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 1000, "gid": 1000 },
                "args": program,
                "env": [ENVIRONMENT],
                "cwd": "/",
                "noNewPrivileges": true,
            },
            "root": { "path": self.root, "readonly": true },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
                { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" },
            ],
            "linux": { "namespaces": NAMESPACES.map(|kind| json!({ "type": kind })) },
        })
    }
}

impl Drop for SharedKernel {
    fn drop(&mut self) {
        for bundle in fs::read_dir(&self.bundles).into_iter().flatten().flatten() {
            let _ = self.remove(&bundle.file_name().to_string_lossy());
        }
        let mut unmount = Command::new("umount");
        unmount.arg("--lazy").arg(&self.root);
        let _ = succeed(unmount);
    }
}

//! The peer: `runsc` alone, on the same image and with the flags that the gvisor engine uses, as far as they make sense
//! without a server.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::options::Options;

/// Bare sandboxes in a folder of their own. They end when it is dropped.
#[derive(Debug)]
pub(crate) struct Bare {
    image: PathBuf,
    bundles: PathBuf,
    state: PathBuf,
}

/// What of the host a bare sandbox sees besides its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// Nothing: then runsc keeps no process that serves files.
    Nothing,
    /// One folder, empty: then it keeps one, as for any container with a file or socket from outside.
    Folder,
}

/// How long a program took from the start of its sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    /// Until its first byte could be read.
    pub(crate) first_output: Duration,
    /// Until the sandbox was gone.
    pub(crate) end: Duration,
}

/// What `runsc` says about itself.
pub(crate) fn version() -> Result<String> {
    let output = Command::new("runsc").arg("--version").output().context("start runsc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(2).context("runsc says its version")?;
    Ok(if version == "VERSION_MISSING" { debian_version() } else { format!("runsc {version}") })
}

impl Bare {
    /// None yet.
    pub(crate) fn new(options: &Options, scratch: &Path) -> Result<Self> {
        let (bundles, state) = (scratch.join("bare"), scratch.join("runsc"));
        fs::create_dir(&bundles).context("make a folder for the bare sandboxes")?;
        Ok(Self { image: options.image()?, bundles, state })
    }

    /// Runs a program in a sandbox of its own, to the end of both.
    pub(crate) fn run(&self, name: &str, program: &[&str]) -> Result<Ran> {
        let bundle = self.bundle(name, program, Host::Nothing)?;
        let mut command = self.runsc(&["run", "--bundle"]);
        command.arg(&bundle).arg(name).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn().context("start runsc run")?;
        let mut output = child.stdout.take().context("the output is piped")?;
        // The end of the output, for a program that prints nothing.
        let _ = output.read(&mut [0])?;
        let first_output = start.elapsed();
        let status = child.wait()?;
        let end = start.elapsed();
        ensure!(status.success(), "runsc run: {status}");
        fs::remove_dir_all(bundle)?;
        Ok(Ran { first_output, end })
    }

    /// Starts a program in a sandbox that stays.
    pub(crate) fn start(&self, name: &str, program: &[&str], host: Host) -> Result<()> {
        let bundle = self.bundle(name, program, host)?;
        let mut command = self.runsc(&["run", "--detach", "--bundle"]);
        command.arg(&bundle).arg(name);
        succeed(command)
    }

    /// Runs a program in a sandbox that is there.
    pub(crate) fn exec(&self, name: &str, program: &[&str]) -> Result<Duration> {
        let mut command = self.runsc(&["exec", "--user", "1000:1000", name]);
        command.args(program);
        let start = Instant::now();
        succeed(command)?;
        Ok(start.elapsed())
    }

    /// The same with something to read and somewhere to write to.
    pub(crate) fn exec_between(&self, name: &str, program: &[&str], files: [File; 2]) -> Result<Duration> {
        let mut command = self.runsc(&["exec", "--user", "1000:1000", name]);
        command.args(program);
        between(command, files)
    }

    /// Ends a sandbox.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        succeed(self.runsc(&["delete", "--force", name]))?;
        fs::remove_dir_all(self.bundles.join(name)).context("remove a bundle")
    }

    fn runsc(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("runsc");
        command.arg("--root").arg(&self.state).args(["--platform=systrap", "--network=none", "--ignore-cgroups"]);
        command.args(arguments);
        command
    }

    fn bundle(&self, name: &str, program: &[&str], host: Host) -> Result<PathBuf> {
        let bundle = self.bundles.join(name);
        for folder in ["rootfs", "layer", "host"] {
            fs::create_dir_all(bundle.join(folder)).context("make a bundle")?;
        }
        let mut mounts = vec![
            json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
            json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs" }),
            json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"] }),
        ];
        if host == Host::Folder {
            let source = bundle.join("host");
            mounts.push(json!({ "destination": "/mnt", "type": "bind", "source": source, "options": ["bind", "ro"] }));
        }
        let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
        let config = json!({
            "ociVersion": "1.0.2",
            "annotations": {
                "dev.gvisor.spec.rootfs.source": self.image,
                "dev.gvisor.spec.rootfs.type": "erofs",
                "dev.gvisor.spec.rootfs.overlay": format!("dir={}", bundle.join("layer").display()),
            },
            "process": {
                "user": { "uid": 1000, "gid": 1000 },
                "args": program,
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "cwd": "/",
                "noNewPrivileges": true,
            },
            "root": { "path": "rootfs", "readonly": false },
            "mounts": mounts,
            "linux": { "namespaces": namespaces },
        });
        fs::write(bundle.join("config.json"), config.to_string()).context("write a bundle's configuration")?;
        Ok(bundle)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for bundle in fs::read_dir(&self.bundles).into_iter().flatten().flatten() {
            let _ = self.remove(&bundle.file_name().to_string_lossy());
        }
    }
}

/// Reads from the first and writes to the second; answers how long it took.
pub(crate) fn between(mut command: Command, [from, to]: [File; 2]) -> Result<Duration> {
    let start = Instant::now();
    let status = command.stdin(from).stdout(to).stderr(Stdio::null()).status().context("start a peer")?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(start.elapsed())
}

/// Without pipes: whatever stays behind would hold them open.
pub(crate) fn succeed(mut command: Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.context("start runsc")?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

fn debian_version() -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", "runsc"]).output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    format!("runsc {version}")
}

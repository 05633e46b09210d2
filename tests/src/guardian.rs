//! Leaves nothing behind, however the test ends.
//!
//! A shell waits on a pipe for the end of the test, panic and SIGKILL included, and then removes all that belongs
//! to the test's data folder. It gets the folder by its environment: whoever has it in its arguments is removed.

use std::{
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context, Result};

/// Cleans up when it is dropped, or when this process ends without dropping it.
#[derive(Debug)]
pub(crate) struct Guardian {
    pipe: Option<ChildStdin>,
    shell: Child,
}

impl Guardian {
    pub(crate) fn of(data_dir: &Path) -> Result<Self> {
        let mut shell = Command::new("setsid")
            .args(["bash", "-c", include_str!("guardian.sh")])
            .env("DATA_DIR", data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start the guardian")?;
        Ok(Self { pipe: shell.stdin.take(), shell })
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::Duration};

    use super::*;
    use crate::{Leaks, Missing, Place, poll::soon, skipped};

    const ID: &str = "sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70";

    fn run(program: &str, args: &[&str]) {
        assert!(Command::new(program).args(args).status().unwrap().success(), "{program} {args:?}");
    }

    #[test]
    fn every_kind_of_leftover_is_found_and_removed() {
        if !rustix::process::geteuid().is_root() {
            return skipped("the detector of leftovers", Missing::Root);
        }
        let place = Place::fresh("guardian").unwrap();
        let guardian = Guardian::of(place.data_dir()).unwrap();
        let folder = place.state_dir().join(ID);
        let text = folder.to_str().unwrap();
        fs::create_dir_all(folder.join("mount")).unwrap();
        run("mount", &["-t", "tmpfs", "sentinal-tests", &format!("{text}/mount")]);
        fs::write(folder.join("disk"), vec![0; 1 << 20]).unwrap();
        run("losetup", &["--find", &format!("{text}/disk")]);
        let cgroup =
            ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].map(PathBuf::from).into_iter().find(|root| root.is_dir());
        fs::create_dir(cgroup.unwrap().join(ID)).unwrap();
        let mut process =
            Command::new("tail").args(["-f", &format!("{text}/disk")]).stdout(Stdio::null()).spawn().unwrap();
        // The process carries the name only after its exec.
        let all_found = soon("every kind of leftover", Duration::from_secs(20), || {
            let found = Leaks::of_sandbox(&place, ID).none().unwrap_err().to_string();
            for kind in ["process ", "cgroup ", "mount ", "loop device ", "file "] {
                anyhow::ensure!(found.contains(kind), "{kind}is not in {found}");
            }
            Ok(())
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(all_found).unwrap();
        drop(guardian);
        let _ = process.wait();
        Leaks::of_sandbox(&place, ID).none().unwrap();
        assert!(!place.data_dir().exists());
    }
}

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

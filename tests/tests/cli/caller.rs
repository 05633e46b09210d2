//! The command line as somebody at a shell has it: with a home of their own and a server in the environment.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sentinal_tests::{Binaries, Server};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

/// No command here takes longer, unless it hangs.
const DEADLINE: Duration = Duration::from_mins(2);

/// Somebody at a shell, in a folder of their own.
pub(crate) struct Caller {
    folder: tempfile::TempDir,
    address: String,
    key: String,
    sentinal: &'static Path,
}

/// What a command has said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Caller {
    pub(crate) async fn of(server: &Server) -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            address: format!("http://{}", server.address()),
            key: std::fs::read_to_string(server.place().admin_key()).context("read the admin key")?.trim().to_owned(),
            sentinal: &Binaries::find().await?.sentinal,
        })
    }

    /// The same who reaches the server at another address.
    pub(crate) fn by_way_of(self, address: std::net::SocketAddr) -> Self {
        Self { address: format!("http://{address}"), ..self }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `sentinal` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.sentinal);
        command.args(arguments);
        self.at_home(&mut command);
        command
    }

    /// A line of the shell, in which `sentinal` is known.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", line]);
        self.at_home(&mut command);
        let folders = [self.sentinal.parent().unwrap_or_else(|| Path::new("/")).display().to_string()];
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", folders.into_iter().chain([path]).collect::<Vec<_>>().join(":"));
        command
    }

    fn at_home(&self, command: &mut Command) {
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).env_remove("XDG_CONFIG_HOME");
        command.env("SENTINAL_URL", &self.address).env("SENTINAL_API_KEY", &self.key).env_remove("SENTINAL_CONTEXT");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    }

    /// Runs it to its end.
    pub(crate) async fn says(&self, arguments: &[&str]) -> Result<Said> {
        ended(self.command(arguments)).await.with_context(|| format!("sentinal {arguments:?}"))
    }

    /// The same with this on its standard input.
    pub(crate) async fn says_to(&self, arguments: &[&str], stdin: Vec<u8>) -> Result<Said> {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn()?;
        let mut pipe = child.stdin.take().context("a pipe")?;
        let writing = tokio::spawn(async move { pipe.write_all(&stdin).await });
        let output = timeout(DEADLINE, child.wait_with_output()).await.context("it hangs")??;
        writing.await??;
        Ok(output.into())
    }

    /// Standard output of a command that succeeds, without the last end of a line.
    pub(crate) async fn gets(&self, arguments: &[&str]) -> Result<String> {
        let said = self.says(arguments).await?;
        ensure!(said.status == 0, "sentinal {arguments:?}: {said:?}");
        Ok(said.text().trim_end().to_owned())
    }
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let status = output.status.code().unwrap_or(-1);
        Self { status, stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

/// Runs a command to its end.
pub(crate) async fn ended(mut command: Command) -> Result<Said> {
    Ok(timeout(DEADLINE, command.output()).await.context("it hangs")??.into())
}

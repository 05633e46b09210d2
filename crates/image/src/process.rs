//! Child processes with a deadline: run, listen to what they say, and never leave one behind.

use std::{io, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    ImageError,
    limits::{STDERR_TAIL_BYTES, STDOUT_BYTES_MAX},
};

/// A program that a build needs, and the Debian package to get it from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

/// Does not speak.
pub(crate) fn quiet(_line: &str) {}

impl Tool {
    /// The program, with messages in English and nothing on its standard input.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new(self.name);
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        command
    }

    /// Runs `command` to its end and answers its standard output. `heard` gets each line of standard error.
    /// On the deadline, or when the future is dropped, the child and its children are killed.
    pub(crate) async fn run(
        self,
        mut command: Command,
        deadline: Duration,
        heard: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Vec<u8>, ImageError> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| self.not_started(error))?;
        let group = Group::of(&child);
        let mut tail = Tail::default();
        let ended = timeout(deadline, self.listen(&mut child, &mut tail, heard)).await;
        let Ok(ended) = ended else {
            return Err(ImageError::ToolDeadline { tool: self.name, after: deadline, stderr_tail: tail.text() });
        };
        let (status, stdout) = ended.map_err(ImageError::io("run", self.name))?;
        group.ended();
        if !status.success() {
            let status = status.to_string();
            return Err(ImageError::ToolFailed { tool: self.name, status, stderr_tail: tail.text() });
        }
        Ok(stdout)
    }

    async fn listen(
        self,
        child: &mut Child,
        tail: &mut Tail,
        heard: &mut (dyn FnMut(&str) + Send),
    ) -> io::Result<(std::process::ExitStatus, Vec<u8>)> {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read_all = async {
            let mut all = Vec::new();
            if let Some(stdout) = stdout {
                stdout.take(STDOUT_BYTES_MAX).read_to_end(&mut all).await?;
            }
            io::Result::Ok(all)
        };
        let listen = async {
            match stderr {
                Some(stderr) => tail.listen(stderr, heard).await,
                None => Ok(()),
            }
        };
        let (stdout, ()) = tokio::try_join!(read_all, listen)?;
        Ok((child.wait().await?, stdout))
    }

    fn not_started(self, error: io::Error) -> ImageError {
        if error.kind() == io::ErrorKind::NotFound {
            return ImageError::MissingTool { tool: self.name, package: self.package };
        }
        ImageError::io("start", self.name)(error)
    }
}

/// The child's process group, killed when dropped before the child was waited for. (After that the number may
/// belong to somebody else.)
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let killed = self.0.map(|group| kill_process_group(group, Signal::KILL));
        if let Some(Err(error)) = killed {
            tracing::warn!(%error, "children of a build tool could not be killed");
        }
    }
}

/// The last bytes of a stream.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    async fn listen(
        &mut self,
        mut stream: impl AsyncRead + Unpin,
        heard: &mut (dyn FnMut(&str) + Send),
    ) -> io::Result<()> {
        let mut chunk = [0; 1024];
        let mut line = Vec::new();
        loop {
            let read = stream.read(&mut chunk).await?;
            if read == 0 {
                return Ok(());
            }
            self.push(&chunk[..read]);
            for byte in &chunk[..read] {
                if *byte == b'\n' {
                    heard(&String::from_utf8_lossy(&line));
                    line.clear();
                } else if line.len() < STDERR_TAIL_BYTES {
                    line.push(*byte);
                }
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(STDERR_TAIL_BYTES);
        self.0.drain(..surplus);
    }

    /// Printable: what a tool quotes may hold control characters that a terminal would obey.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        text.trim().chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SH: Tool = Tool { name: "sh", package: "dash" };

    fn run(script: &str, deadline_ms: u64) -> (Result<Vec<u8>, ImageError>, Vec<String>) {
        let mut lines = Vec::new();
        let mut command = SH.command();
        command.args(["-c", script]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut heard = |line: &str| lines.push(line.to_owned());
        let result = runtime.block_on(SH.run(command, Duration::from_millis(deadline_ms), &mut heard));
        (result, lines)
    }

    #[test]
    fn output_is_answered_and_lines_are_heard() {
        let (result, lines) = run("echo out; echo one >&2; echo two >&2", 10_000);
        assert_eq!(result.unwrap(), b"out\n");
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn a_failure_carries_the_end_of_standard_error_and_no_more() {
        let (result, _) =
            run("head -c 100000 /dev/zero | tr '\\0' x >&2; echo; printf '\\033[31mlast' >&2; exit 3", 10_000);
        let error = result.unwrap_err();
        let detail = error.detail().unwrap();
        assert!(detail.ends_with("?[31mlast") && detail.len() <= STDERR_TAIL_BYTES, "{detail}");
        assert_eq!(error.to_string(), "sh failed (exit status: 3)");
    }

    #[test]
    fn a_child_and_its_children_end_at_the_deadline() {
        let mark = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 60 & echo $! > {}; wait", mark.path().display());
        let (result, _) = run(&script, 300);
        assert!(matches!(result, Err(ImageError::ToolDeadline { .. })), "{result:?}");
        let grandchild = std::fs::read_to_string(mark.path()).unwrap();
        let ended = || {
            let status = std::fs::read_to_string(format!("/proc/{}/stat", grandchild.trim())).unwrap_or_default();
            status.is_empty() || status.contains(") Z ")
        };
        // The kill is sent; the kernel may take a moment to carry it out.
        let mut looks = 0;
        while !ended() && looks < 1_000_000 {
            std::thread::yield_now();
            looks += 1;
        }
        assert!(ended(), "process {grandchild}");
    }

    #[test]
    fn a_missing_tool_names_its_package() {
        let missing = Tool { name: "no-such-tool", package: "a-package" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(missing.run(missing.command(), Duration::from_secs(1), &mut quiet));
        assert_eq!(
            result.unwrap_err().to_string(),
            "no-such-tool is not installed; on Debian: apt-get install a-package"
        );
    }
}

//! Child processes: every one has a deadline, and what it says is bounded and cleaned.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    process::Command,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::EngineError;

/// How much of a child's output is kept: the end of it, where the reason is.
const SAID_BYTES_MAX: usize = 2048;
/// Read and kept at once from a pipe.
const CHUNK_BYTES: usize = 4096;
/// How long a killed child may take to be gone; longer only when the kernel holds it.
const KILLED_DEADLINE: Duration = Duration::from_secs(5);
/// Where programs are looked for, whatever the caller's environment says.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program about to be started.
#[derive(Debug)]
pub struct Child {
    name: String,
    command: Command,
    deadline: Duration,
    until: Until,
    input: Vec<u8>,
}

/// Until when a child's words are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Nobody can say more.
    Closed,
    /// The child has ended, whoever else still holds its streams.
    Ended,
}

impl Child {
    /// `program` with an empty environment but for `PATH`, and nothing to read.
    pub fn new(program: impl AsRef<Path>, deadline: Duration) -> Self {
        let program = program.as_ref();
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.env_clear().env("PATH", PATH).current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
        Self { name, command, deadline, until: Until::Closed, input: Vec::new() }
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(mut self, args: I) -> Self {
        self.command.args(args);
        self
    }

    /// The name used in errors.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// What it can read.
    #[must_use]
    pub fn input(mut self, bytes: Vec<u8>) -> Self {
        self.command.stdin(Stdio::piped());
        self.input = bytes;
        self
    }

    /// For a child whose descendants keep its streams and live on: it is over when it has ended itself. What they
    /// say afterwards meets a closed pipe.
    #[must_use]
    pub fn with_lasting_descendants(mut self) -> Self {
        self.until = Until::Ended;
        self
    }

    /// Runs it to its end and answers the end of its standard output. At the deadline and when `stop` is
    /// cancelled it is killed, and this returns only when it is gone: what comes after never races it.
    pub async fn finish(mut self, stop: &CancellationToken) -> Result<String, EngineError> {
        let failed = |what: &str, source| EngineError::Io { what: format!("{what} {}", self.name), source };
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|source| failed("start", source))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let over = CancellationToken::new();
        let ended = async {
            let status = child.wait().await;
            if self.until == Until::Ended {
                over.cancel();
            }
            status
        };
        let said = async { tokio::join!(tail(stdout, &over), tail(stderr, &over), feed(stdin, &self.input)) };
        let ended = tokio::select! {
            ended = async { tokio::join!(ended, said) } => Some(ended),
            () = sleep(self.deadline) => None,
            () = stop.cancelled() => None,
        };
        let Some((status, (stdout, stderr, ()))) = ended else {
            // Not an error: it may have ended this instant.
            let _ = child.start_kill();
            let _ = timeout(KILLED_DEADLINE, child.wait()).await;
            return Err(EngineError::Deadline { what: self.name, deadline: self.deadline });
        };
        let status = status.map_err(|source| failed("wait for", source))?;
        if status.success() {
            return Ok(clean(&stdout));
        }
        Err(EngineError::Child { program: self.name, status: ended_with(status), stderr: clean(&stderr) })
    }
}

fn ended_with(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".to_owned(),
    }
}

/// A child that does not read says by its end what was wrong.
async fn feed(stream: Option<impl AsyncWrite + Unpin>, bytes: &[u8]) {
    if let Some(mut stream) = stream {
        let _ = stream.write_all(bytes).await;
    }
}

/// Reads to the end, or what is there when it is over, and keeps the last bytes.
async fn tail(stream: Option<impl AsyncRead + Unpin>, over: &CancellationToken) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = tokio::select! {
            // What is there comes before the end of waiting for more.
            biased;
            read = stream.read(&mut chunk) => read,
            () = over.cancelled() => return kept,
        };
        let Ok(length @ 1..) = read else { return kept };
        kept.extend_from_slice(&chunk[..length]);
        kept.drain(..kept.len().saturating_sub(SAID_BYTES_MAX));
    }
}

/// One line, and nothing in it that a terminal or a log would obey.
pub fn clean(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(script: &str, deadline: Duration) -> Result<String, EngineError> {
        Child::new("/bin/sh", deadline).args(["-c", script]).finish(&CancellationToken::new()).await
    }

    #[tokio::test]
    async fn a_child_answers_what_it_said() {
        assert_eq!(check("echo a; echo b", Duration::from_secs(10)).await.unwrap(), "a b");
    }

    #[tokio::test]
    async fn a_child_reads_what_it_is_given() {
        let cat = Child::new("/bin/cat", Duration::from_secs(10)).input(vec![b'x'; 1 << 20]);
        assert_eq!(cat.finish(&CancellationToken::new()).await.unwrap().len(), SAID_BYTES_MAX);
        let deaf = Child::new("/bin/true", Duration::from_secs(10)).input(vec![b'x'; 1 << 20]);
        deaf.finish(&CancellationToken::new()).await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_carries_the_end_of_its_words_without_control_characters() {
        let error =
            check("yes x | head -c 100000 >&2; printf '\\033[2Jend\\n' >&2; exit 3", Duration::from_secs(10)).await;
        let EngineError::Child { program, status, stderr } = error.unwrap_err() else { panic!("another error") };
        assert_eq!((program.as_str(), status.as_str()), ("sh", "exit status 3"));
        assert!(stderr.ends_with("[2Jend") && stderr.len() <= SAID_BYTES_MAX, "{stderr}");
    }

    #[tokio::test]
    async fn a_hanging_child_is_killed_at_its_deadline() {
        let error = check("sleep 1000", Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, EngineError::Deadline { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_stopped_child_is_killed() {
        let stop = CancellationToken::new();
        stop.cancel();
        let child = Child::new("/bin/sleep", Duration::from_secs(1000)).args(["1000"]);
        assert!(child.finish(&stop).await.is_err());
    }

    #[tokio::test]
    async fn a_child_is_over_when_it_ended_though_a_descendant_keeps_its_streams() {
        let child = |script| {
            Child::new("/bin/sh", Duration::from_secs(60))
                .args(["-c", script])
                .named("thing")
                .with_lasting_descendants()
        };
        let stop = CancellationToken::new();
        let answer = child("sleep 1000 & echo $!").finish(&stop).await.unwrap();
        let pid = rustix::process::Pid::from_raw(answer.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let error = child("echo why >&2; exit 1").finish(&stop).await.unwrap_err();
        assert_eq!(error.to_string(), "thing failed with exit status 1: why");
    }
}

//! The server's side, reduced to what tests need.

mod channel;
mod finished;

use std::{
    future::Future,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sentinal_agent_protocol::{
    ENV_DEADLINE_MS, ENV_EPOCH, ENV_TOKEN, MESSAGE_BYTES_MAX,
    preamble::{HELLO_BYTES, Hello, Token, VERSION_MAX, Welcome},
    v1::agent_client::AgentClient,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

pub(crate) use self::{
    channel::{Channel, send_raw},
    finished::{collect, ended, output, run, sh, start},
};

pub(crate) type Client = AgentClient<Channel>;

/// Far beyond what anything takes: only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

pub(crate) const TOKEN: [u8; 32] = [0xa7; 32];
pub(crate) const EPOCH: u64 = 3;

/// Fails a test that hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.expect("this hangs")
}

/// Waits for something that nobody announces.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    within(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn client(channel: Channel) -> Client {
    let origin = http::Uri::from_static("http://agent");
    AgentClient::with_origin(channel, origin).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// An agent and the socket it dials.
pub(crate) struct Sandbox {
    pub(crate) agent: Child,
    listener: Option<UnixListener>,
    folder: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// `wrapper`: what starts the agent, with its arguments.
    pub(crate) fn start_with(wrapper: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let listener = UnixListener::bind(folder.path().join("agent.sock")).unwrap();
        let binary = env!("CARGO_BIN_EXE_sentinal-agent");
        // For runs inside an engine: a program that starts the agent there, with the socket's folder at its place.
        let starter = std::env::var("SENTINAL_TEST_AGENT_STARTER").ok();
        let mut words = wrapper.iter().copied().chain(starter.as_deref()).chain([binary]);
        let agent = Command::new(words.next().unwrap())
            .args(words)
            .arg(folder.path().join("agent.sock"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env(ENV_TOKEN, "a7".repeat(32))
            .env(ENV_EPOCH, EPOCH.to_string())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { agent, listener: Some(listener), folder }
    }

    pub(crate) fn with_deadline_ms(remaining_ms: u64) -> Self {
        Self::start_with(&[], &[(ENV_DEADLINE_MS, &remaining_ms.to_string())])
    }

    /// The next connection, and what the agent said.
    pub(crate) async fn accept_raw(&self) -> (UnixStream, Hello) {
        within(async {
            let (mut stream, _) = self.listener.as_ref().unwrap().accept().await.unwrap();
            let mut hello = [0; HELLO_BYTES];
            stream.read_exact(&mut hello).await.unwrap();
            (stream, Hello::decode(&hello).unwrap())
        })
        .await
    }

    /// The next connection, welcomed.
    pub(crate) async fn accept(&self) -> Client {
        client(self.accept_channel().await)
    }

    pub(crate) async fn accept_channel(&self) -> Channel {
        let (mut stream, hello) = self.accept_raw().await;
        assert_eq!((hello.token, hello.epoch), (Token(TOKEN), EPOCH));
        stream.write_all(&Welcome::Accepted { version: VERSION_MAX }.encode()).await.unwrap();
        within(Channel::open(stream)).await
    }

    /// As when the server goes away and comes back.
    pub(crate) async fn recreate_listener(&mut self) {
        self.listener = None;
        std::fs::remove_file(self.folder.path().join("agent.sock")).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.listener = Some(UnixListener::bind(self.folder.path().join("agent.sock")).unwrap());
    }

    /// A folder where everybody may write.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Without its agent as init, what it started would outlive it.
        for pid in descendants(self.agent.id()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        // It may have ended by itself.
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// Everything that a process has started and that is still its, directly or not.
fn descendants(of: u32) -> Vec<rustix::process::Pid> {
    let mut found = Vec::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        for child in children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
            found.extend(rustix::process::Pid::from_raw(child));
            parents.extend(u32::try_from(child));
        }
    }
    found
}

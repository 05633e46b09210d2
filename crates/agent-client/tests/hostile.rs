//! Whatever dials a sandbox's socket and whatever it says, the server goes on, and only the agent with the token
//! becomes the agent.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use proptest::{
    collection::vec,
    prelude::any,
    strategy::Strategy as _,
    test_runner::{Config, TestRunner},
};
use sentinal_agent_client::{Agent, AgentError, Agents, Listen};
use sentinal_agent_protocol::{
    SOCKET_NAME,
    preamble::{Hello, Token, VERSION_MAX, VERSION_MIN, WELCOME_BYTES, Welcome},
};
use sentinal_model::SandboxId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

const TOKEN: [u8; 32] = [7; 32];
const EPOCH: u64 = 3;
const SOON: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);

struct Listening {
    agents: Agents,
    agent: Agent,
    id: SandboxId,
    folder: tempfile::TempDir,
}

fn listening() -> Listening {
    let folder = tempfile::tempdir().unwrap();
    let agents = Agents::default();
    let id = SandboxId::generate();
    let listen = Listen { id, token: TOKEN, epoch: EPOCH, socket_folder: folder.path().to_owned() };
    let agent = agents.listen(listen).unwrap();
    Listening { agents, agent, id, folder }
}

fn hello() -> Hello {
    Hello { version_min: VERSION_MIN, version_max: VERSION_MAX, epoch: EPOCH, token: Token(TOKEN) }
}

/// Dials and says hello; answers what the server said and the connection.
async fn dial(folder: &Path, hello: &Hello) -> (Option<Welcome>, UnixStream) {
    let mut stream = UnixStream::connect(folder.join(SOCKET_NAME)).await.unwrap();
    stream.write_all(&hello.encode()).await.unwrap();
    let mut welcome = [0; WELCOME_BYTES];
    let read = stream.read_exact(&mut welcome).await.ok();
    (read.and_then(|_| Welcome::decode(&welcome).ok()), stream)
}

async fn check_refused(hello: Hello) {
    let listening = listening();
    let (welcome, _stream) = dial(listening.folder.path(), &hello).await;
    assert_eq!(welcome, Some(Welcome::Refused));
    let connection = listening.agent.connection(SOON).await;
    assert_eq!(connection.unwrap_err(), AgentError::Deadline);
}

#[tokio::test]
async fn the_agent_with_the_token_is_let_in() {
    let listening = listening();
    let (welcome, _stream) = dial(listening.folder.path(), &hello()).await;
    assert_eq!(welcome, Some(Welcome::Accepted { version: VERSION_MAX }));
    assert_eq!(listening.agent.connection(PATIENCE).await.unwrap().number(), 1);
}

#[tokio::test]
async fn another_token_epoch_or_version_is_refused() {
    check_refused(Hello { token: Token([8; 32]), ..hello() }).await;
    check_refused(Hello { epoch: EPOCH - 1, ..hello() }).await;
    check_refused(Hello { version_min: VERSION_MAX + 1, version_max: VERSION_MAX + 1, ..hello() }).await;
}

#[tokio::test]
async fn the_newest_connection_is_the_one_that_counts() {
    let listening = listening();
    let (_, first) = dial(listening.folder.path(), &hello()).await;
    listening.agent.connection(PATIENCE).await.unwrap();
    let (_, _second) = dial(listening.folder.path(), &hello()).await;
    drop(first);
    let newest = async {
        while listening.agent.connection(PATIENCE).await.unwrap().number() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, newest).await.unwrap();
}

#[tokio::test]
async fn a_forgotten_sandbox_has_no_connection_any_more() {
    let listening = listening();
    let (_, mut stream) = dial(listening.folder.path(), &hello()).await;
    listening.agent.connection(PATIENCE).await.unwrap();
    listening.agents.forget(listening.id);
    listening.agent.forgotten().await;
    let mut rest = Vec::new();
    // Ends, with or without a last word: the server has let go.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_never_answers_is_given_up() {
    tokio::time::pause();
    let listening = listening();
    let (_, _silent) = dial(listening.folder.path(), &hello()).await;
    assert_eq!(listening.agent.list().await.unwrap_err(), AgentError::Deadline);
}

#[test]
fn random_bytes_from_a_sandbox_never_end_the_listening() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listening = runtime.block_on(async { listening() });
    let bytes = (any::<bool>(), vec(any::<u8>(), 0..2048));
    let mut runner = TestRunner::new(Config { cases: 256, ..Config::default() });
    let outcome = runner.run(&bytes.prop_map(|(after_hello, bytes)| (after_hello, bytes)), |(after_hello, bytes)| {
        runtime.block_on(async {
            let mut stream = UnixStream::connect(listening.folder.path().join(SOCKET_NAME)).await.unwrap();
            if after_hello {
                stream.write_all(&hello().encode()).await.unwrap();
            }
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server lets go");
        });
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(async {
        let (welcome, _stream) = dial(listening.folder.path(), &hello()).await;
        assert_eq!(welcome, Some(Welcome::Accepted { version: VERSION_MAX }));
    });
}

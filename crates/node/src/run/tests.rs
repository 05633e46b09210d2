//! Whole nodes on their sockets, asked by the real client.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use futures::StreamExt as _;
use sentinal_engine::fake::{Behaviour, Verb};
use sentinal_model::{Code, EngineName, Generation};
use sentinal_node_protocol::{EndReason, InstanceState, Node as _, NodeEvent, Probe, UnixNode};
use tokio::{sync::oneshot, task::JoinHandle};

use super::*;
use crate::{
    Owner,
    config::NodeConfig,
    testing::{Machine, boot, id, place},
};

const G1: Generation = Generation(1);

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), StartError>>,
}

impl Running {
    /// Asks it to end, and waits for that.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

fn start_with(machine: &Machine, config: NodeConfig) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let parts = machine.parts();
    let task = tokio::spawn(run_with(config, parts, async move {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

fn start(machine: &Machine) -> Running {
    start_with(machine, machine.config())
}

fn client(machine: &Machine) -> UnixNode {
    UnixNode::new(machine.config().socket)
}

/// The chain of an error, as an operator reads it.
fn chain(error: &StartError) -> String {
    sentinal_model::Error::internal(error).detail().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_sandbox_lives_and_dies_over_the_socket() {
    let machine = Machine::new();
    let node = start(&machine);
    let client = client(&machine);
    let mut events = client.watch().await.unwrap();
    let folder = client.place(place(id(1), G1)).await.unwrap();
    assert!(folder.is_dir());
    client.boot(boot(id(1), G1)).await.unwrap();
    assert!(0 < client.stats(id(1)).await.unwrap().memory_bytes);
    machine.engine.end(&id(1), sentinal_engine::EndReason::Oom);
    let ended = NodeEvent::InstanceEnded { id: id(1), generation: G1, reason: EndReason::Oom };
    loop {
        match events.next().await {
            Some(Ok(event)) if event == ended => break,
            Some(Ok(NodeEvent::EnginesChanged)) => {}
            other => panic!("{other:?}"),
        }
    }
    let inventory = client.list().await.unwrap();
    assert_eq!(inventory.host_boot_id, machine.boot_id);
    assert_eq!(inventory.instances[0].state, InstanceState::Ended(EndReason::Oom));
    assert!(0 < client.halt(id(1), G1).await.unwrap().cpu_us);
    assert!(client.list().await.unwrap().instances.is_empty());
    node.stop().await;
}

#[tokio::test]
async fn refusals_arrive_with_their_code_and_sentence() {
    let machine = Machine::new();
    let node = start(&machine);
    let client = client(&machine);
    client.place(place(id(1), Generation(2))).await.unwrap();
    let older = client.boot(boot(id(1), G1)).await.unwrap_err();
    assert_eq!(older.code(), Code::Conflict);
    assert!(older.message().contains("generation 1") && older.message().contains("generation 2"), "{older}");
    assert_eq!(client.boot(boot(id(2), G1)).await.unwrap_err().code(), Code::NotFound);
    let absent = sentinal_node_protocol::Place { engine: EngineName::Native, ..place(id(3), G1) };
    assert_eq!(client.place(absent).await.unwrap_err().code(), Code::Unavailable);
    machine.engine.set(Verb::Boot, Behaviour::FindsDiskFull);
    let full = client.boot(boot(id(1), Generation(2))).await.unwrap_err();
    assert_eq!(full.code(), Code::NoCapacity);
    node.stop().await;
}

#[tokio::test]
async fn a_node_describes_itself_while_a_probe_hangs() {
    let machine = Machine::new();
    machine.engine.set(Verb::Probe, Behaviour::Hangs);
    let node = start(&machine);
    let view = client(&machine).describe().await.unwrap();
    assert_eq!((view.node.as_str(), &view.host_boot_id), ("local", &machine.boot_id));
    assert!(0 < view.room.memory_bytes_available && view.images.len() == 1);
    let probe = &view.engines[0].probe;
    assert!(matches!(probe, Probe::Unavailable { reason } if reason.contains("first probe")), "{probe:?}");
    node.stop().await;
}

#[tokio::test]
async fn an_engine_that_becomes_available_is_told() {
    let machine = Machine::new();
    let node = start(&machine);
    let client = client(&machine);
    let mut events = client.watch().await.unwrap();
    let available = async {
        while !matches!(client.describe().await.unwrap().engines[0].probe, Probe::Available { .. }) {
            assert!(matches!(events.next().await, Some(Ok(NodeEvent::EnginesChanged))));
        }
    };
    timeout(Duration::from_secs(10), available).await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn instances_outlive_their_node_and_the_client_finds_the_next_one() {
    let machine = Machine::new();
    let node = start(&machine);
    let client = client(&machine);
    client.place(place(id(1), G1)).await.unwrap();
    client.boot(boot(id(1), G1)).await.unwrap();
    let mut events = client.watch().await.unwrap();
    node.stop().await;
    // The stream ends, well or not; it does not hang.
    while let Some(Ok(_)) = events.next().await {}
    let node = start(&machine);
    let inventory = client.list().await.unwrap();
    assert_eq!(inventory.instances[0].state, InstanceState::Running);
    client.boot(boot(id(1), G1)).await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn two_nodes_on_one_folder_are_impossible() {
    let machine = Machine::new();
    let node = start(&machine);
    client(&machine).list().await.unwrap();
    let elsewhere = NodeConfig { socket: machine.folder.path().join("other.sock"), ..machine.config() };
    let error = run_with(elsewhere, machine.parts(), std::future::pending()).await.unwrap_err();
    assert!(chain(&error).contains("another `sentinal node` uses"), "{}", chain(&error));
    let same_socket = NodeConfig { state_folder: machine.folder.path().join("other"), ..machine.config() };
    let error = run_with(same_socket, machine.parts(), std::future::pending()).await.unwrap_err();
    assert!(chain(&error).contains("another process answers"), "{}", chain(&error));
    client(&machine).list().await.unwrap();
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_ends_itself_and_a_busy_one_does_not() {
    let machine = Machine::new();
    let patience = Some(Duration::from_secs(30));
    let node = start_with(&machine, NodeConfig { exit_when_idle: patience, ..machine.config() });
    let client = client(&machine);
    client.list().await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(!node.task.is_finished());
    client.place(place(id(1), G1)).await.unwrap();
    drop(client);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(!node.task.is_finished());
    // Past the ttl nothing runs any more.
    node.task.await.unwrap().unwrap();
}

const AS_STRANGER: &str = "SENTINAL_TEST_SOCKET";

/// Not a test by itself: what the test below runs as another user.
#[test]
fn knocks_when_told_to() {
    use std::io::Read as _;
    let Some(socket) = std::env::var_os(AS_STRANGER) else { return };
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let read = stream.read(&mut [0; 1]);
    println!("\nread: {:?}", read.map_err(|error| error.kind()));
}

fn knock(socket: &Path, uid: u32, program: &Path) -> String {
    use std::os::unix::process::CommandExt as _;
    let mut knocking = std::process::Command::new(program);
    knocking.args(["--exact", "run::tests::knocks_when_told_to", "--nocapture"]).env(AS_STRANGER, socket);
    let output = knocking.uid(uid).gid(uid).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_file_lets_them_in() {
    if Owner::of_this_process().uid != 0 {
        println!("skipped: only root can become another user");
        return;
    }
    let machine = Machine::new();
    let server = Owner { uid: 4242, gid: 4242 };
    let node = start_with(&machine, NodeConfig { server, ..machine.config() });
    client(&machine).list().await.unwrap();
    // A place where everybody may come, with a program that everybody may start.
    let program = machine.folder.path().join("knock");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [machine.folder.path(), &program, &machine.config().socket] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let knocked = |uid| {
        let (socket, program) = (machine.config().socket, program.clone());
        tokio::task::spawn_blocking(move || knock(&socket, uid, &program))
    };
    let stranger = knocked(4343).await.unwrap();
    assert!(stranger.contains("read: Ok(0)") || stranger.contains("ConnectionReset"), "{stranger}");
    let welcome = knocked(4242).await.unwrap();
    assert!(welcome.contains("read: Ok(1)"), "{welcome}");
    node.stop().await;
}

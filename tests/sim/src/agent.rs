//! The agent inside an instance: it speaks the real protocol over simulated sockets, and its programs are simulated.

mod execution;
mod service;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sentinal_agent_protocol::{
    MESSAGE_BYTES_MAX, SOCKET_NAME,
    preamble::{Hello, Token, VERSION_MAX, VERSION_MIN, WELCOME_BYTES, Welcome},
    v1::agent_server::AgentServer,
};
use sentinal_model::SandboxId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};
use tower::Service as _;

use crate::{
    agent::service::Service,
    machine::{Harm, Instance, Machine},
    network::{Network, Wire},
    world::World,
};

/// As the real agent has it.
const WELCOME_DEADLINE: Duration = Duration::from_secs(5);
/// As the real agent has it.
const REDIAL_PAUSE_MAX: Duration = Duration::from_millis(250);
/// The first and only boot.
const EPOCH: u64 = 1;

/// Lives as long as its instance, and ends it at its deadline.
pub(crate) async fn live(world: Arc<World>, machine: Arc<Machine>, network: Arc<Network>, id: SandboxId) {
    let Some(instance) = machine.get(&id) else { return };
    let service = Service::new(Arc::clone(&world), Arc::clone(&machine), (id, &instance));
    let life = async {
        tokio::select! {
            biased;
            () = service.deadline() => {
                machine.moves(&id).await;
                machine.harm(id, Harm::Deadline);
            }
            () = stay_connected(&world, &network, &instance, service.clone()) => {}
        }
    };
    instance.dead.run_until_cancelled(life).await;
}

async fn stay_connected(world: &World, network: &Network, instance: &Instance, service: Service) {
    sleep(world.millis(0..60)).await;
    let server = AgentServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let mut pause = Duration::from_millis(1);
    loop {
        if let Ok(wire) = dial(network, instance).await {
            pause = Duration::from_millis(1);
            serve(wire, server.clone()).await;
        }
        sleep(pause).await;
        pause = (2 * pause).min(REDIAL_PAUSE_MAX);
    }
}

async fn dial(network: &Network, instance: &Instance) -> io::Result<Wire> {
    let mut wire = network.dial(&instance.socket_folder.join(SOCKET_NAME), &instance.dead)?;
    let hello =
        Hello { version_min: VERSION_MIN, version_max: VERSION_MAX, epoch: EPOCH, token: Token(instance.token) };
    wire.write_all(&hello.encode()).await?;
    let mut answer = [0; WELCOME_BYTES];
    timeout(WELCOME_DEADLINE, wire.read_exact(&mut answer)).await.map_err(io::Error::other)??;
    match Welcome::decode(&answer) {
        Ok(Welcome::Accepted { .. }) => Ok(wire),
        Ok(Welcome::Refused) | Err(_) => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
    }
}

async fn serve(wire: Wire, server: AgentServer<Service>) {
    let connection = http2::Builder::new(TokioExecutor::new())
        .auto_date_header(false)
        .serve_connection(TokioIo::new(wire), Adapter(server));
    // However it ended, there is nothing to do but to dial again.
    let _ = connection.await;
}

/// The generated service, as hyper wants it.
struct Adapter(AgentServer<Service>);

impl hyper::service::Service<http::Request<Incoming>> for Adapter {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        // A generated service is always ready.
        self.0.clone().call(request)
    }
}

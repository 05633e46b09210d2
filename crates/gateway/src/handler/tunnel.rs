//! Bytes to and from a port of a sandbox, over a WebSocket.

use std::io;

use axum::{
    extract::{State, ws::Message},
    response::Response,
};
use futures::StreamExt as _;
use sentinal_auth::ConnectPort;
use sentinal_controller::PortStream;
use sentinal_model::SandboxId;
use tokio::{
    io::{AsyncWriteExt as _, WriteHalf},
    sync::mpsc,
};
use tokio_util::io::ReaderStream;

use crate::{
    App,
    answer::Reply,
    openapi::Problems,
    request::{Allowed, Id, Port, Upgrade},
    socket::{Received, Room},
};

/// What is read of a port at once.
const READ_BYTES: usize = 64 * 1024;

/// Connect to a port
///
/// A WebSocket that is one TCP connection to what listens on a port of the sandbox's loopback addresses: binary messages
/// are its bytes, both ways. A text message says that the client sends no more; it is closed when the other side has
/// nothing more to say. `unavailable` where nobody listens. The sandbox is in use as long as it is open.
#[utoipa::path(get, operation_id = "openTunnel", path = "/api/v1/sandbox/{id}/tunnel/{port}", tag = "port",
    params(("id" = String, Path, description = "The sandbox's id"), ("port" = u16, Path, description = "1 to 65535")),
    responses((status = 101, description = "A WebSocket"), Problems))]
pub(crate) async fn open(
    State(app): State<App>,
    Allowed(permit): Allowed<ConnectPort>,
    Id(id): Id<SandboxId>,
    Port(port): Port,
    upgrade: Upgrade,
) -> Reply<Response> {
    let room = Room::find(&app, upgrade)?;
    let (reader, writer) = tokio::io::split(app.controller.connect(&permit, id, port).await?);
    let bytes = ReaderStream::with_capacity(reader, READ_BYTES).take_while(|read| std::future::ready(read.is_ok()));
    let outgoing = bytes.filter_map(|read| std::future::ready(read.ok().map(Message::Binary)));
    Ok(room.open(outgoing.boxed(), move |received| async move {
        if let Err(error) = write(writer, received).await {
            tracing::debug!(%error, "port of a sandbox took no more");
        }
    }))
}

/// What the client sends; without a word of its end the connection is broken off.
async fn write(mut writer: WriteHalf<PortStream>, mut received: mpsc::Receiver<Received>) -> io::Result<()> {
    while let Some(received) = received.recv().await {
        match received {
            Received::Bytes(bytes) => writer.write_all(&bytes).await?,
            Received::Text(_) => writer.shutdown().await?,
        }
    }
    Ok(())
}

//! The socket: accepts connections within their limits, and lets them end when the server does.

mod connection;
mod wire;

use std::{sync::Arc, time::Duration};

use hyper::body::Incoming;
use rustix::net::sockopt;
use sentinal_model::{Code, Error, limits};
use sentinal_telemetry::Limit;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::util::MapRequest;

use self::connection::{Connection, canned};
use crate::{App, by_host, router};

/// How long requests in flight may take to end when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// After how much silence the kernel asks a client's whether it is there, how often again, and how many times.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMES: u32 = 4;
/// How long to wait when no connection can be accepted, for lack of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves HTTP/1.1 and HTTP/2 on `listener` until `shutdown`; then lets requests in flight end within a grace time.
/// Followers are sent away at once. Sandboxes and executions are not touched.
pub async fn serve(listener: TcpListener, app: App, shutdown: CancellationToken) {
    let server = Server {
        slots: Arc::new(Semaphore::new(limits::CONNECTIONS_MAX)),
        connections: TaskTracker::new(),
        cut: CancellationToken::new(),
        router: MapRequest::new(router(app.clone()), by_host::route),
        app,
    };
    shutdown.run_until_cancelled(server.accept_all(&listener)).await;
    drop(listener);
    server.finish().await;
}

/// Everything, by path and by host name.
pub(super) type Routed = MapRequest<axum::Router, fn(hyper::Request<Incoming>) -> hyper::Request<Incoming>>;

struct Server {
    app: App,
    router: Routed,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
    /// The grace time is over.
    cut: CancellationToken,
}

impl Server {
    async fn accept_all(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.accept(stream),
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn accept(&self, stream: TcpStream) {
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => self.start(stream, slot),
            Err(_) => self.refuse(&stream),
        }
    }

    fn start(&self, stream: TcpStream, slot: OwnedSemaphorePermit) {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "connection gone before it began");
        }
        let connection = Connection { router: self.router.clone(), app: self.app.clone(), cut: self.cut.clone() };
        self.connections.spawn(async move {
            connection.app.metrics.connection_opened();
            connection.run(stream).await;
            connection.app.metrics.connection_closed();
            drop(slot);
        });
    }

    /// One more client than there is room for is told so, if it listens.
    fn refuse(&self, stream: &TcpStream) {
        self.app.metrics.limit_reached(Limit::Connections);
        let error = Error::new(Code::Unavailable, "too many open connections; try again later");
        // Nobody waits for a client that there is no room for.
        let _ = stream.try_write(&canned(&error));
    }

    async fn finish(&self) {
        self.app.closing.cancel();
        self.connections.close();
        if tokio::time::timeout(SHUTDOWN_GRACE, self.connections.wait()).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "connections cut off after the grace time");
            self.cut.cancel();
            self.connections.wait().await;
        }
    }
}

/// Small answers go at once; and one that only waits, as what was upgraded may for ever, ends when its client is gone
/// without a word.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_EVERY)?;
    Ok(sockopt::set_tcp_keepcnt(stream, KEEPALIVE_TIMES)?)
}

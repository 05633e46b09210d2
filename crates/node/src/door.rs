//! Who may come in: root and the server's user, a bounded number at a time.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use sentinal_node_protocol::v1::node_server::NodeServer;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Owner, limits, service::Service};

/// How long to wait when the kernel gives no descriptor for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The way in.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    server: Owner,
    clients: Arc<AtomicUsize>,
    connections: TaskTracker,
    stop: CancellationToken,
}

/// Why somebody was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Neither root nor the server's user.
    User(u32),
    /// As many as there may be.
    Full,
}

/// One client that is inside.
#[derive(Debug)]
struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Door {
    /// Closed for good once `stop` is cancelled.
    pub(crate) fn new(server: Owner, stop: CancellationToken) -> Self {
        Self { server, clients: Arc::default(), connections: TaskTracker::new(), stop }
    }

    /// How many clients are connected.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Lets clients in until told to stop, then waits for what they are asking.
    pub(crate) async fn serve(self, listener: UnixListener, service: NodeServer<Service>) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => self.welcome(stream, &service),
                Err(error) => {
                    tracing::error!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        self.connections.close();
        self.connections.wait().await;
    }

    fn welcome(&self, stream: UnixStream, service: &NodeServer<Service>) {
        match self.admit(&stream) {
            Ok(Ok(inside)) => {
                let conversation = converse(stream, service.clone(), self.stop.clone());
                self.connections.spawn(async move {
                    conversation.await;
                    drop(inside);
                });
            }
            Ok(Err(refusal)) => tracing::warn!(?refusal, "connection refused"),
            Err(error) => tracing::warn!(%error, "connection of an unknown user refused"),
        }
    }

    fn admit(&self, stream: &UnixStream) -> io::Result<Result<Inside, Refusal>> {
        let uid = stream.peer_cred()?.uid();
        if uid != 0 && uid != self.server.uid {
            return Ok(Err(Refusal::User(uid)));
        }
        if limits::CONNECTIONS_MAX <= self.clients.fetch_add(1, Ordering::Relaxed) {
            self.clients.fetch_sub(1, Ordering::Relaxed);
            return Ok(Err(Refusal::Full));
        }
        Ok(Ok(Inside(Arc::clone(&self.clients))))
    }
}

/// One connection, to its end.
async fn converse(stream: UnixStream, service: NodeServer<Service>, stop: CancellationToken) {
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::REQUESTS_PER_CONNECTION_MAX)
        .max_header_list_size(limits::HEADERS_BYTES_MAX)
        .keep_alive_interval(limits::KEEP_ALIVE)
        .keep_alive_timeout(limits::KEEP_ALIVE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

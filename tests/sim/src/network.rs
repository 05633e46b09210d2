//! The sockets that agents dial, in memory, and what can become of a connection.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use sentinal_agent_client::{Listener, Peer, Stream, Transport};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::mpsc,
    time::{Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    life::Life,
    world::{World, lock},
};

/// Connections that wait to be accepted.
const BACKLOG: usize = 16;
/// What a socket holds that nobody has read.
const SOCKET_BYTES: usize = 208 * 1024;
/// A connection that is to be cut is cut after at most so many bytes in one direction.
const CUT_AFTER_BYTES_MAX: u64 = 100_000;

/// All places where somebody listens.
#[derive(Debug)]
pub(crate) struct Network {
    world: Arc<World>,
    places: Mutex<BTreeMap<PathBuf, Place>>,
}

#[derive(Debug)]
struct Place {
    dialled: mpsc::Sender<Wire>,
    server: Life,
}

impl Network {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, places: Mutex::default() }
    }

    /// An agent dials. The connection breaks with either side, and sometimes by itself.
    pub(crate) fn dial(&self, socket: &Path, agent: &CancellationToken) -> io::Result<Wire> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let places = lock(&self.places);
        let place = places.get(socket).filter(|place| !place.server.is_over()).ok_or_else(refused)?;
        let cable = CancellationToken::new();
        let (near, far) = tokio::io::duplex(SOCKET_BYTES);
        place.dialled.try_send(Wire::new(&self.world, far, &cable)).map_err(|_| refused())?;
        let (server, agent, lasts) = (place.server.clone(), agent.clone(), self.lasts());
        let cut = cable.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                () = server.over() => {}
                () = agent.cancelled() => {}
                () = sleep(lasts) => {}
            }
            cut.cancel();
        });
        Ok(Wire::new(&self.world, near, &cable))
    }

    fn lasts(&self) -> Duration {
        if self.world.fails(self.world.plan.cut) { self.world.millis(0..20_000) } else { Duration::from_secs(1 << 30) }
    }

    /// How many places there are where a living server listens.
    pub(crate) fn listening(&self) -> usize {
        let places = lock(&self.places);
        places.values().filter(|place| !place.server.is_over() && !place.dialled.is_closed()).count()
    }
}

/// The sockets of one run of the server.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) network: Arc<Network>,
    pub(crate) life: Life,
}

impl Transport for Sockets {
    fn listen(&self, socket: &Path) -> io::Result<Box<dyn Listener>> {
        if self.life.is_over() || !socket.parent().is_some_and(Path::exists) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let (dialled, accepted) = mpsc::channel(BACKLOG);
        lock(&self.network.places).insert(socket.to_owned(), Place { dialled, server: self.life.clone() });
        Ok(Box::new(Accepting { accepted, life: self.life.clone() }))
    }
}

#[derive(Debug)]
struct Accepting {
    accepted: mpsc::Receiver<Wire>,
    life: Life,
}

#[async_trait]
impl Listener for Accepting {
    async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
        let accepted = self.accepted.recv().await;
        self.life.alive().await;
        match accepted {
            Some(wire) => Ok(Box::new(wire)),
            // Another listener has taken the place.
            None => std::future::pending().await,
        }
    }
}

/// One end of a connection.
pub(crate) struct Wire {
    world: Arc<World>,
    end: DuplexStream,
    cable: CancellationToken,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What still comes before it is cut.
    left: Option<u64>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    fn new(world: &Arc<World>, end: DuplexStream, cable: &CancellationToken) -> Self {
        let cut_in_the_middle = world.fails(world.plan.cut);
        Self {
            world: Arc::clone(world),
            end,
            cable: cable.clone(),
            cut: Box::pin(cable.clone().cancelled_owned()),
            left: cut_in_the_middle.then(|| world.pick(0..CUT_AFTER_BYTES_MAX)),
            stalled: None,
        }
    }

    /// So much was read.
    fn took(&mut self, count: usize) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
            if *left == 0 && !self.world.is_calm() {
                self.cable.cancel();
            }
        }
        if self.world.fails(self.world.plan.stall) {
            self.stalled = Some(Box::pin(sleep(self.world.millis(10..25_000))));
        }
    }
}

impl Stream for Wire {
    fn peer(&self) -> io::Result<Box<dyn Peer>> {
        Ok(Box::new(Cable(self.cable.clone())))
    }
}

/// What lies between two ends.
#[derive(Debug)]
struct Cable(CancellationToken);

impl Peer for Cable {
    fn is_gone(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionReset)));
        }
        if let Some(stalled) = &mut self.stalled {
            ready!(stalled.as_mut().poll(cx));
            self.stalled = None;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.end).poll_read(cx, buffer))?;
        let count = buffer.filled().len() - before;
        self.took(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.cable.is_cancelled() {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe)));
        }
        Pin::new(&mut self.end).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_shutdown(cx)
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

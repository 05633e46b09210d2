//! The way from the server to the node, and what can become of a request on it: lost, late, carried out without an
//! answer, carried out twice.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sentinal_model::{Code, Error, FreeSpace, Generation, ImageName, Result, SandboxId, limits};
use sentinal_node::LocalNode;
use sentinal_node_protocol::{
    Boot, CALL_DEADLINE, EventStream, HostUsage, ImageDetails, Inventory, Keep, Node, NodeEvent, NodeView, Place,
    RemovedImages,
};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, timeout},
};

use crate::{life::Life, sabotage::Sabotage, world::World};

/// As the real client has it.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// As the real client has it, for what boots and halts.
const LONG_DEADLINE: Duration = Duration::from_secs(5).saturating_add(limits::BOOT_DEADLINE);
/// As the real client has it.
const ATTEMPTS: usize = 2;
/// How much later a request may arrive once more.
const LATE_MS_MAX: u64 = 20_000;

/// A node that runs.
#[derive(Debug, Clone)]
pub(crate) struct NodeUp {
    pub(crate) node: Arc<LocalNode>,
    pub(crate) life: Life,
}

/// The node, as one run of the server reaches it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) world: Arc<World>,
    pub(crate) life: Life,
    pub(crate) node: watch::Receiver<Option<NodeUp>>,
}

type Verb<T> = Box<dyn Fn(Arc<LocalNode>) -> BoxFuture<'static, Result<T>> + Send + Sync>;

/// The verb as something that can be asked again.
macro_rules! verb {
    ($node:ident => $call:expr) => {
        Box::new(move |$node: Arc<LocalNode>| Box::pin(async move { $call.await }))
    };
}

fn went_away() -> Error {
    Error::new(Code::Unavailable, "the node went away during a call")
}

impl Link {
    async fn call<T: Send + 'static>(&self, what: &'static str, deadline: Duration, verb: Verb<T>) -> Result<T> {
        self.world.step(&self.life, what).await;
        let answer = timeout(deadline, self.ask(verb)).await;
        self.life.alive().await;
        let answer = answer.unwrap_or_else(|_| Err(Error::new(Code::Unavailable, "the node did not answer in time")));
        if let Err(error) = &answer {
            self.world.tell(format_args!("{}: {what}: {:?}: {}", self.life, error.code(), error.message()));
        }
        self.world.step(&self.life, "has asked the node").await;
        answer
    }

    /// A call under which the node dies is repeated, as by the real client: the next node may know of the first one.
    async fn ask<T: Send + 'static>(&self, verb: Verb<T>) -> Result<T> {
        let verb = Arc::new(verb);
        for _ in 0..ATTEMPTS {
            let up = self.connected().await?;
            if self.world.fails(self.world.plan.lost) {
                return Err(went_away());
            }
            if self.world.fails(self.world.plan.repeated) {
                self.repeat(&up, Arc::clone(&verb));
            }
            let (done, answered) = oneshot::channel();
            deliver(&up, Arc::clone(&verb), Duration::ZERO, done);
            let Ok(answer) = answered.await else { continue };
            return if self.world.fails(self.world.plan.lost) { Err(went_away()) } else { answer };
        }
        Err(went_away())
    }

    fn repeat<T: Send + 'static>(&self, up: &NodeUp, verb: Arc<Verb<T>>) {
        let (done, _nobody) = oneshot::channel();
        deliver(up, verb, self.world.millis(0..LATE_MS_MAX), done);
    }

    async fn connected(&self) -> Result<NodeUp> {
        let mut node = self.node.clone();
        let up = timeout(CONNECT_DEADLINE, node.wait_for(|up| up.as_ref().is_some_and(|up| !up.life.is_over()))).await;
        let up = up.ok().and_then(std::result::Result::ok).and_then(|up| up.clone());
        up.ok_or_else(|| Error::new(Code::Unavailable, "the node process is not running"))
    }
}

/// The request arrives, whoever still waits for its answer, unless the node dies first.
fn deliver<T: Send + 'static>(up: &NodeUp, verb: Arc<Verb<T>>, after: Duration, done: oneshot::Sender<Result<T>>) {
    let (life, node) = (up.life.clone(), Arc::clone(&up.node));
    tokio::spawn(async move {
        let carried_out = life.run(async move {
            sleep(after).await;
            verb(node).await
        });
        if let Some(answer) = carried_out.await {
            let _ = done.send(answer);
        }
    });
}

#[async_trait]
impl Node for Link {
    async fn describe(&self) -> Result<NodeView> {
        self.call("describe", CALL_DEADLINE, verb!(node => node.describe())).await
    }

    async fn place(&self, request: Place) -> Result<PathBuf> {
        let what = format!("place {} {}", request.id, request.generation);
        self.world.tell(format_args!("{}: {what}", self.life));
        let verb = move |node: Arc<LocalNode>| -> BoxFuture<'static, Result<PathBuf>> {
            let request = request.clone();
            Box::pin(async move { node.place(request).await })
        };
        self.call("place", CALL_DEADLINE, Box::new(verb)).await
    }

    async fn boot(&self, request: Boot) -> Result<()> {
        self.world.tell(format_args!("{}: boot {} {}", self.life, request.id, request.generation));
        let verb = move |node: Arc<LocalNode>| -> BoxFuture<'static, Result<()>> {
            let request = request.clone();
            Box::pin(async move { node.boot(request).await })
        };
        self.call("boot", LONG_DEADLINE, Box::new(verb)).await
    }

    async fn keep(&self, request: Keep) -> Result<()> {
        self.call("keep", CALL_DEADLINE, verb!(node => node.keep(request))).await
    }

    async fn pause(&self, id: SandboxId, generation: Generation) -> Result<()> {
        self.call("pause", CALL_DEADLINE, verb!(node => node.pause(id, generation))).await
    }

    async fn resume(&self, id: SandboxId, generation: Generation) -> Result<()> {
        self.call("resume", CALL_DEADLINE, verb!(node => node.resume(id, generation))).await
    }

    async fn halt(&self, id: SandboxId, generation: Generation) -> Result<HostUsage> {
        self.world.tell(format_args!("{}: halt {id} {generation}", self.life));
        if self.world.sabotaged(Sabotage::LinkSwallowsHalts) {
            return Ok(HostUsage::default());
        }
        self.call("halt", LONG_DEADLINE, verb!(node => node.halt(id, generation))).await
    }

    async fn list(&self) -> Result<Inventory> {
        self.call("list", CALL_DEADLINE, verb!(node => node.list())).await
    }

    async fn stats(&self, id: SandboxId) -> Result<HostUsage> {
        self.call("stats", CALL_DEADLINE, verb!(node => node.stats(id))).await
    }

    async fn publish_image(&self, image: ImageDetails, content: BoxStream<'static, Bytes>) -> Result<()> {
        self.connected().await?.node.publish_image(image, content).await
    }

    async fn inspect_image(&self, name: &ImageName) -> Result<ImageDetails> {
        self.connected().await?.node.inspect_image(name).await
    }

    async fn remove_image(&self, name: &ImageName) -> Result<RemovedImages> {
        self.connected().await?.node.remove_image(name).await
    }

    async fn prune_images(&self, until_free: Option<FreeSpace>) -> Result<RemovedImages> {
        self.call("prune", LONG_DEADLINE, verb!(node => node.prune_images(until_free))).await
    }

    async fn watch(&self) -> Result<EventStream> {
        self.world.step(&self.life, "watch").await;
        let up = self.connected().await?;
        let events = up.node.watch().await?;
        let lasts = if self.world.fails(self.world.plan.lost) { self.world.millis(0..30_000) } else { limits::TTL_MAX };
        let breaks = Box::pin(sleep(lasts));
        let watching = Watching { world: Arc::clone(&self.world), server: self.life.clone(), up, events, breaks };
        Ok(stream::unfold(Some(watching), |watching| async move {
            let mut watching = watching?;
            let event = watching.next().await;
            Some(if event.is_ok() { (event, Some(watching)) } else { (event, None) })
        })
        .boxed())
    }
}

/// A stream of events that may break.
struct Watching {
    world: Arc<World>,
    server: Life,
    up: NodeUp,
    events: EventStream,
    breaks: std::pin::Pin<Box<tokio::time::Sleep>>,
}

impl Watching {
    async fn next(&mut self) -> Result<NodeEvent> {
        let event = tokio::select! {
            biased;
            () = self.up.life.over() => Err(went_away()),
            () = &mut self.breaks => Err(went_away()),
            event = self.events.next() => event.unwrap_or_else(|| Err(went_away())),
        };
        self.world.step(&self.server, "hears from the node").await;
        if let Ok(event) = &event {
            self.world.tell(format_args!("{}: {event:?}", self.server));
        }
        event
    }
}

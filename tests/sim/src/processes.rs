//! Server and node: each is started, dies at some step, and is started again.

use std::{path::PathBuf, sync::Arc};

use sentinal_agent_client::Agents;
use sentinal_controller::{Controller, NoImages, NoWebhooks, Parts, Settings};
use sentinal_model::{Clock, Millis, NodeId, Pool, SandboxId, TenantId, UsageBy, UsageSum};
use sentinal_node::{LocalNode, NodeConfig, NodeParts, Owner};
use sentinal_node_protocol::HostBootId;
use sentinal_store::{Store, UsageQuery};
use sentinal_telemetry::Metrics;
use tokio::{
    sync::watch,
    time::{Duration, sleep},
};

use crate::{
    engine::SimEngine,
    entropy::Dice,
    journal::Journal,
    ledger::Ledger,
    life::{Life, Role},
    link::{Link, NodeUp},
    machine::Machine,
    network::{Network, Sockets},
    outputs::{OutputDisk, Outputs},
    parts::{NodeDisk, OneImage, SmallMachine},
    store::SimStore,
    wish,
    world::World,
};

/// A server that runs.
#[derive(Debug, Clone)]
pub(crate) struct ServerUp {
    pub(crate) controller: Controller,
    pub(crate) life: Life,
}

/// How often a server is configured with the pool of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    Mostly,
    Always,
    Never,
}

/// Everything there is: the host with what is on its disks, and the two processes.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) world: Arc<World>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) network: Arc<Network>,
    pub(crate) outputs: Arc<OutputDisk>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) server: watch::Sender<Option<ServerUp>>,
    pub(crate) node: watch::Sender<Option<NodeUp>>,
    /// The lives of the moment, also of processes that are still starting.
    lives: watch::Sender<[Option<Life>; 2]>,
    boot_id: watch::Sender<u32>,
    pooling: watch::Sender<Pooling>,
    store: Arc<dyn Store>,
    dice: Arc<Dice>,
    metrics: Metrics,
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new(world: Arc<World>, store: Arc<dyn Store>, folder: tempfile::TempDir) -> Arc<Self> {
        let machine = Arc::new(Machine::new(Arc::clone(&world)));
        let outputs = Arc::new(OutputDisk::default());
        let journal = Arc::new(Journal::default());
        let ledger = Ledger::new(world.clone(), machine.clone(), outputs.clone(), journal.clone());
        Arc::new(Self {
            machine,
            network: Arc::new(Network::new(Arc::clone(&world))),
            outputs,
            journal,
            ledger: Arc::new(ledger),
            server: watch::Sender::new(None),
            node: watch::Sender::new(None),
            lives: watch::Sender::new([None, None]),
            boot_id: watch::Sender::new(1),
            pooling: watch::Sender::new(Pooling::Mostly),
            store,
            dice: Arc::new(Dice::new(Arc::clone(&world))),
            metrics: Metrics::new(),
            folder,
            world,
        })
    }

    /// Kills the process, if it runs.
    pub(crate) fn kill(&self, role: Role) {
        if let Some(life) = &self.lives.borrow()[slot(role)] {
            self.world.tell(format_args!("{life}: killed"));
            life.kill();
        }
    }

    /// Starts the server anew, configured in this way from now on.
    pub(crate) fn restart_server(&self, pooling: Pooling) {
        self.world.tell(format_args!("pool: {pooling:?}"));
        self.pooling.send_replace(pooling);
        self.kill(Role::Server);
    }

    /// The host goes down and comes up again: nothing of what ran is left.
    pub(crate) fn restart_host(&self) {
        self.kill(Role::Server);
        self.kill(Role::Node);
        self.machine.restart();
        self.outputs.restart(&self.world);
        self.boot_id.send_modify(|number| *number += 1);
    }

    /// Starts the server again and again.
    pub(crate) async fn keep_server(self: Arc<Self>) {
        for number in 1.. {
            let life = self.born(Role::Server, number);
            match life.run(Controller::start(self.server_parts(&life))).await {
                Some(Ok(controller)) => {
                    self.world.tell(format_args!("{life}: started"));
                    self.server.send_replace(Some(ServerUp { controller: controller.clone(), life: life.clone() }));
                    life.over().await;
                    self.server.send_replace(None);
                    // Its tasks end; what they had under way has ended already.
                    tokio::spawn(async move { controller.stop().await });
                }
                Some(Err(error)) => {
                    self.world.tell(format_args!("{life}: not started: {}", error.message()));
                    life.kill();
                }
                None => {}
            }
            self.rest().await;
        }
    }

    /// All that was ever used, as the store has it.
    pub(crate) async fn used(&self) -> Result<UsageSum, String> {
        let query = UsageQuery { since: Millis(i64::MIN), until: Millis(i64::MAX), by: UsageBy::Engine };
        let records = self.store.usage(&TenantId::default_tenant(), query).await;
        let records = records.map_err(|error| format!("what was used cannot be read: {error:?}"))?;
        Ok(records.into_iter().fold(UsageSum::default(), |sum, record| sum.plus(record.used)))
    }

    fn server_parts(&self, life: &Life) -> Parts {
        let (world, life) = (Arc::clone(&self.world), life.clone());
        let store = SimStore {
            world: world.clone(),
            life: life.clone(),
            inner: Arc::clone(&self.store),
            ledger: Arc::clone(&self.ledger),
        };
        let sockets = Sockets { network: Arc::clone(&self.network), life: life.clone() };
        Parts {
            store: Arc::new(store),
            node: Arc::new(Link { world: world.clone(), life: life.clone(), node: self.node.subscribe() }),
            agents: Agents::over(Arc::new(sockets)),
            outputs: Arc::new(Outputs { world: world.clone(), life, disk: Arc::clone(&self.outputs) }),
            images: Arc::new(NoImages),
            webhooks: Arc::new(NoWebhooks),
            clock: world,
            entropy: Arc::<Dice>::clone(&self.dice),
            metrics: self.metrics.clone(),
            settings: Settings { pools: self.pools(), ..Settings::default() },
        }
    }

    /// What the next server is configured with: now and then without the pool that the one before had.
    fn pools(&self) -> Vec<Pool> {
        let size = self.world.plan.pool;
        let is_configured = match *self.pooling.borrow() {
            Pooling::Mostly => 0 < size && self.world.chance(8500),
            Pooling::Always => 0 < size,
            Pooling::Never => false,
        };
        if is_configured { vec![wish::pool(size)] } else { Vec::new() }
    }

    /// Starts the node again and again.
    pub(crate) async fn keep_node(self: Arc<Self>) {
        for number in 1.. {
            let life = self.born(Role::Node, number);
            match life.run(LocalNode::start(self.node_config(), self.node_parts(&life))).await {
                Some(Ok(node)) => {
                    self.world.tell(format_args!("{life}: started"));
                    self.node.send_replace(Some(NodeUp { node: Arc::new(node), life: life.clone() }));
                    life.over().await;
                    self.node.send_replace(None);
                }
                Some(Err(error)) => {
                    // Without its details: the simulation's folder is another one each time.
                    self.world.tell(format_args!("{life}: not started: {error}"));
                    life.kill();
                }
                None => {}
            }
            self.rest().await;
        }
    }

    fn node_config(&self) -> NodeConfig {
        let folder = self.folder.path();
        NodeConfig {
            node_id: NodeId::local(),
            state_folder: folder.join("node"),
            socket: folder.join("node.sock"),
            server: Owner::of_this_process(),
            images: folder.join("images"),
            agent: folder.join("agent"),
            runsc: PathBuf::from("runsc"),
            exit_when_idle: None,
        }
    }

    fn node_parts(&self, life: &Life) -> NodeParts {
        let engine = SimEngine {
            world: Arc::clone(&self.world),
            life: life.clone(),
            machine: Arc::clone(&self.machine),
            network: Arc::clone(&self.network),
            ledger: Arc::clone(&self.ledger),
        };
        NodeParts {
            engines: vec![Arc::new(engine)],
            images: Arc::new(OneImage),
            hardware: Arc::new(SmallMachine(Arc::clone(&self.world))),
            blocking: Arc::new(NodeDisk { world: Arc::clone(&self.world), life: life.clone() }),
            clock: Arc::<World>::clone(&self.world) as Arc<dyn Clock>,
            host_boot_id: HostBootId(self.boot_id.borrow().to_string()),
        }
    }

    /// What the node has folders of, if it runs.
    pub(crate) fn folders(&self) -> Vec<SandboxId> {
        self.node.borrow().as_ref().map(|up| up.node.folders()).unwrap_or_default()
    }

    fn born(&self, role: Role, number: u32) -> Life {
        let life = Life::new(role, number);
        self.lives.send_modify(|lives| lives[slot(role)] = Some(life.clone()));
        life
    }

    /// Between a death and the next start.
    async fn rest(&self) {
        let pause = if self.world.chance(1000) { self.world.millis(0..20_000) } else { self.world.millis(1..500) };
        sleep(if self.world.is_calm() { Duration::from_millis(10) } else { pause }).await;
    }
}

const fn slot(role: Role) -> usize {
    match role {
        Role::Server => 0,
        Role::Node => 1,
    }
}

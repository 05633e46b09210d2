//! What tests of this crate share: a node's parts with an engine in memory, on a temporary folder.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sentinal_engine::fake::FakeEngine;
use sentinal_model::{
    Clock, Code, Cpu, Disk, EngineName, Error, FreeSpace, Generation, ImageName, Memory, Millis, NodeId, Result,
    SandboxId,
};
use sentinal_node_protocol::{
    AgentToken, Boot, HostBootId, ImageConfig, ImageDetails, ImageView, Keep, Named, Place, RemovedImages,
};
use tempfile::TempDir;

use crate::{Image, Images, NodeConfig, NodeParts, Owner, ReceiveImage, blocking::Threads, room::ThisMachine};

/// When tests begin, on the wall clock.
pub(crate) const NOW: Millis = Millis(1_700_000_000_000);
/// How long a placed sandbox may live.
pub(crate) const TTL: Duration = Duration::from_secs(300);

/// A machine that outlives its nodes.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) engine: FakeEngine,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) folder: TempDir,
    pub(crate) boot_id: HostBootId,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            engine: FakeEngine::new(EngineName::Gvisor),
            clock: Arc::new(TestClock(AtomicI64::new(NOW.0))),
            folder: tempfile::tempdir().unwrap(),
            boot_id: HostBootId("first".to_owned()),
        }
    }

    /// All instances are gone, the disk stays.
    pub(crate) fn restart(&mut self) {
        self.engine = FakeEngine::new(EngineName::Gvisor);
        self.boot_id = HostBootId("second".to_owned());
    }

    pub(crate) fn parts(&self) -> NodeParts {
        NodeParts {
            engines: vec![Arc::new(self.engine.clone())],
            images: Arc::new(OneImage),
            hardware: Arc::new(ThisMachine),
            blocking: Arc::new(Threads),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            host_boot_id: self.boot_id.clone(),
        }
    }

    pub(crate) fn config(&self) -> NodeConfig {
        NodeConfig {
            node_id: NodeId::local(),
            state_folder: self.folder.path().join("node"),
            socket: self.folder.path().join("node.sock"),
            server: Owner::of_this_process(),
            images: self.folder.path().join("images"),
            agent: PathBuf::from("/agent"),
            runsc: PathBuf::from("runsc"),
            exit_when_idle: None,
        }
    }
}

/// A wall clock that moves when it is told to.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn step(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }
}

/// A store that has the default image and no other.
#[derive(Debug)]
struct OneImage;

impl Images for OneImage {
    fn resolve(&self, name: &ImageName) -> Result<Image> {
        if *name != ImageName::default() {
            return Err(Error::not_found(format!("there is no image {name}; the store has default")));
        }
        Ok(Image { digest: "sha256:00".to_owned(), path: PathBuf::from("/images/default.erofs") })
    }

    fn list(&self) -> Result<Vec<ImageView>> {
        Ok(vec![ImageView { name: ImageName::default(), digest: "sha256:00".to_owned(), size_bytes: 1 }])
    }

    fn inspect(&self, name: &ImageName) -> Result<ImageDetails> {
        let Image { digest, .. } = self.resolve(name)?;
        let (source, created, config) = (String::new(), Millis(0), ImageConfig::default());
        Ok(ImageDetails { name: name.clone(), digest, size_bytes: 1, source, created, config })
    }

    fn receive(&self, _: ImageDetails) -> Result<Box<dyn ReceiveImage>> {
        Err(Error::new(Code::NotSupported, "this store takes no images"))
    }

    fn remove(&self, name: &ImageName, in_use: &BTreeSet<String>) -> Result<RemovedImages> {
        let Image { digest, .. } = self.resolve(name)?;
        if in_use.contains(&digest) {
            return Err(Error::new(Code::Conflict, format!("the image {name} is in use")));
        }
        Ok(RemovedImages::default())
    }

    fn prune(&self, _: &BTreeSet<String>, _: Option<FreeSpace>) -> Result<RemovedImages> {
        Ok(RemovedImages::default())
    }
}

/// The sandbox with this number.
pub(crate) fn id(number: u8) -> SandboxId {
    SandboxId::from_bytes([number; 16])
}

/// A request as any other.
pub(crate) fn place(id: SandboxId, generation: Generation) -> Place {
    Place {
        id,
        generation,
        engine: EngineName::Gvisor,
        image: ImageName::default(),
        cpu: Cpu::try_from_cores(1.0).unwrap(),
        memory: Memory::try_from_bytes(512 << 20).unwrap(),
        disk: Disk::try_from_bytes(1 << 30).unwrap(),
        expires_at: NOW.after(TTL),
        idle_timeout: None,
    }
}

/// A request as any other.
pub(crate) fn boot(id: SandboxId, generation: Generation) -> Boot {
    Boot { id, generation, token: AgentToken([0xab; 32]), epoch: 1, agent_deadline: TTL + Duration::from_secs(4) }
}

/// A request that says how long the sandbox is in use, and is the first that does.
pub(crate) fn keep(id: SandboxId, generation: Generation, busy_for: Duration) -> Keep {
    Keep { id, generation, busy_for, said_at: Millis(1) }
}

/// A request as any other.
pub(crate) fn named(id: SandboxId, generation: Generation) -> Named {
    Named { id, generation }
}

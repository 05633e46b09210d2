//! The rest of what a node needs of its host: files, images, figures.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{FutureExt as _, future::BoxFuture};
use sentinal_model::{Code, Error, FreeSpace, ImageName, Millis, Result};
use sentinal_node::{Blocking, Hardware, Image, Images, ReceiveImage};
use sentinal_node_protocol::{ImageConfig, ImageDetails, ImageView, RemovedImages, Room};

use crate::{life::Life, sabotage::Sabotage, world::World};

/// What there is: little, so that it is fully promised now and then.
pub(crate) const ROOM: Room = Room {
    cpu_milli_total: 1000,
    memory_bytes_total: 4 << 30,
    memory_bytes_available: 4 << 30,
    disk_bytes_total: 1 << 40,
    disk_bytes_available: 1 << 40,
    memory_pressure: None,
};

/// The machine's figures.
#[derive(Debug)]
pub(crate) struct SmallMachine(pub(crate) Arc<World>);

impl Hardware for SmallMachine {
    fn cores(&self) -> usize {
        1
    }

    fn room(&self, _state_folder: &Path) -> io::Result<Room> {
        let mut room = ROOM;
        if self.0.plan.sabotage == Sabotage::NodeBoasts {
            room.cpu_milli_total *= 10;
            room.memory_bytes_total *= 10;
            room.memory_bytes_available *= 10;
        }
        if self.0.fails(self.0.plan.disk_full) {
            room.disk_bytes_available = 0;
        }
        Ok(room)
    }
}

/// The node's disk: what is done on it is done at once, or not at all.
#[derive(Debug)]
pub(crate) struct NodeDisk {
    pub(crate) world: Arc<World>,
    pub(crate) life: Life,
}

impl Blocking for NodeDisk {
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, io::Result<()>> {
        let (world, life) = (Arc::clone(&self.world), self.life.clone());
        async move {
            world.step(&life, "uses its disk").await;
            if world.fails(world.plan.disk_full) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            job();
            world.step(&life, "has used its disk").await;
            Ok(())
        }
        .boxed()
    }
}

/// A store that has the default image and no other.
#[derive(Debug)]
pub(crate) struct OneImage;

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

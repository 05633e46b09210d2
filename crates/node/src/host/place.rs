//! Room for a sandbox: its record and its folder.

use std::{path::PathBuf, sync::Arc};

use sentinal_node_protocol::Place;

use super::{Host, entry::Slot, hold::Held, wrong_state};
use crate::{
    error::NodeError,
    record::{PlacedImage, Record, Stage},
};

impl Host {
    /// Places a sandbox and answers its socket folder; the same again for one that was placed the same.
    pub(crate) async fn place(self: Arc<Self>, place: Place) -> Result<PathBuf, NodeError> {
        self.engine(place.engine)?;
        let mut held = loop {
            let held = Held::of(self.table.find_or_add(place.id, place.generation)?).await;
            if !matches!(*held.slot, Slot::Gone) {
                break held;
            }
        };
        held.still_asked(place.generation)?;
        let being_halted = held.entry.halting.is_cancelled();
        let placed = match &*held.slot {
            Slot::Empty if being_halted => Err(wrong_state(place.id, Stage::Halting)),
            Slot::Placed(placed) if placed.record.generation < place.generation => {
                self.place_anew(&mut held, &place).await
            }
            Slot::Placed(placed) => placed_already(&placed.record, &place),
            Slot::Orphan { .. } => Err(wrong_state(place.id, Stage::Booting)),
            Slot::Empty | Slot::Gone => self.place_first(&mut held, &place).await,
        };
        placed.map(|()| self.folder.instance(&place.id).host())
    }

    /// Leaves nothing behind when it fails.
    async fn place_first(self: &Arc<Self>, held: &mut Held, place: &Place) -> Result<(), NodeError> {
        self.engine(place.engine)?.expect_boot();
        let placed = self.make(held, place).await;
        if placed.is_err() {
            let folder = self.folder.instance(&place.id);
            if let Err(error) = self.on_disk(move || folder.remove()).await {
                tracing::warn!(sandbox = %place.id, %error, "instance folder of a failed place not removed");
            }
            *held.slot = Slot::Gone;
            self.table.forget(&held.entry);
        }
        placed
    }

    /// A newer request for what is there already: the controller may change its mind before it boots.
    async fn place_anew(self: &Arc<Self>, held: &mut Held, place: &Place) -> Result<(), NodeError> {
        match held.stage() {
            Some(Stage::Placed) if !held.entry.halting.is_cancelled() => self.make(held, place).await,
            // A server that takes over what is there, or one that has another end in mind for it.
            Some(stage @ (Stage::Up | Stage::Paused)) => {
                match held.record().filter(|record| record.is_of(place)).cloned() {
                    Some(record) => self.keep_up(held, &record, place).await,
                    None => Err(wrong_state(place.id, stage)),
                }
            }
            Some(stage @ (Stage::Placed | Stage::Booting | Stage::Ended(_) | Stage::Halting)) => {
                Err(wrong_state(place.id, stage))
            }
            None => Err(NodeError::NotFound { id: place.id }),
        }
    }

    /// What is up stays so under another generation and, if asked for, until another end.
    async fn keep_up(self: &Arc<Self>, held: &mut Held, record: &Record, place: &Place) -> Result<(), NodeError> {
        let renewed = Record { generation: place.generation, ..record.clone() };
        if record.ends_like(place) {
            return self.write(held, renewed).await;
        }
        let (expires_at, idle_timeout) = (place.expires_at, place.idle_timeout);
        // Its idle time begins now, unless somebody has said that it is in use.
        let busy_until = record.busy_until.max(self.clock.now());
        self.move_end(held, Record { expires_at, idle_timeout, busy_until, ..renewed }).await
    }

    async fn make(self: &Arc<Self>, held: &mut Held, place: &Place) -> Result<(), NodeError> {
        // Until the record says what it is made of, no image goes.
        let _images_stay = self.images_stay.read().await;
        let image = self.resolve(place).await?;
        let folder = self.folder.instance(&place.id);
        self.on_disk(move || folder.make()).await.map_err(NodeError::files("make its folder"))?;
        self.write(held, Record::placed(place, image, self.boot_id.clone())).await?;
        self.start_timer(held);
        tracing::info!(sandbox = %place.id, generation = %place.generation, engine = %place.engine, "sandbox placed");
        Ok(())
    }

    async fn resolve(&self, place: &Place) -> Result<PlacedImage, NodeError> {
        let name = place.image.clone();
        let image = self.ask_images(move |images| images.resolve(&name)).await.map_err(NodeError::Image)?;
        Ok(PlacedImage { name: place.image.clone(), digest: image.digest, path: image.path })
    }
}

fn placed_already(record: &Record, place: &Place) -> Result<(), NodeError> {
    if !record.is_of(place) || !record.ends_like(place) {
        return Err(NodeError::PlacedDifferently { id: place.id, generation: record.generation });
    }
    match record.stage {
        Stage::Placed | Stage::Booting | Stage::Up | Stage::Paused => Ok(()),
        Stage::Ended(_) | Stage::Halting => Err(wrong_state(place.id, record.stage)),
    }
}

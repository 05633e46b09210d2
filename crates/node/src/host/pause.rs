//! Stopping everything in an instance where it is, and letting it go on.
//!
//! Whether an instance is paused is the engine's to know; the record follows it. After a crash between the two the
//! next node asks the engine, and the server says again what it wants.

use std::sync::Arc;

use sentinal_engine::{Engine, EngineError};
use sentinal_model::limits::PAUSE_DEADLINE;
use sentinal_node_protocol::Named;
use tokio::time::timeout;

use super::{Host, hold::Held, wrong_state};
use crate::{
    error::NodeError,
    record::{Record, Stage},
};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Pause,
    Resume,
}

impl Host {
    /// Pauses an instance that is up; one that is paused stays so.
    pub(crate) async fn pause(self: Arc<Self>, asked: Named) -> Result<(), NodeError> {
        self.turn(asked, Way::Pause).await
    }

    /// Resumes an instance that is paused; one that runs stays so. Its idle time begins now, unless it is in use.
    pub(crate) async fn resume(self: Arc<Self>, asked: Named) -> Result<(), NodeError> {
        self.turn(asked, Way::Resume).await
    }

    async fn turn(self: &Arc<Self>, asked: Named, way: Way) -> Result<(), NodeError> {
        let entry = self.table.find(asked.id, asked.generation)?.ok_or(NodeError::NotFound { id: asked.id })?;
        let mut held = Held::of(entry).await;
        held.still_asked(asked.generation)?;
        let record = held.record().cloned().ok_or(NodeError::NotFound { id: asked.id })?;
        if !record.stage.is_up() {
            return Err(wrong_state(asked.id, record.stage));
        }
        self.call(&held, &record, way).await?;
        let stage = if way == Way::Pause { Stage::Paused } else { Stage::Up };
        // Whatever has been said of its use holds: what runs in it goes on with it.
        let busy_until = record.busy_until.max(self.clock.now());
        self.note(&mut held, Record { busy_until, ..record.at(stage) }).await;
        self.start_timer(&mut held);
        tracing::info!(sandbox = %asked.id, stage = stage.as_str(), "instance paused or resumed");
        Ok(())
    }

    async fn call(&self, held: &Held, record: &Record, way: Way) -> Result<(), NodeError> {
        let engine = self.engine(record.engine)?;
        let what = if way == Way::Pause { "pause" } else { "resume" };
        tokio::select! {
            biased;
            () = held.entry.halting.cancelled() => Err(wrong_state(record.id, Stage::Halting)),
            done = timeout(PAUSE_DEADLINE, turned(engine.as_ref(), record, way)) => match done {
                Ok(done) => done.map_err(NodeError::engine(record.engine, what)),
                Err(_) => Err(NodeError::Late { what: "the pause or resume of the sandbox", deadline: PAUSE_DEADLINE }),
            },
        }
    }
}

async fn turned(engine: &dyn Engine, record: &Record, way: Way) -> Result<(), EngineError> {
    match way {
        Way::Pause => engine.pause(&record.id).await,
        Way::Resume => engine.resume(&record.id).await,
    }
}

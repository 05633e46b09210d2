//! Several facts around one disturbance: each is prepared, then all of them are disturbed at once, in the middle of
//! whatever they do, and then each finds out whether it came through.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, anyhow};
use sentinal_tests::{Cell, Column, Fact, Ground, Guest, Neighbour, Options, Role, Server, Skip, on};
use serde_json::Value;
use tokio::{
    sync::{Mutex, Semaphore, watch},
    task::JoinSet,
};

use crate::table::{Running, named};

/// A disturbance and what goes on meanwhile.
pub(crate) struct Scene {
    /// What is disturbed, and the group of its rows.
    pub(crate) name: &'static str,
    /// As many light rows as it weighs.
    pub(crate) weight: u32,
    pub(crate) options: fn(Column) -> Result<Options>,
    pub(crate) disturb: fn(Stage) -> Running<Fact>,
    pub(crate) parts: Vec<Part>,
}

/// One fact of a scene.
pub(crate) struct Part {
    pub(crate) name: String,
    run: Box<dyn Fn(Stage) -> Running<Fact> + Send + Sync>,
}

/// Where a scene plays: a server of its own, with a neighbour. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) column: Column,
    pub(crate) server: Arc<Server>,
    neighbour: Arc<Neighbour>,
    ready: Arc<Semaphore>,
    disturbed: watch::Receiver<Option<Result<(), String>>>,
    is_ready: Arc<AtomicBool>,
    reviving: Arc<Mutex<()>>,
}

/// A fact that calls [`Stage::meanwhile`] in its middle.
pub(crate) fn part<F, R>(fact: F) -> Part
where
    F: Fn(Stage) -> R + Send + Sync + 'static,
    R: Future<Output = Fact> + Send + 'static,
{
    Part { name: named::<F>().1, run: Box::new(move |stage| Box::pin(fact(stage))) }
}

/// A server like any other.
pub(crate) fn plain(_: Column) -> Result<Options> {
    Ok(Options::default())
}

impl Scene {
    /// A cell for each part, and one for what all of them share.
    pub(crate) const AFTERWARDS: &'static str = "a neighbour is unharmed and nothing is left";

    /// Plays the scene on one engine.
    pub(crate) async fn play(&self, column: Column) -> Vec<(String, Cell)> {
        match self.played(column).await {
            Ok(cells) => cells,
            Err(error) => {
                let cell = error.downcast_ref::<Skip>().map_or_else(
                    || Cell::Fail(format!("the scene could not begin: {error:#}")),
                    |skip| Cell::Skipped(skip.0.clone()),
                );
                self.names().map(|name| (name, cell.clone())).collect()
            }
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.parts.iter().map(|part| part.name.clone()).chain([Self::AFTERWARDS.to_owned()])
    }

    async fn played(&self, column: Column) -> Result<Vec<(String, Cell)>> {
        let short = self.name.replace(' ', "-");
        let server = Ground::server(&format!("conformance-{short}"), column, (self.options)(column)?).await?;
        let neighbour = Arc::new(Neighbour::beside(&server, column).await?);
        let (tell, disturbed) = watch::channel(None);
        let ready = Arc::new(Semaphore::new(0));
        let stage = Stage {
            column,
            server: Arc::new(server),
            neighbour,
            ready,
            disturbed,
            is_ready: Arc::default(),
            reviving: Arc::default(),
        };
        let beats = stage.neighbour.beats().await?;
        let mut running = JoinSet::new();
        for part in &self.parts {
            let own = Stage { is_ready: Arc::default(), ..stage.clone() };
            let (name, fact) = (part.name.clone(), (part.run)(own.clone()));
            running.spawn(async move {
                let fact = tokio::spawn(fact).await.unwrap_or_else(|panic| Err(panic.into()));
                own.is_ready();
                (name, Cell::from(fact))
            });
        }
        let parts = u32::try_from(self.parts.len())?;
        stage.ready.acquire_many(parts).await.context("the parts are ready")?.forget();
        let done = (self.disturb)(stage.clone()).await.map_err(|error| format!("{error:#}"));
        tell.send_replace(Some(done));
        let mut cells = Vec::new();
        while let Some(ended) = running.join_next().await {
            cells.push(ended?);
        }
        cells.push((Self::AFTERWARDS.to_owned(), afterwards(stage, beats).await.into()));
        Ok(cells)
    }
}

/// Looks only when all else is over.
async fn afterwards(stage: Stage, beats: u64) -> Fact {
    stage.serves_again().await?;
    let Stage { server, neighbour, .. } = stage;
    neighbour.unharmed(beats).await.with_context(|| server.place().log_tails())?;
    Arc::try_unwrap(neighbour).ok().context("a part holds on to the neighbour")?.gone().await?;
    server.sweep().await?;
    server.clean().await
}

impl Stage {
    /// A sandbox on this engine.
    pub(crate) async fn guest(&self, fields: Value) -> Result<Guest> {
        Guest::of(&self.server, on(self.column, fields)).await
    }

    /// Everything is prepared: waits until it has been disturbed.
    pub(crate) async fn meanwhile(&self) -> Result<()> {
        self.is_ready();
        let mut disturbed = self.disturbed.clone();
        let done = disturbed.wait_for(Option::is_some).await.context("the disturbance never came")?.clone();
        done.unwrap_or(Ok(())).map_err(|error| anyhow!("the disturbance failed: {error}"))
    }

    /// Starts again what a disturbance has ended; whichever part comes first does it for all.
    pub(crate) async fn serves_again(&self) -> Result<()> {
        let _alone = self.reviving.lock().await;
        for role in [Role::Node, Role::Serve] {
            if role.running(self.server.place().data_dir()).is_empty() {
                self.server.launch(role)?;
            }
        }
        self.server.healthy().await
    }

    /// Counted once, also for a part that failed on its way.
    fn is_ready(&self) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            self.ready.add_permits(1);
        }
    }
}

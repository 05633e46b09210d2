//! What a row is, and all of them in the order in which they are printed.

use std::{pin::Pin, time::Duration};

use sentinal_tests::{Fact, Ground};

use crate::{
    archives, bombs, boot, clock, contexts, disk, enforcers, execute, files, folders, killed, large, names, parts,
    pause, ports, processes, restarts, scene::Scene, streams, terminals, watch,
};

/// What is under way for one cell or several.
pub(crate) type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A named fact, and what finds out whether it is one.
pub(crate) struct Row {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) load: Load,
    pub(crate) run: Box<dyn Fn(Ground) -> Running<Fact> + Send + Sync>,
}

/// How much of the machine a row takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Several of these run at once.
    Light,
    /// One of these at once, whatever the engine.
    Heavy,
}

/// Everything that is tried on an engine.
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    pub(crate) scenes: Vec<Scene>,
}

impl Load {
    /// How long a row may take on a machine that has other things to do.
    pub(crate) const fn deadline(self) -> Duration {
        match self {
            Self::Light => Duration::from_mins(6),
            Self::Heavy => Duration::from_mins(12),
        }
    }
}

impl Table {
    pub(crate) fn whole() -> Self {
        let groups = [
            boot::rows(),
            execute::rows(),
            streams::rows(),
            files::rows(),
            names::rows(),
            folders::rows(),
            parts::rows(),
            archives::rows(),
            watch::rows(),
            terminals::rows(),
            ports::rows(),
            contexts::rows(),
            large::rows(),
            processes::rows(),
            bombs::rows(),
            disk::rows(),
            pause::rows(),
            killed::rows(),
        ];
        let scenes = [enforcers::scenes(), restarts::scenes(), clock::scenes()];
        Self { rows: groups.into_iter().flatten().collect(), scenes: scenes.into_iter().flatten().collect() }
    }
}

/// A row that leaves room for others.
pub(crate) fn light<F, R>(fact: F) -> Row
where
    F: Fn(Ground) -> R + Send + Sync + 'static,
    R: Future<Output = Fact> + Send + 'static,
{
    let (group, name) = named::<F>();
    Row { group, name, load: Load::Light, run: Box::new(move |ground| Box::pin(fact(ground))) }
}

/// A row that moves much: one at once.
pub(crate) fn heavy<F, R>(fact: F) -> Row
where
    F: Fn(Ground) -> R + Send + Sync + 'static,
    R: Future<Output = Fact> + Send + 'static,
{
    Row { load: Load::Heavy, ..light(fact) }
}

/// A function is named as a fact, in a file that is named as its group.
pub(crate) fn named<F>() -> (String, String) {
    let path = std::any::type_name::<F>();
    let mut parts = path.rsplit("::");
    let name = parts.next().unwrap_or_default().replace('_', " ");
    (parts.next().unwrap_or_default().to_owned(), name)
}

//! Runs the table on every engine at once, and keeps the book.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use sentinal_tests::{Cell, Column, Fact, Ground, Matrix};
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::table::{Load, Row, Table};

/// Light rows at once, over all engines: enough to keep two cores busy, and not so many that all are slow.
const ROWS_AT_ONCE: usize = 4;
/// A scene is given up after this.
const SCENE_DEADLINE: Duration = Duration::from_mins(12);

/// What is looked for when all rows of an engine are over.
const AFTERWARDS: (&str, &str) = ("boot", "nothing is left when everything is over");

/// What everything that runs shares.
struct Suite {
    table: Table,
    words: Vec<String>,
    matrix: Mutex<Matrix>,
    light: Semaphore,
    heavy: Semaphore,
}

/// Runs what has each of these words in its line.
pub(crate) async fn run(words: Vec<String>) -> ExitCode {
    let begun = Instant::now();
    let mut matrix = Matrix::new("conformance", Column::ALL.map(Column::name).to_vec());
    let table = Table::whole();
    let shown = |group: &str, name: &str| Column::ALL.iter().any(|column| wanted(&words, *column, group, name));
    for row in table.rows.iter().filter(|row| shown(&row.group, &row.name)) {
        matrix.announce(&row.group, &row.name);
    }
    for scene in &table.scenes {
        scene.names().filter(|name| shown(scene.name, name)).for_each(|name| matrix.announce(scene.name, &name));
    }
    let (light, heavy) = (Semaphore::new(ROWS_AT_ONCE), Semaphore::new(1));
    let suite = Arc::new(Suite { table, words, matrix: Mutex::new(matrix), light, heavy });
    let columns = Column::ALL.map(|column| tokio::spawn(Arc::clone(&suite).run_column(column)));
    for column in columns {
        // Its rows that nobody filled in count as failed.
        let _ = column.await;
    }
    match Arc::try_unwrap(suite) {
        Ok(suite) => suite.matrix.into_inner().close(begun.elapsed()),
        Err(_) => ExitCode::FAILURE,
    }
}

fn wanted(words: &[String], column: Column, group: &str, name: &str) -> bool {
    let line = format!("{}: {group}: {name}", column.name());
    words.iter().all(|word| line.contains(word.as_str()))
}

impl Suite {
    async fn run_column(self: Arc<Self>, column: Column) {
        let mut running = JoinSet::new();
        for scene in 0..self.table.scenes.len() {
            running.spawn(Arc::clone(&self).play(scene, column));
        }
        self.run_rows(column).await;
        while running.join_next().await.is_some() {}
        self.mark_unwanted(column).await;
    }

    async fn run_rows(self: &Arc<Self>, column: Column) {
        let chosen = |row: &Row| wanted(&self.words, column, &row.group, &row.name);
        if !self.table.rows.iter().any(chosen) {
            return;
        }
        let ground = match Ground::start("conformance", column).await {
            Ok(ground) => ground,
            Err(error) => return self.all_rows(column, &Cell::from(Err(error))).await,
        };
        let mut running = JoinSet::new();
        for index in (0..self.table.rows.len()).filter(|index| chosen(&self.table.rows[*index])) {
            running.spawn(Arc::clone(self).run_row(index, ground.clone()));
        }
        while running.join_next().await.is_some() {}
        let left = ground.close().await.context("after all rows");
        self.afterwards(column, left.into()).await;
    }

    async fn run_row(self: Arc<Self>, index: usize, ground: Ground) {
        let row = &self.table.rows[index];
        let Ok(_single) = self.heavy.acquire_many(u32::from(row.load == Load::Heavy)).await else { return };
        let Ok(_room) = self.light.acquire().await else { return };
        let (begun, column) = (Instant::now(), ground.column());
        let run = tokio::spawn(within_its_deadline(row, ground));
        let fact = run.await.unwrap_or_else(|panic| Err(panic.into()));
        self.set(&row.group, &row.name, column, fact.into(), Some(begun.elapsed())).await;
    }

    async fn play(self: Arc<Self>, index: usize, column: Column) {
        let scene = &self.table.scenes[index];
        if !scene.names().any(|name| wanted(&self.words, column, scene.name, &name)) {
            return;
        }
        let Ok(_room) = self.light.acquire_many(scene.weight).await else { return };
        let begun = Instant::now();
        let cells = match timeout(SCENE_DEADLINE, scene.play(column)).await {
            Ok(cells) => cells,
            Err(_) => scene.names().map(|name| (name, too_late(SCENE_DEADLINE))).collect(),
        };
        for (name, cell) in cells {
            self.set(scene.name, &name, column, cell, Some(begun.elapsed())).await;
        }
    }

    /// What was not asked for, in a row that was for another engine.
    async fn mark_unwanted(&self, column: Column) {
        let rows = self.table.rows.iter().map(|row| (row.group.clone(), row.name.clone()));
        let scenes = self.table.scenes.iter().flat_map(|scene| scene.names().map(|name| (scene.name.to_owned(), name)));
        for (group, name) in rows.chain(scenes) {
            let elsewhere = Column::ALL.iter().any(|other| wanted(&self.words, *other, &group, &name));
            if elsewhere && !wanted(&self.words, column, &group, &name) {
                self.set(&group, &name, column, Cell::Skipped("not asked for".to_owned()), None).await;
            }
        }
    }

    async fn all_rows(&self, column: Column, cell: &Cell) {
        for row in self.table.rows.iter().filter(|row| wanted(&self.words, column, &row.group, &row.name)) {
            self.set(&row.group, &row.name, column, cell.clone(), None).await;
        }
        self.afterwards(column, cell.clone()).await;
    }

    /// A row of whole runs: in others some columns would not have it.
    async fn afterwards(&self, column: Column, cell: Cell) {
        if self.words.is_empty() || cell != Cell::Pass {
            self.set(AFTERWARDS.0, AFTERWARDS.1, column, cell, None).await;
        }
    }

    async fn set(&self, group: &str, name: &str, column: Column, cell: Cell, took: Option<Duration>) {
        self.matrix.lock().await.set(group, name, column.name(), cell, took);
    }
}

/// The fact, and that the neighbour did not notice.
fn within_its_deadline(row: &Row, ground: Ground) -> impl Future<Output = Fact> + use<> {
    let (deadline, run) = (row.load.deadline(), (row.run)(ground.clone()));
    async move {
        let before = ground.neighbour().beats().await?;
        timeout(deadline, run).await.with_context(|| format!("not within {} s", deadline.as_secs()))??;
        ground.neighbour().unharmed(before).await
    }
}

fn too_late(deadline: Duration) -> Cell {
    Cell::Fail(format!("not within {} s", deadline.as_secs()))
}

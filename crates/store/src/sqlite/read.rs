//! Reading, on connections of its own: a read never waits for a commit.

use std::path::PathBuf;

use sentinal_model::{Error, ExecutionId, Result, SandboxId, TenantId, limits::PAGE_ROWS_MAX};
use sqlx::{
    FromRow, Sqlite, SqlitePool,
    query::QueryAs,
    sqlite::{SqliteArguments, SqlitePoolOptions, SqliteRow},
};

use super::{failure, open::Database};
use crate::{
    EventRecord, ExecutionRecord, KeyRecord, Page, SandboxRecord, limits,
    row::{CorruptRow, EventRow, ExecutionRow, KeyRow, SandboxRow},
};

/// Greater than every id: where a list that begins with the newest begins.
const BEYOND_EVERY_ID: &str = "~";

/// The read-only connections.
#[derive(Debug)]
pub(super) struct Reads {
    pool: SqlitePool,
    folder: PathBuf,
}

type Rows<'q, Row> = QueryAs<'q, Sqlite, Row, SqliteArguments>;

impl Reads {
    /// Connects when first needed.
    pub(super) fn new(database: &Database) -> Self {
        let pool = SqlitePoolOptions::new()
            .max_connections(limits::READERS_MAX)
            .acquire_timeout(limits::READER_WAIT)
            .test_before_acquire(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(database.for_reading());
        Self { pool, folder: database.folder().to_owned() }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    pub(super) async fn sandbox(&self, id: SandboxId) -> Result<Option<SandboxRecord>> {
        self.one(sqlx::query_as::<_, SandboxRow>("SELECT * FROM sandbox WHERE id = $1").bind(id.to_string())).await
    }

    pub(super) async fn sandboxes(&self, tenant: &TenantId, page: Page<SandboxId>) -> Result<Vec<SandboxRecord>> {
        let page_of = sqlx::query_as::<_, SandboxRow>(
            "SELECT * FROM sandbox WHERE tenant_id = $1 AND (created_at, id) < \
             (COALESCE((SELECT created_at FROM sandbox WHERE tenant_id = $1 AND id = $2), $4), $2) \
             ORDER BY created_at DESC, id DESC LIMIT $3",
        );
        // A row that was removed meanwhile was created when its id says, or later.
        let created_at = page.after.map_or(i64::MAX, |id| id.generated_at().0);
        let page_of = page_of.bind(tenant.to_string()).bind(before(page.after)).bind(rows(page.rows_max));
        self.all(page_of.bind(created_at)).await
    }

    pub(super) async fn unfinished_sandboxes(&self) -> Result<Vec<SandboxRecord>> {
        self.all(sqlx::query_as::<_, SandboxRow>("SELECT * FROM sandbox WHERE phase <> 'finished' ORDER BY id")).await
    }

    pub(super) async fn execution(&self, id: ExecutionId) -> Result<Option<ExecutionRecord>> {
        self.one(sqlx::query_as::<_, ExecutionRow>("SELECT * FROM execution WHERE id = $1").bind(id.to_string())).await
    }

    pub(super) async fn executions(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>> {
        let of_tenant = "SELECT * FROM execution WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let of_sandbox =
            "SELECT * FROM execution WHERE sandbox_id = $4 AND tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let page_of = sqlx::query_as::<_, ExecutionRow>(if sandbox.is_some() { of_sandbox } else { of_tenant })
            .bind(tenant.to_string())
            .bind(before(page.after))
            .bind(rows(page.rows_max));
        match sandbox {
            Some(id) => self.all(page_of.bind(id.to_string())).await,
            None => self.all(page_of).await,
        }
    }

    pub(super) async fn running_executions(&self) -> Result<Vec<ExecutionRecord>> {
        self.all(sqlx::query_as::<_, ExecutionRow>("SELECT * FROM execution WHERE state = 'running' ORDER BY id")).await
    }

    pub(super) async fn keys(&self) -> Result<Vec<KeyRecord>> {
        self.all(sqlx::query_as::<_, KeyRow>("SELECT * FROM api_key WHERE revoked_at IS NULL ORDER BY id")).await
    }

    pub(super) async fn events(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<EventRecord>> {
        let of_tenant = "SELECT * FROM event WHERE tenant_id = $1 AND cursor > $2 ORDER BY cursor LIMIT $3";
        let of_sandbox =
            "SELECT * FROM event WHERE sandbox_id = $4 AND tenant_id = $1 AND cursor > $2 ORDER BY cursor LIMIT $3";
        let page_of = sqlx::query_as::<_, EventRow>(if sandbox.is_some() { of_sandbox } else { of_tenant })
            .bind(tenant.to_string())
            .bind(after)
            .bind(rows(rows_max));
        match sandbox {
            Some(id) => self.all(page_of.bind(id.to_string())).await,
            None => self.all(page_of).await,
        }
    }

    async fn one<Row, Record>(&self, query: Rows<'_, Row>) -> Result<Option<Record>>
    where
        Row: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
        Record: TryFrom<Row, Error = CorruptRow>,
    {
        let row = query.fetch_optional(&self.pool).await.map_err(|error| self.explain(&error))?;
        Ok(row.map(Record::try_from).transpose()?)
    }

    async fn all<Row, Record>(&self, query: Rows<'_, Row>) -> Result<Vec<Record>>
    where
        Row: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
        Record: TryFrom<Row, Error = CorruptRow>,
    {
        let rows = query.fetch_all(&self.pool).await.map_err(|error| self.explain(&error))?;
        Ok(rows.into_iter().map(Record::try_from).collect::<std::result::Result<_, _>>()?)
    }

    fn explain(&self, error: &sqlx::Error) -> Error {
        failure::explain(error, &self.folder)
    }
}

/// What the ids of a page are smaller than.
fn before<Id: ToString>(after: Option<Id>) -> String {
    after.map_or_else(|| BEYOND_EVERY_ID.to_owned(), |id| id.to_string())
}

/// How many rows a page may have.
fn rows(rows_max: u32) -> i64 {
    i64::from(rows_max.min(PAGE_ROWS_MAX))
}

//! The changes that brought the tables to where this version has them, each made once, in order.

use rusqlite::{Connection, OptionalExtension as _};

/// The first change is number one. SQLite keeps in its `user_version` how many were made.
const CHANGES: [&str; 8] = [
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_pause.sql"),
    include_str!("../../migrations/0003_pool.sql"),
    include_str!("../../migrations/0004_idempotency.sql"),
    include_str!("../../migrations/0005_results.sql"),
    include_str!("../../migrations/0006_webhook.sql"),
    include_str!("../../migrations/0007_usage.sql"),
    include_str!("../../migrations/0008_transfer.sql"),
];

/// Tables to which a later version made this change.
#[derive(Debug)]
pub(super) struct Newer(pub(super) i64);

/// Makes the changes that were not made yet, each as a whole or not at all.
pub(super) fn make(connection: &mut Connection) -> rusqlite::Result<Result<(), Newer>> {
    let made = made(connection)?;
    let Some(missing) = usize::try_from(made).ok().and_then(|made| CHANGES.get(made..)) else {
        return Ok(Err(Newer(made)));
    };
    for (number, change) in (made + 1..).zip(missing) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(change)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(Ok(()))
}

fn made(connection: &Connection) -> rusqlite::Result<i64> {
    match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
        0 => made_before_0_1(connection),
        made => Ok(made),
    }
}

/// Builds from before version 0.1 counted in a table.
fn made_before_0_1(connection: &Connection) -> rusqlite::Result<i64> {
    let table = "SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    match connection.query_row(table, [], |_| Ok(())).optional()? {
        Some(()) => connection.query_row("SELECT COUNT(*) FROM _sqlx_migrations", [], |row| row.get(0)),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> Vec<String> {
        let mut sql = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
        let found = sql.query_map([], |row| row.get(0)).unwrap();
        found.map(Result::unwrap).filter(|sql: &String| !sql.contains("_sqlx_migrations")).collect()
    }

    #[test]
    fn a_change_is_made_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        make(&mut connection).unwrap().unwrap();
        let first = tables(&connection);
        make(&mut connection).unwrap().unwrap();
        assert!(!first.is_empty() && tables(&connection) == first);
    }

    #[test]
    fn tables_that_were_counted_otherwise_get_what_they_lack() {
        let mut fresh = Connection::open_in_memory().unwrap();
        make(&mut fresh).unwrap().unwrap();
        let mut older = Connection::open_in_memory().unwrap();
        older.execute_batch(CHANGES[0]).unwrap();
        older
            .execute_batch("CREATE TABLE _sqlx_migrations (version BIGINT); INSERT INTO _sqlx_migrations VALUES (1)")
            .unwrap();
        make(&mut older).unwrap().unwrap();
        assert_eq!(tables(&older), tables(&fresh));
    }

    #[test]
    fn what_requests_had_made_is_known_after_the_table_was_made_anew() {
        let mut connection = Connection::open_in_memory().unwrap();
        CHANGES[..5].iter().for_each(|change| connection.execute_batch(change).unwrap());
        connection.pragma_update(None, "user_version", 5).unwrap();
        let row = "INSERT INTO idempotency (tenant_id, key, generation, request, execution_id, created_at) \
             VALUES ('default', 'k', 3, x'07', 'exe_1', 42)";
        connection.execute_batch(row).unwrap();
        make(&mut connection).unwrap().unwrap();
        let kept = "SELECT tenant_id || key || generation || hex(request) || execution_id || created_at FROM idempotency \
             WHERE sandbox_id IS NULL AND webhook_id IS NULL";
        assert_eq!(connection.query_one(kept, [], |row| row.get::<_, String>(0)).unwrap(), "defaultk307exe_142");
    }

    #[test]
    fn a_change_that_fails_is_none() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE event (id)").unwrap();
        make(&mut connection).unwrap_err();
        assert_eq!(tables(&connection), ["CREATE TABLE event (id)"]);
    }
}

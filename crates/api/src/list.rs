//! A page of a list.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A page of a list, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What to send as `cursor` for the rows after these; null when there are none.
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A page of at most `limit` of `rows`. One row more than that says that there is a next page; `cursor` names
    /// the last row shown.
    pub fn page<Row>(
        mut rows: Vec<Row>,
        limit: u32,
        cursor: impl FnOnce(&Row) -> String,
        show: impl Fn(Row) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(cursor);
        Self { items: rows.into_iter().map(show).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: Vec<u8>, items: &[u8], next: Option<&str>) {
        let list = List::page(rows, 2, ToString::to_string, |row| row);
        assert_eq!((list.items.as_slice(), list.next.as_deref()), (items, next));
    }

    #[test]
    fn there_is_a_next_page_only_if_there_are_more_rows() {
        check(vec![], &[], None);
        check(vec![1, 2], &[1, 2], None);
        check(vec![1, 2, 3], &[1, 2], Some("2"));
    }
}

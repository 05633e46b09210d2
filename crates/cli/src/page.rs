//! Lists, however many pages they have.

use anyhow::{Result, ensure};
use sentinal_api::List;
use sentinal_model::limits;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// Rows of one list: more are not for one screen, nor for one document.
const ROWS_MAX: usize = 100_000;

/// All rows of a list, as one page.
pub(crate) async fn all<T: DeserializeOwned>(
    client: &Client,
    path: &[&str],
    query: &[(&str, &str)],
) -> Result<Answer<List<T>>> {
    let limit = limits::PAGE_ROWS_MAX.to_string();
    let (mut rows, mut items): (Vec<Value>, Vec<T>) = (Vec::new(), Vec::new());
    let mut cursor: Option<String> = None;
    loop {
        let mut query = query.to_vec();
        query.push(("limit", &limit));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page: Answer<List<T>> = client.get(path, &query).await?;
        if let Some(Value::Array(mut more)) = page.json.get_mut("items").map(Value::take) {
            rows.append(&mut more);
        }
        items.extend(page.body.items);
        ensure!(items.len() <= ROWS_MAX, "the list has more than {ROWS_MAX} rows; narrow it down");
        cursor = page.body.next;
        if cursor.is_none() {
            return Ok(Answer { json: json!({"items": rows, "next": null}), body: List { items, next: None } });
        }
    }
}

//! An example for every answer: what a server really said, as the test `examples` has recorded it.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::{
    OpenApi, PathItem, RefOr,
    path::{Operation, Paths},
};

/// By operation, status and media type.
type Recorded = BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>;

const RECORDED: &str = include_str!("examples.json");

/// Puts each where it belongs.
pub(super) fn add(document: &mut OpenApi) {
    // A test reads it: it is in the tree, and it is what it is.
    let recorded: Recorded = serde_json::from_str(RECORDED).unwrap_or_default();
    for operation in operations(&mut document.paths) {
        let Some(answers) = operation.operation_id.as_ref().and_then(|id| recorded.get(id)) else { continue };
        for (status, response) in &mut operation.responses.responses {
            let (Some(kinds), RefOr::T(response)) = (answers.get(status), response) else { continue };
            for (kind, content) in &mut response.content {
                if let RefOr::T(content) = content {
                    content.example = kinds.get(kind).cloned();
                }
            }
        }
    }
}

fn operations(paths: &mut Paths) -> impl Iterator<Item = &mut Operation> {
    paths.paths.values_mut().flat_map(|item| {
        let PathItem { get, put, post, delete, patch, .. } = item;
        [get, put, post, delete, patch].into_iter().flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_can_be_read() {
        assert!(!serde_json::from_str::<Recorded>(RECORDED).unwrap().is_empty());
    }
}

//! The description that is checked in is the one that the handlers give.
//! `UPDATE_OPENAPI=1 cargo test -p sentinal-gateway --test openapi` writes it anew.

use std::{fs, path::Path};

use sentinal_gateway::openapi_document;
use sentinal_telemetry::Route;
use serde_json::Value;

#[test]
fn the_checked_in_document_is_what_the_handlers_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let fresh = openapi_document();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == fresh, "docs/openapi.json is stale: run this test with UPDATE_OPENAPI=1");
}

#[test]
fn every_route_is_described() {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let described: Vec<&str> = paths.keys().map(String::as_str).collect();
    // What is behind a port has any path; the document has no words for that and names the root.
    let is_described = |route: &&Route| !matches!(route, Route::Port | Route::PortItself);
    let mut routes: Vec<&str> = Route::ALL.iter().filter(is_described).map(|route| route.template()).collect();
    routes.sort_unstable();
    assert_eq!(described, routes);
}

#[test]
fn every_reference_leads_somewhere() {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_who_may_call_it() {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let mut names = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            names.push(operation["operationId"].as_str().unwrap().to_owned());
            let is_open = operation["security"] == serde_json::json!([{}]);
            let should_be_open = ["/health", "/livez", "/readyz", "/openapi.json", "/docs"].contains(&path.as_str());
            assert_eq!(is_open, should_be_open, "{path}");
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
}

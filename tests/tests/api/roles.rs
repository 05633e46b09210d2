//! What each role may do, route by route, on a real server. The routes are those of the API's description: one that is
//! not in the table below fails the test.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use sentinal_tests::{Client, Fact, Opened, shared};
use serde_json::{Value, json};

/// How a route is asked: with something that can never come to pass.
enum Ask {
    Plain(&'static str, &'static str),
    Body(&'static str, &'static str, fn() -> Value),
    Socket(&'static str),
    /// Not by those who may: it would do what it says to all images of this machine.
    Refused(&'static str, &'static str),
}

use Ask::{Body, Plain, Refused, Socket};

/// The letters of the roles that may: admin, operator, developer, viewer, auditor; `-` is anybody, without a key.
const TABLE: &[(&str, Ask)] = &[
    ("aod", Body("POST", "/api/v1/sandbox", || json!({"cpu": 0}))),
    ("aodvu", Plain("GET", "/api/v1/sandbox")),
    ("aodvu", Plain("GET", "/api/v1/sandbox/{id}")),
    ("aod", Body("PATCH", "/api/v1/sandbox/{id}", || json!({"ttl": 60}))),
    ("aod", Plain("DELETE", "/api/v1/sandbox/{id}")),
    ("aodvu", Plain("GET", "/api/v1/sandbox/{id}/stats")),
    ("aod", Body("POST", "/api/v1/sandbox/{id}/pause", || json!({}))),
    ("aod", Body("POST", "/api/v1/sandbox/{id}/resume", || json!({}))),
    ("aod", Plain("GET", "/api/v1/sandbox/{id}/files?path=/x")),
    ("aod", Plain("PUT", "/api/v1/sandbox/{id}/files?path=/x")),
    ("aod", Plain("DELETE", "/api/v1/sandbox/{id}/files?path=/x")),
    ("aod", Plain("GET", "/api/v1/sandbox/{id}/files/archive?path=/x")),
    ("aod", Plain("PUT", "/api/v1/sandbox/{id}/files/archive?path=/x")),
    ("aod", Plain("GET", "/api/v1/sandbox/{id}/files/stat?path=/x")),
    ("aod", Plain("GET", "/api/v1/sandbox/{id}/files/list?path=/x")),
    ("aod", Plain("GET", "/api/v1/sandbox/{id}/files/watch?path=/x")),
    ("aod", Body("POST", "/api/v1/sandbox/{id}/files/mkdir", || json!({"path": "/x"}))),
    ("aod", Body("POST", "/api/v1/sandbox/{id}/files/move", || json!({"from": "/x", "to": "/y"}))),
    ("aod", Plain("POST", "/api/v1/upload?sandbox_id={id}&path=/x")),
    ("aod", Plain("GET", "/api/v1/download?sandbox_id={id}&path=/x")),
    ("aod", Body("POST", "/api/v1/execute", || json!({"sandbox_id": SANDBOX, "command": "true"}))),
    ("aodvu", Plain("GET", "/api/v1/execution")),
    ("aodvu", Plain("GET", "/api/v1/execution/{id}")),
    ("aodvu", Plain("GET", "/api/v1/execution/{id}/output")),
    ("aod", Body("POST", "/api/v1/execution/{id}/signal", || json!({"signal": "TERM"}))),
    ("aod", Plain("POST", "/api/v1/execution/{id}/stdin")),
    ("aod", Body("POST", "/api/v1/execution/{id}/resize", || json!({"cols": 80, "rows": 24}))),
    ("aod", Body("POST", "/api/v1/sandbox/{id}/context", || json!({"language": "python"}))),
    ("aodvu", Plain("GET", "/api/v1/sandbox/{id}/context")),
    ("aod", Plain("DELETE", "/api/v1/sandbox/{id}/context/{context_id}")),
    ("aod", Socket("/api/v1/sandbox/{id}/terminal")),
    ("aod", Socket("/api/v1/sandbox/{id}/tunnel/{port}")),
    ("aod", Body("POST", "/api/v1/sandbox/{id}/link", || json!({"port": 80}))),
    ("aod", Plain("GET", "/api/v1/sandbox/{id}/port/{port}/")),
    ("aodvu", Plain("GET", "/api/v1/engine")),
    ("aodvu", Plain("GET", "/api/v1/image")),
    ("aodvu", Plain("GET", "/api/v1/image/{name}")),
    ("ao", Plain("DELETE", "/api/v1/image/{name}")),
    ("ao", Plain("POST", "/api/v1/image/import")),
    ("ao", Body("POST", "/api/v1/image/pull", || json!({"reference": ""}))),
    ("ao", Refused("POST", "/api/v1/image/prune")),
    ("aodvu", Plain("GET", "/api/v1/image/job")),
    ("aodvu", Plain("GET", "/api/v1/image/job/{id}")),
    ("aodvu", Plain("GET", "/api/v1/image/job/{id}/log")),
    ("ao", Plain("DELETE", "/api/v1/image/job/{id}")),
    ("ao", Plain("POST", "/api/v1/image/build")),
    ("a", Body("POST", "/api/v1/key", || json!({"name": ""}))),
    ("au", Plain("GET", "/api/v1/key")),
    ("aodvu", Plain("GET", "/api/v1/key/self")),
    ("au", Plain("GET", "/api/v1/key/{id}")),
    ("a", Plain("DELETE", "/api/v1/key/{id}")),
    ("ao", Body("POST", "/api/v1/webhook", || json!({"url": ""}))),
    ("ao", Plain("GET", "/api/v1/webhook")),
    ("ao", Plain("GET", "/api/v1/webhook/{id}")),
    ("ao", Body("PATCH", "/api/v1/webhook/{id}", || json!({"enabled": false}))),
    ("ao", Plain("DELETE", "/api/v1/webhook/{id}")),
    ("ao", Plain("POST", "/api/v1/webhook/{id}/test")),
    ("ao", Plain("GET", "/api/v1/webhook/{id}/delivery")),
    ("aodvu", Plain("GET", "/api/v1/usage")),
    ("aodvu", Plain("GET", "/api/v1/quota")),
    ("aodvu", Plain("GET", "/api/v1/logs")),
    ("aodvu", Plain("GET", "/api/v1/events")),
    ("aov", Plain("GET", "/metrics")),
    ("-", Plain("GET", "/health")),
    ("-", Plain("GET", "/livez")),
    ("-", Plain("GET", "/readyz")),
    ("-", Plain("GET", "/openapi.json")),
    ("-", Plain("GET", "/docs")),
];

const ROLES: [(char, &str); 5] =
    [('a', "admin"), ('o', "operator"), ('d', "developer"), ('v', "viewer"), ('u', "auditor")];

const SANDBOX: &str = "sbx_00000000000000000000000000000000";

impl Ask {
    fn route(&self) -> (Method, &'static str) {
        let (method, path) = match *self {
            Plain(method, path) | Body(method, path, _) | Refused(method, path) => (method, path),
            Socket(path) => ("GET", path),
        };
        (method.parse().unwrap_or_default(), path)
    }

    /// The status that somebody is answered with.
    async fn status(&self, client: &Client) -> Result<u16> {
        let (method, path) = self.route();
        let path = filled(path);
        if let Socket(_) = self {
            let below = path.strip_prefix("/api/v1").context("a path of the API")?;
            let key = client.authorization();
            let key = key.trim_end().strip_prefix("Authorization: ").map(|key| ("authorization", key.to_owned()));
            return match client.open_socket(below, key.as_slice()).await? {
                Opened::Socket(_) => Ok(101),
                Opened::Refused(status, _) => Ok(status),
            };
        }
        let request = client.request(method, &path);
        let request = if let Body(.., body) = self { request.json(&body()) } else { request };
        Ok(request.send().await?.status)
    }
}

/// The path with ids of nothing in it.
fn filled(path: &str) -> String {
    let kind = match path.split('/').nth(3).unwrap_or_default() {
        "execution" => "exe",
        "key" => "key",
        "image" => "job",
        "webhook" => "whk",
        _ => "sbx",
    };
    let zeros = "0".repeat(32);
    let ids = [("{id}", format!("{kind}_{zeros}")), ("{context_id}", format!("ctx_{zeros}"))];
    let rest = [("{port}", "80".to_owned()), ("{name}", "no-such-image".to_owned())];
    ids.iter().chain(&rest).fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
}

/// Every method of every path of the API's description.
fn described() -> Result<BTreeSet<(String, String)>> {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json"))?;
    let paths = document["paths"].as_object().context("paths")?;
    let methods = |(path, operations): (&String, &Value)| {
        let methods = operations.as_object().into_iter().flatten();
        methods.map(|(method, _)| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    Ok(paths.iter().flat_map(methods).collect())
}

#[test]
fn every_route_is_in_the_table_once() -> Fact {
    let in_table = TABLE.iter().map(|(_, ask)| {
        let (method, path) = ask.route();
        (method.to_string(), path.split('?').next().unwrap_or_default().to_owned())
    });
    let in_table: Vec<_> = in_table.collect();
    let distinct: BTreeSet<_> = in_table.iter().cloned().collect();
    ensure!(distinct.len() == in_table.len(), "a route stands in the table twice");
    let described = described()?;
    let missing: Vec<_> = described.difference(&distinct).collect();
    let gone: Vec<_> = distinct.difference(&described).collect();
    ensure!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; not in the API: {gone:?}");
    Ok(())
}

#[tokio::test]
async fn every_role_may_do_what_the_table_says_and_nothing_else() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let admin = server.client()?;
    let mut wrong = Vec::new();
    for (letter, role) in ROLES {
        let made = admin.post("/key").json(&json!({"name": format!("the {role}"), "role": role})).send().await?;
        let made: Value = made.expect(201)?.json()?;
        let client = server.client_with(made["key"].as_str().map(str::to_owned));
        for (roles, ask) in TABLE {
            let may = roles.contains(letter) || *roles == "-";
            if may && matches!(ask, Refused(..)) {
                continue;
            }
            let status = ask.status(&client).await?;
            let is_as_it_should_be = if may { ![401, 403].contains(&status) && status < 500 } else { status == 403 };
            if !is_as_it_should_be {
                wrong.push(format!("{role}: {:?} is answered with {status}", ask.route()));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn without_a_key_there_is_nothing_but_what_anybody_may_see() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    for key in [None, Some("sntl_0".to_owned()), Some(format!("sntl_{:032}_{:064}", 0, 0))] {
        let client = server.client_with(key);
        for (roles, ask) in TABLE {
            let status = ask.status(&client).await?;
            ensure!((status == 401) != (*roles == "-"), "{:?}: {status}", ask.route());
        }
    }
    Ok(())
}

//! Log lines for collectors.

use anyhow::{Context as _, ensure};
use sentinal_tests::{Fact, Options, Role, Server, eventually};
use serde_json::Value;
use std::time::Duration;

#[tokio::test]
async fn every_line_is_an_object_with_what_it_is_about_and_no_secret() -> Fact {
    let json = || vec!["--log-format".into(), "json".into(), "--log".into(), "debug".into()];
    let options = Options { serve: json(), node: json(), ..Options::default() };
    let Some(server) = Server::start("lines", options).await? else { return Ok(()) };
    let client = server.client()?;
    let secret = "a-secret-that-is-nobodys-business";
    let new = serde_json::json!({"command": "true", "memory": "256Mi", "env": {"TOKEN": secret}});
    let answer = client.post("/execute").json(&new).send().await?.expect(200)?;
    let sandbox = answer.json::<Value>()?["sandbox_id"].as_str().context("a sandbox")?.to_owned();
    let refused = client.get("/sandbox/nonsense").send().await?;
    let request = refused.headers.get("x-request-id").context("an id")?.to_str()?.to_owned();
    let place = server.place();
    let read = |role| std::fs::read_to_string(place.log(role)).context("read the log");
    let seen = || async {
        let about = |field: &str, id: &str| format!("\"{field}\":\"{id}\"");
        ensure!(read(Role::Serve)?.contains(&about("request_id", &request)), "no line about the request");
        ensure!(read(Role::Serve)?.contains(&about("sandbox", &sandbox)), "no line about the sandbox");
        ensure!(read(Role::Node)?.contains(&about("sandbox", &sandbox)), "no line of the node about the sandbox");
        ensure!(read(Role::Serve)?.contains("\"message\":\"server listening\""), "the server did not say where it is");
        Ok(())
    };
    eventually("the lines", Duration::from_secs(20), seen).await?;
    let key = std::fs::read_to_string(place.admin_key())?;
    for role in Role::ALL {
        let text = read(role)?;
        ensure!(!text.contains(secret) && !text.contains(key.trim()), "a secret is in the log of {role:?}");
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| format!("{role:?}: {line}"))?;
            for field in ["time", "level", "target", "message"] {
                ensure!(line[field].is_string(), "{role:?}: no {field} in {line}");
            }
        }
    }
    Ok(())
}

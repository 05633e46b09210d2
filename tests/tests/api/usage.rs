//! What was used: counted by the host, once, and kept over a server that is killed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use sentinal_tests::{Client, Fact, NewExecution, Options, Role, Server, eventually};
use serde_json::{Value, json};

async fn report(client: &Client, query: &str) -> Result<Value> {
    client.get(&format!("/usage{query}")).send().await?.expect(200)?.json()
}

fn total(report: &Value, field: &str) -> f64 {
    report["total"][field].as_f64().unwrap_or(f64::NAN)
}

/// The sum of a field over the items.
fn sum(report: &Value, field: &str) -> f64 {
    report["items"].as_array().into_iter().flatten().filter_map(|item| item[field].as_f64()).sum()
}

#[tokio::test]
async fn what_was_used_is_counted_once_also_over_a_kill() -> Fact {
    let Some(server) = Server::start("usage", Options::default()).await? else { return Ok(()) };
    let client = server.client()?;
    let nothing = report(&client, "").await?;
    ensure!(nothing["items"] == json!([]) && nothing["total"]["sandboxes"] == 0, "{nothing}");

    let key = client.post("/key").json(&json!({"name": "other", "role": "developer"})).send().await?;
    let key: Value = key.expect(201)?.json()?;
    let other = server.client_with(key["key"].as_str().map(str::to_owned));
    let sandbox = client.create(&json!({"memory": "256Mi", "ttl": 300})).await?;
    let busy = NewExecution::shell("timeout 2 sh -c 'while :; do :; done'; head -c 1000 /dev/zero").within(&sandbox.id);
    other.execute(&busy).await?;
    other.execute(&NewExecution::shell("kill -9 $$").within(&sandbox.id)).await?;
    client.execute(&NewExecution::shell("sleep 9").within(&sandbox.id).with("timeout", 0.5)).await?;
    server.kill(Role::Serve).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    client.destroy(&sandbox.id).await?.expect(200)?;

    let days = report(&client, "").await?;
    let ended: Value = client.get(&format!("/sandbox/{}", sandbox.id)).send().await?.expect(200)?.json()?;
    let there = seconds(&ended["finished_at"])? - seconds(&ended["created_at"])?;
    ensure!((total(&days, "sandbox_seconds") - there).abs() < 0.01, "{there} s: {days}");
    ensure!((total(&days, "memory_gib_seconds") - there / 4.0).abs() < 0.01, "{days}");
    ensure!((1.0..there * 4.0).contains(&total(&days, "cpu_seconds")), "{there} s: {days}");
    ensure!(days["total"]["sandboxes"] == 1 && days["total"]["output_bytes"] == 1000, "{days}");
    let counts = json!({"exited": 1, "signaled": 1, "timeout": 1, "oom": 0, "killed": 0});
    ensure!(days["total"]["executions"] == counts, "{days}");

    for by in ["hour", "key", "engine"] {
        let other_view = report(&client, &format!("?by={by}")).await?;
        ensure!(other_view["total"] == days["total"], "{other_view} instead of {days}");
        for field in ["sandboxes", "sandbox_seconds", "cpu_seconds", "output_bytes"] {
            ensure!((sum(&other_view, field) - total(&days, field)).abs() < 1e-6, "{field}: {other_view}");
        }
    }
    let keys = report(&client, "?by=key").await?;
    let of_other = keys["items"].as_array().into_iter().flatten().find(|item| item["group"] == key["id"]);
    let of_other = of_other.with_context(|| format!("{} in {keys}", key["id"]))?;
    ensure!(of_other["executions"]["exited"] == 1 && of_other["sandboxes"] == 0, "{of_other}");
    let engines = report(&client, "?by=engine").await?;
    ensure!(engines["items"][0]["group"] == ended["engine"], "{engines}");

    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    ensure!(report(&client, "").await?["total"] == days["total"], "not the same after a kill: {days}");
    for wrong in ["?by=week", "?since=now", "?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "?sandbox_id=x"] {
        client.get(&format!("/usage{wrong}")).send().await?.refused(400, "invalid_request")?;
    }
    let before = report(&client, "?since=2001-01-01T00:00:00Z&until=2001-01-02T00:00:00Z").await?;
    ensure!(before["items"] == json!([]), "{before}");
    Ok(())
}

#[tokio::test]
async fn files_in_and_out_are_counted_once_also_over_a_kill() -> Fact {
    let Some(server) = Server::start("usage-files", Options::default()).await? else { return Ok(()) };
    let client = server.client()?;
    let key = client.post("/key").json(&json!({"name": "other", "role": "developer"})).send().await?;
    let key: Value = key.expect(201)?.json()?;
    let other = server.client_with(key["key"].as_str().map(str::to_owned));
    let sandbox = client.create(&json!({"memory": "256Mi", "disk": "64Mi", "ttl": 300})).await?;
    client.upload(&sandbox.id, "/home/user/file", vec![7; 300_000]).await?.expect(200)?;
    let files = format!("/sandbox/{}/files", sandbox.id);
    let put = other.request(Method::PUT, &format!("/api/v1{files}?path=/home/user/other"));
    put.bytes("application/octet-stream", vec![7; 40_000]).send().await?.expect(200)?;
    // What does not come to be is not counted.
    let full = client.upload(&sandbox.id, "/home/user/full", vec![7; 90_000_000]).await?;
    ensure!(full.status != 200, "so much fits nowhere: {}", full.text());
    client.get(&format!("{files}?path=/home/user/nothing")).send().await?.refused(404, "not_found")?;

    let uploaded = || async {
        let found = report(&client, "").await?;
        ensure!(found["total"]["uploaded_bytes"] == 340_000, "{found}");
        Ok(found)
    };
    uploaded().await?;
    // An upload is in the sums when it is acknowledged, whatever comes next.
    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    uploaded().await?;

    let fetched = other.get(&format!("{files}?path=/home/user/file")).send().await?.expect(200)?;
    let part = client.get(&format!("{files}?path=/home/user/file")).header("range", "bytes=0-99");
    let part = part.send().await?.expect(206)?;
    let archive = client.get(&format!("{files}/archive?path=/home/user")).send().await?.expect(200)?;
    ensure!(fetched.body.len() == 300_000 && part.body.len() == 100, "{} and {}", fetched.body.len(), part.body.len());
    let bytes = fetched.body.len() + part.body.len() + archive.body.len();
    let downloaded = || async {
        let found = uploaded().await?;
        ensure!(found["total"]["downloaded_bytes"] == bytes, "{bytes} bytes: {found}");
        Ok(found)
    };
    // Downloads are when the server stops.
    Role::Serve.stop(server.place().data_dir())?;
    let ended = || async {
        ensure!(Role::Serve.running(server.place().data_dir()).is_empty(), "it runs");
        Ok(())
    };
    eventually("the end of the server", Duration::from_secs(30), ended).await?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    let before = downloaded().await?;
    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    ensure!(downloaded().await?["total"] == before["total"], "not the same after a kill: {before}");
    for by in ["hour", "key", "engine"] {
        let view = report(&client, &format!("?by={by}")).await?;
        for (field, expected) in [("uploaded_bytes", 340_000), ("downloaded_bytes", bytes)] {
            ensure!(view["total"][field] == expected, "{field}: {view}");
            ensure!((sum(&view, field) - total(&view, field)).abs() < 1e-6, "{field}: {view}");
        }
    }
    let keys = report(&client, "?by=key").await?;
    let of_other = keys["items"].as_array().into_iter().flatten().find(|item| item["group"] == key["id"]);
    let of_other = of_other.with_context(|| format!("{} in {keys}", key["id"]))?;
    ensure!(of_other["uploaded_bytes"] == 40_000 && of_other["downloaded_bytes"] == 300_000, "{of_other}");
    let engines = report(&client, "?by=engine").await?;
    ensure!(engines["items"].as_array().is_some_and(|items| items.len() == 1), "{engines}");
    client.destroy(&sandbox.id).await?.expect(200).map(drop)
}

/// Seconds since the month began.
fn seconds(time: &Value) -> Result<f64> {
    let time = time.as_str().context("a time")?;
    let (day, clock) = time.trim_end_matches('Z').split_once('T').context("RFC 3339")?;
    let day: f64 = day.rsplit('-').next().context("a day")?.parse()?;
    let parts = clock.split(':').map(str::parse).collect::<std::result::Result<Vec<f64>, _>>()?;
    let [hours, minutes, seconds] = parts[..] else { anyhow::bail!("{time} has no clock") };
    Ok(((day * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds)
}

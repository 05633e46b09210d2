//! Keys: made, shown, used, revoked, and what becomes of what is open with one.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use sentinal_tests::{Client, Fact, Guest, NewExecution, Options, Role, Server, guest, shared};
use serde_json::{Value, json};
use tokio::time::sleep;

/// How long what is open may go on with a key that was revoked.
const SECONDS_FEW: Duration = Duration::from_secs(5);

async fn made(admin: &Client, fields: &Value) -> Result<Value> {
    admin.post("/key").json(fields).send().await?.expect(201)?.json()
}

fn holder(server: &Server, made: &Value) -> Client {
    server.client_with(made["key"].as_str().map(str::to_owned))
}

fn path(made: &Value) -> String {
    format!("/key/{}", made["id"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let admin = server.client()?;
    let answer = admin.post("/key").json(&json!({"name": "ci", "role": "developer"})).send().await?.expect(201)?;
    let key: Value = answer.json()?;
    let location = answer.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
    ensure!(location == format!("/api/v1{}", path(&key)), "{location:?}");
    let (id, secret) = (key["id"].as_str().unwrap_or_default(), key["key"].as_str().unwrap_or_default());
    ensure!(secret.starts_with(&format!("sntl_{}_", id.trim_start_matches("key_"))) && secret.len() == 102, "{key}");
    ensure!(key["expires_at"].is_null() && key["last_used_at"].is_null() && key["revoked_at"].is_null(), "{key}");

    let own: Value = holder(server, &key).get("/key/self").send().await?.expect(200)?.json()?;
    ensure!(own["id"] == key["id"] && own["role"] == "developer" && own["tenant"] == "default", "{own}");
    let read = admin.get(&path(&key)).send().await?.expect(200)?;
    let known: Value = read.json()?;
    ensure!(known["last_used_at"].is_string() && known["name"] == "ci", "{known}");
    let listed = admin.get("/key?limit=1000").send().await?.expect(200)?;
    for shown in [&read, &listed] {
        ensure!(!shown.text().contains(&secret[38..]), "a secret is shown again: {}", shown.text());
    }

    let revoked: Value = admin.delete(&path(&key)).send().await?.expect(200)?.json()?;
    ensure!(revoked["revoked_at"].is_string(), "{revoked}");
    holder(server, &key).get("/key/self").send().await?.refused(401, "unauthenticated")?;
    let again: Value = admin.delete(&path(&key)).send().await?.expect(200)?.json()?;
    ensure!(again["revoked_at"] == revoked["revoked_at"], "{again}");
    told_of(&admin, id).await
}

/// That both ends of a key stand in the audit log, with who did it.
async fn told_of(admin: &Client, id: &str) -> Fact {
    let own: Value = admin.get("/key/self").send().await?.expect(200)?.json()?;
    let by = own["id"].as_str().context("an id")?;
    let mut cursor = "0".to_owned();
    let mut told = Vec::new();
    loop {
        let page: Value =
            admin.get(&format!("/events?limit=1000&cursor={cursor}")).send().await?.expect(200)?.json()?;
        for event in page["items"].as_array().into_iter().flatten() {
            let message = event["message"].as_str().unwrap_or_default();
            if message.starts_with(id) && message.contains(by) && event["kind"] == "audit" {
                told.push(event["type"].as_str().unwrap_or_default().to_owned());
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut cursor);
    }
    ensure!(told == ["key.created", "key.revoked"], "{told:?}");
    Ok(())
}

#[tokio::test]
async fn keys_are_listed_in_pages() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let admin = server.client()?;
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        ids.push(made(&admin, &json!({"name": name, "role": "viewer"})).await?["id"].clone());
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: Value = admin.get(&format!("/key?limit=2{cursor}")).send().await?.expect(200)?.json()?;
        let items = page["items"].as_array().context("items")?;
        ensure!(items.len() <= 2, "{page}");
        seen.extend(items.iter().map(|key| key["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let count = seen.len();
    let is_once = |id| seen.iter().filter(|seen| *seen == id).count() == 1;
    ensure!(ids.iter().all(is_once) && seen.iter().all(is_once), "{ids:?} in {count} of {seen:?}");
    Ok(())
}

#[tokio::test]
async fn what_can_never_be_a_key_is_refused() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let admin = server.client()?;
    let good = json!({"name": "ci", "role": "viewer"});
    let refused = admin.post("/key").header("Idempotency-Key", "one").json(&good).send().await?;
    ensure!(refused.refused(400, "invalid_request")?.detail.contains("shown once"), "{}", refused.text());
    for body in [
        json!({"role": "viewer"}),
        json!({"name": "ci", "role": "root"}),
        json!({"name": "admin.key", "role": "viewer"}),
        json!({"name": "ci", "role": "viewer", "expires_in": -1}),
        json!({"name": "ci", "role": "viewer", "expires_at": "2001-01-01T00:00:00Z"}),
        json!({"name": "ci", "role": "viewer", "key": "sntl_mine"}),
    ] {
        admin.post("/key").json(&body).send().await?.refused(400, "invalid_request")?;
    }
    let nothing = format!("/key/key_{:032}", 0);
    admin.get(&nothing).send().await?.refused(404, "not_found")?;
    admin.delete(&nothing).send().await?.refused(404, "not_found")?;
    admin.get("/key/mine").send().await?.refused(404, "not_found")?;
    Ok(())
}

#[tokio::test]
async fn a_key_expires_and_makes_none_that_outlives_it() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let admin = server.client()?;
    let short = made(&admin, &json!({"name": "short", "role": "admin", "expires_in": 3})).await?;
    let began = Instant::now();
    let client = holder(server, &short);
    let child = made(&client, &json!({"name": "child", "role": "viewer"})).await?;
    ensure!(child["expires_at"] == short["expires_at"], "{child}");
    let longer =
        client.post("/key").json(&json!({"name": "longer", "role": "viewer", "expires_in": 60})).send().await?;
    longer.refused(403, "forbidden")?;
    sleep(Duration::from_secs(3).saturating_sub(began.elapsed())).await;
    client.get("/key/self").send().await?.refused(401, "unauthenticated")?;
    holder(server, &child).get("/key/self").send().await?.refused(401, "unauthenticated")?;
    let known: Value = admin.get(&path(&short)).send().await?.expect(200)?.json()?;
    ensure!(known["revoked_at"].is_null() && known["expires_at"] == short["expires_at"], "{known}");
    Ok(())
}

#[tokio::test]
async fn the_last_admin_key_stays_and_what_was_revoked_stays_so_over_a_kill() -> Fact {
    let Some(server) = Server::start("last-admin", Options::default()).await? else { return Ok(()) };
    let first = server.client()?;
    let own: Value = first.get("/key/self").send().await?.expect(200)?.json()?;
    let refused = first.delete(&path(&own)).send().await?;
    ensure!(refused.refused(409, "conflict")?.detail.contains("POST /api/v1/key"), "{}", refused.text());
    made(&first, &json!({"name": "no help", "role": "operator"})).await?;
    first.delete(&path(&own)).send().await?.refused(409, "conflict")?;

    let second = made(&first, &json!({"name": "second", "role": "admin"})).await?;
    let third = made(&first, &json!({"name": "third", "role": "viewer"})).await?;
    first.delete(&path(&own)).send().await?.expect(200)?;
    first.get("/key/self").send().await?.refused(401, "unauthenticated")?;
    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    // The file with the first key is still there; that does not bring it back.
    first.get("/key/self").send().await?.refused(401, "unauthenticated")?;
    let second_client = holder(&server, &second);
    second_client.get(&path(&third)).send().await?.expect(200)?;
    holder(&server, &third).get("/key/self").send().await?.expect(200)?;
    second_client.delete(&path(&second)).send().await?.refused(409, "conflict")?;
    Ok(())
}

#[tokio::test]
async fn what_is_open_with_a_key_ends_with_it_and_what_it_has_started_goes_on() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let Some(server) = shared().await? else { return Ok(()) };
    let admin = guest.client();
    let key = made(admin, &json!({"name": "leaked", "role": "developer"})).await?;
    let client = holder(server, &key);
    let begun = client.execute_in_background(NewExecution::shell("echo a; sleep 60").within(guest.id())).await?;
    let mut events = client.get(&format!("/events?sandbox_id={}", guest.id())).events().await?;
    let mut terminal = client.socket(&format!("/sandbox/{}/terminal", guest.id())).await?;
    let output = client.get(&format!("/execution/{}/output?follow=true", begun.id));
    let mut seen = Vec::new();
    let followed = async { output.read_into(&mut seen).await };
    let link = client.post(&format!("/sandbox/{}/link", guest.id())).json(&json!({"port": 8000})).send().await?;
    let link: Value = link.expect(201)?.json()?;
    let visit = || visit(server, &link);
    ensure!(visit().await? != 401, "the link has to work before");

    let revoked = async {
        sleep(Duration::from_millis(300)).await;
        admin.delete(&path(&key)).send().await?.expect(200)?;
        anyhow::Ok(Instant::now())
    };
    let (followed, revoked) = tokio::join!(followed, revoked);
    let at = revoked?;
    ensure!(followed.is_err(), "the output looks complete");
    ensure!(terminal.rest().await?.1 == 1008, "a terminal is closed for the policy");
    while events.next().await.is_ok_and(|event| event.is_some()) {}
    ensure!(at.elapsed() < SECONDS_FEW, "what was open went on for {:?}", at.elapsed());
    ensure!(visit().await? == 401, "the link of a key that was revoked still works");
    ensure!(admin.execution(&begun.id).await?.state == "running", "the execution has ended");
    ensure!(String::from_utf8_lossy(&seen).starts_with('a'), "{seen:?}");
    guest.gone().await
}

#[tokio::test]
async fn what_is_sent_with_a_key_that_was_revoked_is_not_taken() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let Some(server) = shared().await? else { return Ok(()) };
    let admin = guest.client();
    let key = made(admin, &json!({"name": "leaked", "role": "developer"})).await?;
    let client = holder(server, &key);
    let cat = NewExecution::shell("cat > /tmp/stdin").within(guest.id()).with("stdin_open", true);
    let cat = client.execute_in_background(cat).await?;
    let mut terminal = client.socket(&format!("/sandbox/{}/terminal", guest.id())).await?;
    terminal.send("echo ready; touch /tmp/before\n").await?;
    terminal.until("ready").await?;

    // One request that goes on for longer than its key.
    let pieces = stream::iter([(0, "before"), (2000, "after")]).then(|(after_ms, text)| async move {
        sleep(Duration::from_millis(after_ms)).await;
        Ok(Bytes::from_static(text.as_bytes()))
    });
    let typed = client.post(&format!("/execution/{}/stdin", cat.id)).stream("application/octet-stream", pieces.boxed());
    let revoked = async {
        sleep(Duration::from_millis(700)).await;
        admin.delete(&path(&key)).send().await?.expect(200)?;
        // It may be closed by now, or not yet.
        let _ = terminal.send("touch /tmp/after\n").await;
        anyhow::Ok(())
    };
    let (answer, revoked) = tokio::join!(typed.send(), revoked);
    revoked?;
    ensure!(answer.as_ref().is_ok_and(|answer| answer.status != 200) || answer.is_err(), "{answer:?}");
    let left = guest.shell("ls /tmp/before /tmp/after; cat /tmp/stdin").await?;
    let left = left.stdout.unwrap_or_default();
    ensure!(left.contains("/tmp/before") && !left.contains("/tmp/after"), "{left}");
    ensure!(left.ends_with("before"), "{left}");
    guest.gone().await
}

/// How a browser with this link is answered.
async fn visit(server: &Server, link: &Value) -> Result<u16> {
    let url = link["url"].as_str().context("an address")?;
    let (host, target) = url.trim_start_matches("http://").split_once('/').context("a path")?;
    let client = server.client_with(None);
    let token = target.split_once("sentinal_link=").context("a token")?.1;
    let request = client.request(hyper::Method::GET, "/").header("host", host);
    Ok(request.header("cookie", &format!("sentinal_link={token}")).send().await?.status)
}

#[tokio::test]
async fn what_is_open_ends_at_the_expiry_too() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let Some(server) = shared().await? else { return Ok(()) };
    let key = made(guest.client(), &json!({"name": "short", "role": "developer", "expires_in": 2})).await?;
    let mut terminal = holder(server, &key).socket(&format!("/sandbox/{}/terminal", guest.id())).await?;
    let at = Instant::now();
    ensure!(terminal.rest().await?.1 == 1008, "a terminal is closed for the policy");
    ensure!(at.elapsed() < Duration::from_secs(2) + SECONDS_FEW, "it went on for {:?}", at.elapsed());
    ended(guest).await
}

async fn ended(guest: Guest) -> Fact {
    guest.works().await?;
    guest.gone().await
}

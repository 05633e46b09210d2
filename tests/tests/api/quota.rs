//! Quotas: refused by their name, exact however many ask at once, and released however a sandbox ends.

use std::{ffi::OsString, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use sentinal_tests::{Answer, Client, Fact, NewExecution, Options, Role, Server, eventually, guest};
use serde_json::{Value, json};

/// A server with these quotas.
async fn limited(name: &str, quotas: &[&str]) -> Result<Option<Server>> {
    let serve: Vec<OsString> = quotas.iter().flat_map(|quota| ["--quota".into(), quota.into()]).collect();
    Server::start(name, Options { serve, ..Options::default() }).await
}

async fn used(client: &Client, name: &str) -> Result<f64> {
    quota(client, name).await?["used"].as_f64().context("a number")
}

async fn quota(client: &Client, name: &str) -> Result<Value> {
    let report: Value = client.get("/quota").send().await?.expect(200)?.json()?;
    ensure!(report["tenant"] == "default", "{report}");
    let found = report["items"].as_array().into_iter().flatten().find(|quota| quota["name"] == name);
    found.cloned().with_context(|| format!("{name} in {report}"))
}

async fn create(client: &Client, fields: &Value) -> Result<Answer> {
    client.post("/sandbox").json(fields).send().await
}

fn small(ttl: u64) -> Value {
    json!({"memory": "64Mi", "cpu": 0.5, "disk": "16Mi", "ttl": ttl})
}

/// That the answer is a refusal which names that quota.
fn names(answer: &Answer, quota: &str) -> Fact {
    let problem = answer.refused(429, "quota_exceeded")?;
    ensure!(problem.detail.contains(&format!("the quota {quota} is used up")), "{problem:?}");
    ensure!(answer.headers.contains_key("retry-after"), "no Retry-After");
    Ok(())
}

/// Waits until no sandbox counts any more.
async fn all_free(client: &Client) -> Result<()> {
    let free = || async {
        for name in ["sandboxes", "cpu", "memory", "disk", "executions"] {
            let used = used(client, name).await?;
            ensure!(used.abs() < f64::EPSILON, "{name}: {used}");
        }
        Ok(())
    };
    eventually("free quotas", Duration::from_secs(30), free).await
}

#[tokio::test]
async fn fifty_at_once_never_get_more_than_there_may_be() -> Fact {
    const MAX: usize = 4;
    let Some(server) = limited("quota-race", &["sandboxes=4"]).await? else { return Ok(()) };
    let client = server.client()?;
    for round in 0..2 {
        let body = small(300);
        let answers = join_all((0..50).map(|_| create(&client, &body))).await;
        let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
        let (made, refused): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.status == 201);
        ensure!(made.len() == MAX, "{} were made in round {round}", made.len());
        refused.iter().try_for_each(|answer| names(answer, "sandboxes"))?;
        ensure!(
            (used(&client, "sandboxes").await? - 4.0).abs() < f64::EPSILON,
            "{}",
            quota(&client, "sandboxes").await?
        );
        for answer in &made {
            let sandbox: Value = answer.json()?;
            client.destroy(sandbox["id"].as_str().unwrap_or_default()).await?.expect(200)?;
        }
        all_free(&client).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_ends_is_released_however_it_ends_and_counted_after_a_kill() -> Fact {
    let Some(server) = limited("quota-ends", &["sandboxes=2", "memory=256Mi", "cpu=1", "disk=48Mi"]).await? else {
        return Ok(());
    };
    let client = server.client()?;
    names(&create(&client, &json!({"memory": "257Mi", "cpu": 0.5, "disk": "16Mi"})).await?, "memory")?;
    names(&create(&client, &json!({"memory": "64Mi", "cpu": 1.5, "disk": "16Mi"})).await?, "cpu")?;
    names(&create(&client, &json!({"memory": "64Mi", "cpu": 0.5, "disk": "64Mi"})).await?, "disk")?;
    all_free(&client).await?;

    let kept: Value = create(&client, &small(300)).await?.expect(201)?.json()?;
    let expiring: Value = create(&client, &small(8)).await?.expect(201)?.json()?;
    names(&create(&client, &small(300)).await?, "sandboxes")?;
    names(&client.post("/execute").json(&json!({"command": "true"})).send().await?, "sandboxes")?;
    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    for (name, amount) in [("sandboxes", 2.0), ("cpu", 1.0), ("memory", 134_217_728.0), ("disk", 33_554_432.0)] {
        let shown = quota(&client, name).await?;
        ensure!(shown["used"].as_f64() == Some(amount), "{shown}");
    }
    names(&create(&client, &small(300)).await?, "sandboxes")?;
    // One ends by its ttl, and the next by its own execution.
    let expired = || async {
        let sandbox = client.sandbox(expiring["id"].as_str().unwrap_or_default()).await?;
        ensure!(sandbox.state == "stopped", "{}", sandbox.state);
        Ok(())
    };
    eventually("an expired sandbox", Duration::from_secs(30), expired).await?;
    let once = NewExecution::shell("true").with("memory", "64Mi").with("cpu", 0.5).with("disk", "16Mi");
    client.execute(&once).await?.ok()?;
    // A failed boot is an end, too.
    let never = json!({"memory": "64Mi", "cpu": 0.5, "disk": "16Mi", "image": "no-such-image"});
    create(&client, &never).await?.refused(400, "invalid_request")?;
    client.destroy(kept["id"].as_str().unwrap_or_default()).await?.expect(200)?;
    all_free(&client).await
}

#[tokio::test]
async fn pooled_sandboxes_count_when_they_are_somebodys() -> Fact {
    let Some(server) = limited("quota-pool", &["sandboxes=1"]).await? else { return Ok(()) };
    let engines: Value = server.client()?.get("/engine").send().await?.expect(200)?.json()?;
    let usable = engines["items"].as_array().into_iter().flatten();
    let mut usable = usable.filter(|engine| engine["available"] == true && engine["allowed"] == true);
    let Some(engine) = usable.find_map(|engine| engine["name"].as_str()) else { return Ok(()) };
    server.kill(Role::Serve).await?;
    server.serve_with(vec!["--pool".into(), format!("engine={engine},size=2,memory=64Mi,cpu=0.5,disk=16Mi").into()]);
    server.launch(Role::Serve)?;
    server.healthy().await?;
    let client = server.client()?;
    let ready = || async {
        let series = format!("sentinal_pool_sandboxes{{engine=\"{engine}\",state=\"ready\"}}");
        ensure!(client.metric(&series).await? == 2, "{series}");
        Ok(())
    };
    eventually("a pool of two", Duration::from_secs(60), ready).await?;
    ensure!(used(&client, "sandboxes").await?.abs() < f64::EPSILON, "what is pooled counts as somebody's");
    let body = small(300);
    let answers = join_all((0..10).map(|_| create(&client, &body))).await;
    let made = answers.iter().flatten().filter(|answer| answer.status == 201).count();
    ensure!(made == 1, "{made} were made");
    Ok(())
}

#[tokio::test]
async fn executions_and_stored_output_have_quotas_too() -> Fact {
    let Some(server) = limited("quota-executions", &["executions=2", "output=1Mi"]).await? else { return Ok(()) };
    let client = server.client()?;
    let sandbox: Value = create(&client, &small(300)).await?.expect(201)?.json()?;
    let id = sandbox["id"].as_str().unwrap_or_default();
    let sleeping = || NewExecution::shell("sleep 30").within(id);
    for _ in 0..2 {
        client.execute_in_background(sleeping()).await?;
    }
    names(&client.post("/execute").json(sleeping().as_json()).send().await?, "executions")?;
    ensure!((used(&client, "executions").await? - 2.0).abs() < f64::EPSILON, "two run");
    client.destroy(id).await?.expect(200)?;
    all_free(&client).await?;

    let sandbox: Value = create(&client, &small(300)).await?.expect(201)?.json()?;
    let id = sandbox["id"].as_str().unwrap_or_default();
    let much = NewExecution::shell("head -c 1048576 /dev/zero").within(id);
    client.execute(&much).await?;
    names(&client.post("/execute").json(much.as_json()).send().await?, "output")?;
    let before = quota(&client, "output").await?;
    ensure!(before["used"].as_f64() >= Some(1_048_576.0), "{before}");
    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    ensure!(quota(&client, "output").await? == before, "{before} before");
    client.destroy(id).await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn every_quota_is_shown_with_its_unit() -> Fact {
    let Some(guest) = guest(json!({"cpu": 0.5})).await? else { return Ok(()) };
    let report: Value = guest.client().get("/quota").send().await?.expect(200)?.json()?;
    let items = report["items"].as_array().context("items")?;
    let shown: Vec<_> =
        items.iter().filter_map(|quota| Some((quota["name"].as_str()?, quota["unit"].as_str()?))).collect();
    let expected = [
        ("sandboxes", "count"),
        ("cpu", "cores"),
        ("memory", "bytes"),
        ("disk", "bytes"),
        ("executions", "count"),
        ("output", "bytes"),
    ];
    ensure!(shown == expected, "{report}");
    ensure!(items[0]["limit"].is_null() && items[4]["limit"].as_f64() == Some(10_000.0), "{report}");
    ensure!(items[0]["used"].as_f64() >= Some(1.0), "{report}");
    guest.gone().await
}

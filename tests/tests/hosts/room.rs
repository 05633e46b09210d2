//! A host at its limits: what does not fit is an answer with a reason, never a failure of what is there.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use sentinal_tests::{Answer, Client, Fact, NewExecution, Options, Role, Sandbox, Server, eventually};
use serde_json::{Value, json};

/// Small sandboxes that live at once in `make test`; `SENTINAL_SANDBOXES` says how many otherwise.
const SANDBOXES: usize = 16;

/// How many more are asked for than there is room for.
const TOO_MANY: usize = 8;

async fn server(name: &str, serve: &[&str]) -> Result<Option<Server>> {
    let serve = serve.iter().map(Into::into).collect();
    Server::start(name, Options { serve, ..Options::default() }).await
}

fn small() -> Value {
    json!({"cpu": 0.05, "memory": "64Mi", "disk": "16Mi", "ttl": 3600, "wait": 120})
}

async fn create(client: &Client, spec: &Value) -> Result<Answer> {
    client.post("/sandbox").json(spec).deadline(Duration::from_secs(300)).send().await
}

/// No room, for this reason, and when to come back.
fn is_full(answer: &Answer, reason: &str) -> Result<()> {
    let problem = answer.refused(503, "no_capacity")?;
    ensure!(problem.detail.contains(reason), "{:?} does not say {reason:?}", problem.detail);
    let after = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    ensure!(after.is_some_and(|seconds| 0 < seconds), "no Retry-After: {after:?}");
    Ok(())
}

#[tokio::test]
async fn many_small_sandboxes_live_at_once_and_one_more_is_refused() -> Fact {
    let many = std::env::var("SENTINAL_SANDBOXES").ok().and_then(|text| text.parse().ok()).unwrap_or(SANDBOXES);
    let max = many.to_string();
    let Some(server) = server("room-many", &["--sandboxes-max", &max]).await? else { return Ok(()) };
    let client = server.client()?;
    let spec = small();
    let answers = join_all((0..many + TOO_MANY).map(|_| create(&client, &spec))).await;
    let mut sandboxes = Vec::new();
    for answer in answers {
        let answer = answer.with_context(|| server.place().log_tails())?;
        if answer.status == 201 {
            sandboxes.push(answer.json::<Sandbox>()?);
        } else {
            is_full(&answer, &format!("it has {many} sandboxes, the most it may have"))?;
        }
    }
    ensure!(sandboxes.len() == many, "{} of {many} came up: {}", sandboxes.len(), server.place().log_tails());
    for sandbox in &sandboxes {
        ensure!(sandbox.state == "running", "{sandbox:?}");
        let said = client.execute(&NewExecution::shell("echo $((6*7))").within(&sandbox.id)).await?.ok()?;
        ensure!(said == "42\n", "{said:?}");
    }
    let gone = join_all(sandboxes.iter().map(|sandbox| client.destroy(&sandbox.id))).await;
    for answer in gone {
        answer?.expect(200)?;
    }
    let again = create(&client, &spec).await?.expect(201)?.json::<Sandbox>()?;
    client.destroy(&again.id).await?.expect(200)?;
    server.clean().await
}

#[tokio::test]
async fn promised_cpu_and_memory_are_not_promised_again() -> Fact {
    let limits = ["--cpu-overcommit", "1", "--memory-overcommit", "1"];
    let Some(server) = server("room-promised", &limits).await? else { return Ok(()) };
    let client = server.client()?;
    let cores = std::thread::available_parallelism()?.get();
    let all = json!({"cpu": cores, "memory": "256Mi"});
    let sandbox = create(&client, &all).await?.expect(201)?.json::<Sandbox>()?;
    is_full(&create(&client, &small()).await?, "its cpu is promised")?;
    client.destroy(&sandbox.id).await?.expect(200)?;
    is_full(&create(&client, &json!({"cpu": 0.05, "memory": "1024Gi"})).await?, "its memory is promised")?;
    server.clean().await
}

/// A node whose host says that its programs wait for memory, for as long as the file says so.
fn under_pressure(file: &Path) -> Result<Options> {
    let bind = format!("mount --bind {} /proc/pressure/memory", file.to_str().context("a path that is text")?);
    let script = format!("{bind} && exec \"$@\"");
    let wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", &script, "sh"];
    Ok(Options { node_wrapper: wrap.map(Into::into).to_vec(), ..Options::default() })
}

fn says(file: &Path, some: &str, full: &str) -> Result<()> {
    let line = |whose, percent| format!("{whose} avg10={percent} avg60=0.00 avg300=0.00 total=0\n");
    Ok(std::fs::write(file, line("some", some) + &line("full", full))?)
}

#[tokio::test]
async fn nothing_is_placed_while_programs_of_the_host_wait_for_memory() -> Fact {
    if !Path::new("/proc/pressure/memory").exists() {
        eprintln!("SKIPPED: room-pressure: this kernel does not measure memory pressure");
        return Ok(());
    }
    let file = tempfile::NamedTempFile::new()?;
    says(file.path(), "0.00", "0.00")?;
    let Some(server) = Server::start("room-pressure", under_pressure(file.path())?).await? else { return Ok(()) };
    let client = server.client()?;
    let before = create(&client, &small()).await?.expect(201)?.json::<Sandbox>()?;
    says(file.path(), "95.50", "60.00")?;
    let refused = || async {
        let answer = create(&client, &small()).await?;
        if answer.status == 201 {
            client.destroy(&answer.json::<Sandbox>()?.id).await?.expect(200)?;
        }
        is_full(&answer, "some of them 96 % of the time (at most 40), all of them 60 %")
    };
    eventually("a refusal for want of memory", Duration::from_secs(20), refused).await?;
    client.execute(&NewExecution::shell("echo alive").within(&before.id)).await?.ok()?;
    says(file.path(), "1.00", "0.00")?;
    let again = || async { create(&client, &small()).await?.expect(201)?.json::<Sandbox>() };
    let after = eventually("room again", Duration::from_secs(20), again).await?;
    for sandbox in [before, after] {
        client.destroy(&sandbox.id).await?.expect(200)?;
    }
    // What the node has mounted is in its namespace, and goes with its sandboxes.
    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    server.clean().await
}

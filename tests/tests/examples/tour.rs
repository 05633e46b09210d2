//! The tour through all operations.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use http::Method;
use sentinal_tests::{Client, NewExecution, Server, Tar, eventually, multipart};
use serde_json::{Value, json};

use crate::{
    DEADLINE,
    recorder::Recorder,
    registry::{Image, Registry, root},
};

/// What the registry has.
pub(crate) fn image() -> Result<Image> {
    let config = json!({"Env": ["GREETING=hello"], "WorkingDir": "/srv/app", "User": "app", "Cmd": ["sh"]});
    Ok(Image::of(&[root()?.end()], &config))
}

/// Everything, once.
pub(crate) async fn walk(
    server: &Server,
    [registry, receiver]: [SocketAddr; 2],
    _alive: &Registry,
    recorder: &mut Recorder,
) -> Result<()> {
    let client = &server.client()?;
    the_server(client, recorder).await?;
    keys(client, recorder).await?;
    images(client, registry, recorder).await?;
    let new = json!({"cpu": 1, "memory": "256Mi", "ttl": 600, "labels": {"team": "blue"}});
    let sandbox = recorder.json("createSandbox", 201, client.post("/sandbox").json(&new).send().await?)?;
    let id = sandbox["id"].as_str().context("an id")?;
    server.place().learn_cgroups();
    files(client, id, recorder).await?;
    executions(client, id, recorder).await?;
    programs(client, id, recorder).await?;
    what_happened(client, id, recorder).await?;
    webhooks(client, id, receiver, recorder).await?;
    the_sandbox(client, id, recorder).await
}

async fn the_server(client: &Client, recorder: &mut Recorder) -> Result<()> {
    for (operation, path) in [("health", "/health"), ("livez", "/livez"), ("readyz", "/readyz")] {
        recorder.json(operation, 200, client.request(Method::GET, path).send().await?)?;
    }
    recorder.json("listEngines", 200, client.get("/engine").send().await?)?;
    Ok(())
}

async fn keys(client: &Client, recorder: &mut Recorder) -> Result<()> {
    let new = json!({"name": "ci", "role": "developer", "expires_in": 2_592_000});
    let mut made: Value = client.post("/key").json(&new).send().await?.expect(201)?.json()?;
    let path = format!("/key/{}", made["id"].as_str().unwrap_or_default());
    // A secret is nobody's example, also that of a server which is gone.
    made["key"] = format!("sntl_{}_{}", "0".repeat(32), "0".repeat(64)).into();
    recorder.note("createKey", 201, "application/json", made);
    recorder.json("listKeys", 200, client.get("/key?limit=1").send().await?)?;
    recorder.json("readKey", 200, client.get(&path).send().await?)?;
    recorder.json("readOwnKey", 200, client.get("/key/self").send().await?)?;
    recorder.json("revokeKey", 200, client.delete(&path).send().await?)?;
    Ok(())
}

async fn images(client: &Client, registry: SocketAddr, recorder: &mut Recorder) -> Result<()> {
    let import = client.post("/image/import?name=team/tools:1").bytes("application/x-tar", image()?.layout());
    recorder.json("importImage", 201, import.deadline(DEADLINE).send().await?)?;
    let pull = json!({"reference": format!("{registry}/app:1"), "name": "team/app:1"});
    let job = recorder.json("pullImage", 202, client.post("/image/pull").json(&pull).send().await?)?;
    let job = job["id"].as_str().context("an id")?;
    let pulled = || async {
        let job: Value = client.get(&format!("/image/job/{job}")).send().await?.expect(200)?.json()?;
        anyhow::ensure!(job["state"] == "finished", "{job}");
        Ok(())
    };
    eventually("an image that was pulled", DEADLINE, pulled).await?;
    recorder.json("readImageJob", 200, client.get(&format!("/image/job/{job}")).send().await?)?;
    recorder.json("cancelImageJob", 200, client.delete(&format!("/image/job/{job}")).send().await?)?;
    recorder.json("listImageJobs", 200, client.get("/image/job").send().await?)?;
    recorder.json("listImages", 200, client.get("/image").send().await?)?;
    recorder.json("readImage", 200, client.get("/image/team%2Fapp:1").send().await?)?;
    build(client, recorder).await?;
    client.delete("/image/team%2Ftools:1").send().await?.expect(200)?;
    recorder.json("removeImage", 200, client.delete("/image/team%2Fapp:1").send().await?)?;
    recorder.json("pruneImages", 200, client.post("/image/prune").send().await?)?;
    Ok(())
}

async fn build(client: &Client, recorder: &mut Recorder) -> Result<()> {
    let file = "FROM team/tools:1\nCOPY notes.txt /srv/\nRUN read word < /srv/notes.txt; echo \"$word was copied\"\n";
    let context = Tar::default().file("Containerfile", file.as_bytes()).file("notes.txt", b"one\n").end();
    let build = client.post("/image/build?name=team/built:1").bytes("application/x-tar", context);
    let job = recorder.json("buildImage", 202, build.deadline(DEADLINE).send().await?)?;
    let log = format!("/image/job/{}/log?follow=true", job["id"].as_str().context("an id")?);
    let log = client.get(&log).deadline(DEADLINE).send().await?.expect(200)?.text();
    recorder.note("readImageJobLog", 200, "text/plain", json!(log));
    client.delete("/image/team%2Fbuilt:1").send().await?.expect(200)?;
    Ok(())
}

async fn files(client: &Client, id: &str, recorder: &mut Recorder) -> Result<()> {
    let files = format!("/sandbox/{id}/files");
    let at = |method: Method, call: &str| client.request(method, &format!("/api/v1{files}{call}"));
    let program = "print(6 * 7)\n";
    let form = multipart(&[("sandbox_id", id)], &[("main.py", program.as_bytes())]);
    recorder.json("upload", 200, client.post("/upload").bytes(&form.0, form.1).send().await?)?;
    let write = at(Method::PUT, "?path=notes.txt").bytes("application/octet-stream", "one\n");
    recorder.json("writeFile", 200, write.send().await?)?;
    recorder.json("statFile", 200, at(Method::GET, "/stat?path=notes.txt").send().await?)?;
    let folder = json!({"path": "project"});
    recorder.json("makeFolder", 200, at(Method::POST, "/mkdir").json(&folder).send().await?)?;
    let rename = json!({"from": "notes.txt", "to": "project/notes.txt"});
    recorder.json("moveFile", 200, at(Method::POST, "/move").json(&rename).send().await?)?;
    let archive = Tar::default().folder("src").file("src/lib.py", b"answer = 42\n").end();
    let unpack = at(Method::PUT, "/archive?path=project").bytes("application/x-tar", archive);
    recorder.json("writeArchive", 200, unpack.send().await?)?;
    recorder.json("listFolder", 200, at(Method::GET, "/list?path=project&depth=2").send().await?)?;
    let watch = at(Method::GET, "/watch?path=project").events().await?;
    at(Method::PUT, "?path=project/seen").bytes("application/octet-stream", "x").send().await?.expect(200)?;
    recorder.events("watchFolder", watch, "project/seen\"").await
}

async fn executions(client: &Client, id: &str, recorder: &mut Recorder) -> Result<()> {
    let run = NewExecution::shell("python3 main.py").within(id);
    let execute = || client.post("/execute").json(run.as_json());
    let ran = recorder.json("execute", 200, execute().send().await?)?;
    recorder.events("execute", execute().events().await?, "event: result").await?;
    let path = format!("/execution/{}", ran["id"].as_str().unwrap_or_default());
    recorder.json("readExecution", 200, client.get(&path).send().await?)?;
    recorder.json("listExecutions", 200, client.get(&format!("/execution?sandbox_id={id}&limit=1")).send().await?)?;
    let reads = NewExecution::shell("cat").within(id).with("stdin_open", true).with("background", true);
    let reads = recorder.json("execute", 202, client.post("/execute").json(reads.as_json()).send().await?)?;
    let path = format!("/execution/{}", reads["id"].as_str().unwrap_or_default());
    let stdin = client.post(&format!("{path}/stdin")).bytes("application/octet-stream", "hello\n");
    recorder.json("writeStdin", 200, stdin.send().await?)?;
    let signal = client.post(&format!("{path}/signal")).json(&json!({"signal": "SIGTERM"}));
    recorder.json("signalExecution", 200, signal.send().await?)?;
    Ok(())
}

/// Terminals, contexts and ports.
async fn programs(client: &Client, id: &str, recorder: &mut Recorder) -> Result<()> {
    let mut terminal = client.socket(&format!("/sandbox/{id}/terminal?command=cat")).await?;
    let attached = terminal.notice().await?;
    let path = format!("/execution/{}/resize", attached["execution_id"].as_str().unwrap_or_default());
    recorder.note("openTerminal", 101, "application/json", attached);
    let size = json!({"cols": 132, "rows": 50});
    recorder.json("resizeTerminal", 200, client.post(&path).json(&size).send().await?)?;
    let contexts = format!("/sandbox/{id}/context");
    let new = json!({"language": "python"});
    recorder.json("createContext", 201, client.post(&contexts).json(&new).send().await?)?;
    recorder.json("listContexts", 200, client.get(&contexts).send().await?)?;
    let link = json!({"port": 8000});
    recorder.json("createLink", 201, client.post(&format!("/sandbox/{id}/link")).json(&link).send().await?)?;
    Ok(())
}

async fn what_happened(client: &Client, id: &str, recorder: &mut Recorder) -> Result<()> {
    recorder.json("readUsage", 200, client.get("/usage").send().await?)?;
    recorder.json("readQuota", 200, client.get("/quota").send().await?)?;
    recorder.json("readEvents", 200, client.get(&format!("/events?sandbox_id={id}&limit=2")).send().await?)?;
    let follow = client.get(&format!("/events?sandbox_id={id}&cursor=0")).events().await?;
    recorder.events("readEvents", follow, "execution.completed").await?;
    recorder.json("readLogs", 200, client.get(&format!("/logs?sandbox_id={id}&limit=2")).send().await?)?;
    let follow = client.get(&format!("/logs?sandbox_id={id}&kind=execution&follow=true")).events().await?;
    recorder.events("readLogs", follow, "42").await
}

/// Somebody who takes whatever comes.
pub(crate) async fn receiver() -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = axum::Router::new().fallback(async || "thank you");
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn webhooks(client: &Client, id: &str, receiver: SocketAddr, recorder: &mut Recorder) -> Result<()> {
    let new = json!({"url": format!("http://{receiver}/hooks"), "events": ["sandbox.updated"], "description": "the build farm"});
    let webhook = recorder.json("createWebhook", 201, client.post("/webhook").json(&new).send().await?)?;
    let path = format!("/webhook/{}", webhook["id"].as_str().unwrap_or_default());
    recorder.json("testWebhook", 200, client.post(&format!("{path}/test")).send().await?)?;
    client.patch(&format!("/sandbox/{id}")).json(&json!({"ttl": 800})).send().await?.expect(200)?;
    let delivered = || async {
        let answer = client.get(&format!("{path}/delivery")).send().await?.expect(200)?;
        anyhow::ensure!(answer.text().contains("sandbox.updated"), "{}", answer.text());
        Ok(answer)
    };
    recorder.json("listDeliveries", 200, eventually("a delivery", DEADLINE, delivered).await?)?;
    recorder.json("readWebhook", 200, client.get(&path).send().await?)?;
    recorder.json("listWebhooks", 200, client.get("/webhook").send().await?)?;
    let change = json!({"events": ["*"], "enabled": false});
    recorder.json("updateWebhook", 200, client.patch(&path).json(&change).send().await?)?;
    client.delete(&path).send().await?.expect(204)?;
    Ok(())
}

async fn the_sandbox(client: &Client, id: &str, recorder: &mut Recorder) -> Result<()> {
    let path = format!("/sandbox/{id}");
    recorder.json("readSandbox", 200, client.get(&path).send().await?)?;
    recorder.json("listSandboxes", 200, client.get("/sandbox?label=team=blue&limit=1").send().await?)?;
    recorder.json("readSandboxStats", 200, client.get(&format!("{path}/stats")).send().await?)?;
    let change = json!({"ttl": 900, "labels": {"team": "green"}});
    recorder.json("updateSandbox", 200, client.patch(&path).json(&change).send().await?)?;
    recorder.json("pauseSandbox", 200, client.post(&format!("{path}/pause")).send().await?)?;
    recorder.json("resumeSandbox", 200, client.post(&format!("{path}/resume")).send().await?)?;
    recorder.json("destroySandbox", 200, client.delete(&path).send().await?)?;
    Ok(())
}

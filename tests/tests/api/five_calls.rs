//! The five calls of the requirement, get and list, and the whole workflow in one call.

use anyhow::{Context, ensure};
use hyper::Method;
use sentinal_tests::{Execution, Fact, NewExecution, Sandbox, Uploaded, eventually, guest, multipart, shared};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn the_five_calls_work_as_the_requirement_writes_them() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let client = server.client()?;
    let sandbox = client.create(&json!({"engine": "gvisor", "cpu": 2, "memory": "2048Mi"})).await?;
    ensure!(sandbox.state == "running" && sandbox.engine.as_deref() == Some("gvisor"), "{sandbox:?}");
    let program = b"import sys; print('hello', *sys.argv[1:])";
    let (kind, body) = multipart(&[("sandbox_id", &sandbox.id), ("path", "/home/user/")], &[("main.py", program)]);
    let uploaded: Uploaded = client.post("/upload").bytes(&kind, body).send().await?.expect(200)?.json()?;
    ensure!(uploaded.files[0].path == "/home/user/main.py" && uploaded.files[0].size == 41, "{uploaded:?}");
    let execute = NewExecution::shell("python3").with("args", json!(["main.py", "world"])).within(&sandbox.id);
    ensure!(client.execute(&execute).await?.ok()? == "hello world\n");
    let logs: Value = client.get(&format!("/logs?sandbox_id={}", sandbox.id)).send().await?.expect(200)?.json()?;
    let logs = logs.to_string();
    for name in ["Sandbox Created", "File Uploaded", "Execution Started", "Execution Completed", "hello world"] {
        ensure!(logs.contains(name), "{name} is not in the logs: {logs}");
    }
    client.destroy(&sandbox.id).await?.expect(200)?;
    let logs: Value = client.get(&format!("/logs?sandbox_id={}", sandbox.id)).send().await?.expect(200)?.json()?;
    ensure!(logs.to_string().contains("Sandbox Destroyed"), "{logs}");
    Ok(())
}

#[tokio::test]
async fn a_sandbox_says_what_it_is_and_why() -> Fact {
    let Some(guest) = guest(json!({"labels": {"purpose": "test"}, "disk": "100Mi"})).await? else { return Ok(()) };
    let sandbox = guest.client().sandbox(guest.id()).await?;
    ensure!(sandbox.state == "running" && sandbox.image == "default", "{sandbox:?}");
    ensure!(sandbox.isolation.as_deref() == Some("userspace-kernel"), "{sandbox:?}");
    ensure!(sandbox.engine_reason.as_ref().is_some_and(|reason| reason.len() > 10), "{sandbox:?}");
    ensure!(sandbox.memory == "256Mi" && sandbox.disk == "100Mi" && (sandbox.cpu - 1.0).abs() < f64::EPSILON);
    ensure!(sandbox.labels.get("purpose").map(String::as_str) == Some("test"), "{sandbox:?}");
    ensure!(sandbox.created_at < sandbox.expires_at && sandbox.created_at.ends_with('Z'), "{sandbox:?}");
    guest.gone().await
}

#[tokio::test]
async fn a_list_pages_newest_first_without_holes() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.insert(0, guest.shell(&format!("echo {number}")).await?.id);
    }
    let path = format!("/execution?sandbox_id={}&limit=2", guest.id());
    let listed: Vec<Execution> = guest.client().list(&path).await?;
    let listed: Vec<String> = listed.into_iter().map(|execution| execution.id).collect();
    ensure!(listed == ids, "{listed:?} instead of {ids:?}");
    let sandboxes: Vec<Sandbox> = guest.client().list("/sandbox?limit=3").await?;
    ensure!(sandboxes.iter().filter(|sandbox| sandbox.id == guest.id()).count() == 1, "not in the list of sandboxes");
    ensure!(sandboxes.is_sorted_by(|a, b| a.id > b.id), "not newest first");
    guest.gone().await
}

#[tokio::test]
async fn one_call_creates_runs_collects_and_destroys() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let client = server.client()?;
    let execution = client.execute(&NewExecution::code("python", "print(6 * 7)").with("memory", "256Mi")).await?;
    ensure!(execution.ok()? == "42\n", "{execution:?}");
    let stopped = || async {
        let sandbox = client.sandbox(&execution.sandbox_id).await?;
        ensure!(sandbox.state == "stopped", "still {}", sandbox.state);
        Ok(sandbox)
    };
    let sandbox = eventually("the end of its sandbox", Duration::from_secs(30), stopped).await?;
    ensure!(sandbox.outcome.as_deref() == Some("destroyed"), "{sandbox:?}");
    let leaks = || async { sentinal_tests::Leaks::of_sandbox(server.place(), &sandbox.id).none() };
    eventually("nothing left of its sandbox", Duration::from_secs(30), leaks).await?;
    ensure!(client.execution(&execution.id).await?.ok()? == "42\n", "its record has to stay readable");
    Ok(())
}

#[tokio::test]
async fn a_create_that_does_not_wait_answers_pending_and_execute_waits() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let client = server.client()?;
    let sandbox = client.create(&json!({"wait": 0, "memory": "256Mi"})).await?;
    ensure!(sandbox.state == "pending", "{sandbox:?}");
    let execution = client.execute(&NewExecution::shell("echo up").within(&sandbox.id)).await;
    ensure!(execution.context("execute on a pending sandbox")?.ok()? == "up\n");
    ensure!(client.sandbox(&sandbox.id).await?.state == "running");
    client.destroy(&sandbox.id).await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn health_and_description_need_no_key_and_everything_else_does() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let anyone = server.client_with(None);
    for path in ["/health", "/livez", "/readyz", "/openapi.json"] {
        anyone.request(Method::GET, path).send().await?.expect(200).context(path)?;
    }
    let health: Value = anyone.request(Method::GET, "/health").send().await?.json()?;
    ensure!(health["status"] == "healthy", "{health}");
    for path in ["/sandbox", "/execution", "/logs"] {
        anyone.get(path).send().await?.refused(401, "unauthenticated").context(path)?;
        let wrong = server.client_with(Some("snt_wrong".to_owned()));
        wrong.get(path).send().await?.refused(401, "unauthenticated").context(path)?;
    }
    anyone.request(Method::GET, "/metrics").send().await?.refused(401, "unauthenticated")?;
    let metrics = server.client()?.request(Method::GET, "/metrics").send().await?.expect(200)?;
    ensure!(metrics.text().contains("sentinal_"), "{}", metrics.text());
    Ok(())
}

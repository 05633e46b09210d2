//! Requests at the wrong moment: after the end, twice, meanwhile.

use anyhow::{Context, ensure};
use sentinal_tests::{Fact, NewExecution, guest, shared};
use serde_json::json;

#[tokio::test]
async fn a_deleted_sandbox_is_not_found_and_its_record_stays() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let (client, id) = (guest.client().clone(), guest.id().to_owned());
    let execution = guest.shell("echo kept").await?;
    guest.gone().await?;
    client.destroy(&id).await?.refused(404, "not_found")?;
    let execute = NewExecution::shell("true").within(&id);
    client.post("/execute").json(execute.as_json()).send().await?.refused(404, "not_found")?;
    client.upload(&id, "/home/user/x", "x").await?.refused(404, "not_found")?;
    client.download(&id, "/etc/passwd").await?.refused(404, "not_found")?;
    client.get(&format!("/sandbox/{id}/files/list?path=/")).send().await?.refused(404, "not_found")?;
    let record = client.sandbox(&id).await?;
    ensure!(record.state == "stopped" && record.outcome.as_deref() == Some("destroyed"), "{record:?}");
    ensure!(client.execution(&execution.id).await?.stdout.as_deref() == Some("kept\n"));
    ensure!(client.output(&execution.id, "stdout", 0).await? == "kept\n");
    Ok(())
}

#[tokio::test]
async fn of_many_deletes_at_once_at_least_one_succeeds_and_none_fails() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let answers = futures::future::try_join_all((0..4).map(|_| guest.client().destroy(guest.id()))).await?;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    ensure!(statuses.contains(&200) && statuses.iter().all(|status| [200, 202, 404].contains(status)), "{statuses:?}");
    guest.clean().await?;
    guest.client().destroy(guest.id()).await?.refused(404, "not_found")?;
    Ok(())
}

#[tokio::test]
async fn a_delete_during_an_execute_answers_both() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let long = NewExecution::shell("echo begun; touch begun; sleep 1000").with("timeout", 250);
    let running = guest.execute(long);
    let delete = async {
        guest.shell("while [ ! -e begun ]; do sleep 0.05; done").await?.ok()?;
        guest.client().destroy(guest.id()).await?.expect(200)
    };
    let (ended, deleted) = tokio::join!(running, delete);
    deleted.context("the delete")?;
    let ended = ended.context("the execute")?;
    ensure!(ended.outcome.as_deref() == Some("killed") && ended.stdout.as_deref() == Some("begun\n"), "{ended:?}");
    guest.clean().await
}

#[tokio::test]
async fn a_pending_sandbox_may_be_deleted_or_used_at_once() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let client = server.client()?;
    for _ in 0..3 {
        let sandbox = client.create(&json!({"wait": 0, "memory": "128Mi"})).await?;
        client.destroy(&sandbox.id).await?.expect(200)?;
        ensure!(client.sandbox(&sandbox.id).await?.state == "stopped", "{sandbox:?}");
        let look = || async { sentinal_tests::Leaks::of_sandbox(server.place(), &sandbox.id).none() };
        sentinal_tests::eventually("nothing left of it", std::time::Duration::from_secs(30), look).await?;
    }
    let sandbox = client.create(&json!({"wait": 0, "memory": "128Mi"})).await?;
    let upload = client.upload(&sandbox.id, "/home/user/early", "early").await?;
    ensure!([200, 409].contains(&upload.status), "{}: {}", upload.status, upload.text());
    let execute = NewExecution::shell("echo up").within(&sandbox.id);
    ensure!(client.execute(&execute).await?.ok()? == "up\n");
    client.destroy(&sandbox.id).await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn an_execute_that_will_not_wait_for_a_pending_sandbox_says_so() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let client = server.client()?;
    let sandbox = client.create(&json!({"wait": 0, "memory": "128Mi"})).await?;
    let execute = NewExecution::shell("echo up").within(&sandbox.id).with("wait", 0);
    let answer = client.post("/execute").json(execute.as_json()).send().await?;
    ensure!(
        answer.status == 200 || answer.refused(503, "unavailable")?.detail.contains("pending"),
        "{}",
        answer.text()
    );
    client.destroy(&sandbox.id).await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named_with_its_reason() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let client = server.client()?;
    for engine in ["firecracker", "kata"] {
        let problem =
            client.post("/sandbox").json(&json!({"engine": engine})).send().await?.refused(503, "unavailable")?;
        ensure!(problem.detail.contains(engine), "{}", problem.detail);
    }
    let native = client.post("/sandbox").json(&json!({"engine": "native"})).send().await?;
    ensure!(native.refused(403, "forbidden")?.detail.contains("isolation"), "{}", native.text());
    Ok(())
}

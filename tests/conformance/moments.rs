//! Short moments of a restart: a boot, a halt, a file on its way. Each is begun again and again until the disturbance
//! is over, so that it falls into the middle of one.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::{StreamExt, stream};
use sentinal_tests::{Answer, Guest, Leaks, Sandbox, eventually, on};
use serde_json::json;
use tokio::time::sleep;

use crate::{restarts::DEADLINE, scene::Stage};

/// Begun during one disturbance, at most.
const ATTEMPTS_MAX: usize = 6;
const PAUSE: Duration = Duration::from_millis(150);

/// Does something again and again until the disturbance is over; what came of each.
async fn again_and_again<T, F>(stage: &Stage, attempt: impl Fn(usize) -> F) -> Result<Vec<T>>
where
    F: Future<Output = T>,
{
    let mut done = Vec::new();
    let disturbed = stage.meanwhile();
    tokio::pin!(disturbed);
    for number in 0..ATTEMPTS_MAX {
        let mut over = false;
        let attempt = async {
            let came = attempt(number).await;
            sleep(PAUSE).await;
            came
        };
        tokio::pin!(attempt);
        let came = loop {
            tokio::select! {
                came = &mut attempt => break came,
                result = &mut disturbed, if !over => {
                    result?;
                    over = true;
                }
            }
        };
        done.push(came);
        if over {
            return Ok(done);
        }
    }
    disturbed.await?;
    Ok(done)
}

pub(crate) async fn a_boot_comes_to_its_end(stage: Stage) -> sentinal_tests::Fact {
    let client = stage.server.client()?;
    let fields = on(stage.column, json!({"memory": "128Mi", "disk": "32Mi", "wait": 0, "labels": {"part": "boot"}}));
    let create = |_| {
        let request = client.post("/sandbox").json(&fields);
        async { request.send().await.and_then(|answer| answer.expect(201)?.json()) }
    };
    let created: Vec<Result<Sandbox>> = again_and_again(&stage, create).await?;
    let answered: Vec<Sandbox> = created.into_iter().filter_map(Result::ok).collect();
    ensure!(!answered.is_empty(), "not one was created before, meanwhile or afterwards");
    for sandbox in &answered {
        let runs = || async {
            let now = client.sandbox(&sandbox.id).await?;
            ensure!(now.state == "running", "{now:?}");
            Ok(())
        };
        eventually("a sandbox that was promised", DEADLINE, runs).await?;
        let echo = sentinal_tests::NewExecution::shell("echo up").within(&sandbox.id);
        ensure!(client.execute(&echo).await?.ok()? == "up\n");
    }
    // One whose caller never had an answer is there all the same, and is somebody's to end.
    let all: Vec<Sandbox> = client.list("/sandbox").await?;
    let ours = all.iter().filter(|sandbox| sandbox.labels.get("part").is_some_and(|part| part == "boot"));
    for sandbox in ours.filter(|sandbox| ["pending", "running"].contains(&sandbox.state.as_str())) {
        client.destroy(&sandbox.id).await?.expect(200)?;
    }
    for sandbox in &answered {
        let none = || async { Leaks::of_sandbox(stage.server.place(), &sandbox.id).none() };
        eventually("nothing of a sandbox", DEADLINE, none).await?;
    }
    Ok(())
}

pub(crate) async fn a_halt_comes_to_its_end(stage: Stage) -> sentinal_tests::Fact {
    let mut guests = Vec::new();
    for _ in 0..4 {
        guests.push(stage.guest(json!({"memory": "128Mi", "disk": "32Mi"})).await?);
    }
    let destroy = |number: usize| {
        let guest = guests.get(number % guests.len());
        async move {
            match guest {
                Some(guest) => guest.client().destroy(guest.id()).await.map(|answer| answer.status),
                None => Ok(200),
            }
        }
    };
    let answers = again_and_again(&stage, destroy).await?;
    ensure!(answers.iter().flatten().all(|status| [200, 404, 503].contains(status)), "{answers:?}");
    for guest in &guests {
        let answer = guest.client().destroy(guest.id()).await?;
        ensure!([200, 404].contains(&answer.status), "{}: {}", answer.status, answer.text());
        let sandbox = guest.becomes("stopped", DEADLINE).await?;
        ensure!(sandbox.outcome.as_deref() == Some("destroyed"), "{sandbox:?}");
        guest.clean().await?;
    }
    Ok(())
}

/// A few hundred kilobytes that take a while.
async fn slow_upload(guest: &Guest, number: usize) -> Result<Answer> {
    let target = format!("/upload?sandbox_id={}&path=/home/user/file-{number}", guest.id());
    let pieces = stream::iter(0..20_u8).then(|piece| async move {
        sleep(Duration::from_millis(30)).await;
        Ok(Bytes::from(vec![piece; 20_000]))
    });
    guest.client().post(&target).stream("application/octet-stream", pieces).send().await
}

pub(crate) async fn an_upload_is_whole_or_not_there(stage: Stage) -> sentinal_tests::Fact {
    let guest = stage.guest(json!({})).await?;
    let answers = again_and_again(&stage, |number| slow_upload(&guest, number)).await?;
    let whole: Vec<u8> = (0..20_u8).flat_map(|piece| vec![piece; 20_000]).collect();
    for (number, answer) in answers.into_iter().enumerate() {
        let was_promised = answer.is_ok_and(|answer| answer.status == 200);
        let back = guest.client().download(guest.id(), &format!("/home/user/file-{number}")).await?;
        // One whose answer was lost may be there. If it is, it is whole.
        let is_as_promised = back.status == 200 && back.body == whole || back.status == 404 && !was_promised;
        ensure!(is_as_promised, "file {number}, promised: {was_promised}: {}, {} bytes", back.status, back.body.len());
    }
    let none_unfinished = || async {
        let left = guest.shell("ls -A | grep '^.sentinal'").await?;
        ensure!(left.stdout.as_deref() == Some(""), "left over: {left:?}");
        Ok(())
    };
    eventually("no unfinished upload", DEADLINE, none_unfinished).await?;
    slow_upload(&guest, 99).await?.expect(200)?;
    guest.gone().await
}

pub(crate) async fn a_download_is_whole_or_broken_off(stage: Stage) -> sentinal_tests::Fact {
    let guest = stage.guest(json!({})).await?;
    guest.shell("seq 1000000 > numbers").await?.ok()?;
    let whole: String = (1..=1_000_000).map(|number| format!("{number}\n")).collect();
    let download = |_| guest.client().download(guest.id(), "/home/user/numbers");
    for answer in again_and_again(&stage, download).await?.into_iter().flatten() {
        let is_right = answer.status == 200 && answer.body == whole || 500 <= answer.status;
        ensure!(is_right, "{}, {} bytes", answer.status, answer.body.len());
    }
    let back = guest.client().download(guest.id(), "/home/user/numbers").await?.expect(200)?;
    ensure!(back.body == whole, "{} other bytes", back.body.len());
    guest.gone().await
}

//! A sandbox begins, and ends, as often and from as many sides as it is asked to.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::{join_all, try_join_all};
use sentinal_tests::{Client, Fact, Ground, Leaks, Sandbox, eventually, on};
use serde_json::json;

use crate::table::{Row, light};

/// For a boot and a halt when many others boot and halt.
const DEADLINE: Duration = Duration::from_mins(2);
const MANY: usize = 8;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(a_sandbox_boots_works_and_leaves_nothing),
        light(the_same_request_twice_makes_two_sandboxes),
        light(a_sandbox_is_halted_once_however_often_it_is_asked),
        light(a_sandbox_is_halted_once_by_many_at_once),
        light(many_boot_and_halt_at_once),
        light(a_sandbox_may_be_halted_while_it_boots),
    ]
}

async fn a_sandbox_boots_works_and_leaves_nothing(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"cpu": 0.5, "memory": "128Mi", "disk": "32Mi"})).await?;
    let sandbox = guest.sandbox();
    ensure!(sandbox.state == "running", "{sandbox:?}");
    ensure!(sandbox.engine.as_deref() == Some(ground.column().name()), "{sandbox:?}");
    ensure!(sandbox.isolation.as_deref() == Some(ground.column().isolation()), "the tier is not said: {sandbox:?}");
    guest.works().await?;
    let who = guest.shell("id -u; pwd; cat /proc/1/comm").await?.ok()?;
    ensure!(who == "1000\n/home/user\nagent\n", "{who:?}");
    let client = guest.client().clone();
    let id = guest.id().to_owned();
    guest.gone().await?;
    is_stopped(&client, &id).await
}

async fn the_same_request_twice_makes_two_sandboxes(ground: Ground) -> Fact {
    let (one, two) = (ground.guest(json!({})).await?, ground.guest(json!({})).await?);
    ensure!(one.id() != two.id(), "one id for two sandboxes");
    one.shell("echo one > mine").await?.ok()?;
    ensure!(two.shell("ls").await?.ok()?.is_empty(), "the second sees what the first wrote");
    one.gone().await?;
    two.works().await?;
    two.gone().await
}

async fn a_sandbox_is_halted_once_however_often_it_is_asked(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let client = guest.client().clone();
    client.destroy(guest.id()).await?.expect(200)?;
    for _ in 0..3 {
        client.destroy(guest.id()).await?.refused(404, "not_found")?;
    }
    guest.clean().await?;
    is_stopped(&client, guest.id()).await
}

async fn a_sandbox_is_halted_once_by_many_at_once(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let answers = try_join_all((0..MANY).map(|_| guest.client().destroy(guest.id()))).await?;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    ensure!(statuses.contains(&200), "nobody was told that it is destroyed: {statuses:?}");
    ensure!(statuses.iter().all(|status| [200, 404].contains(status)), "{statuses:?}");
    guest.clean().await?;
    is_stopped(guest.client(), guest.id()).await
}

async fn many_boot_and_halt_at_once(ground: Ground) -> Fact {
    let booting = (0..MANY).map(|_| ground.guest(json!({"memory": "128Mi", "disk": "32Mi", "wait": 120})));
    let booted = join_all(booting).await;
    let guests = booted.into_iter().collect::<Result<Vec<_>>>()?;
    let named = |(number, guest): (usize, _)| set_name(guest, number);
    try_join_all(guests.iter().enumerate().map(named)).await?;
    for (number, guest) in guests.iter().enumerate() {
        let said = guest.shell("cat name").await?.ok()?;
        ensure!(said == format!("{number}\n"), "sandbox {number} says {said:?}");
    }
    try_join_all(guests.into_iter().map(sentinal_tests::Guest::gone)).await.map(drop)
}

async fn set_name(guest: &sentinal_tests::Guest, number: usize) -> Result<()> {
    guest.shell(&format!("echo {number} > name")).await?.ok().map(drop)
}

async fn a_sandbox_may_be_halted_while_it_boots(ground: Ground) -> Fact {
    let client = ground.client()?;
    for wait in [0.0, 0.02, 0.1] {
        let fields = on(ground.column(), json!({"memory": "128Mi", "wait": wait}));
        let sandbox: Sandbox = client.create(&fields).await?;
        client.destroy(&sandbox.id).await?.expect(200)?;
        let place = ground.server_here().place();
        let none = || async { Leaks::of_sandbox(place, &sandbox.id).none() };
        eventually("nothing of a sandbox that never booted", DEADLINE, none).await?;
        is_stopped(&client, &sandbox.id).await?;
    }
    Ok(())
}

async fn is_stopped(client: &Client, id: &str) -> Result<()> {
    let stopped = || async {
        let sandbox = client.sandbox(id).await?;
        ensure!(sandbox.state == "stopped", "still {}", sandbox.state);
        Ok(sandbox)
    };
    let sandbox = eventually("a stopped sandbox", DEADLINE, stopped).await?;
    ensure!(sandbox.outcome.as_deref() == Some("destroyed"), "{sandbox:?}");
    Ok(())
}

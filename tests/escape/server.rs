//! Tricks on the server, which moves files in and out for whoever asks: it must never be led to a file that the ordinary
//! user inside could not reach, and never to one of the host.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use sentinal_tests::{Cell, Fact, Ground, Guest, NewExecution, percent_encoded};
use serde_json::json;

use crate::{bombs, outside::Outside};

pub(crate) const GROUP: &str = "server";
pub(crate) const NAMES: [&str; 6] = [
    "is led to a file of the host by a link",
    "is led out of its folder by a path",
    "is led to what is root's by a link that changes",
    "gives out the agent's secrets",
    "is held up by what is no file",
    "is flooded with output",
];

/// What came of each.
pub(crate) async fn tried(ground: &Ground, outside: &Outside) -> Vec<(&'static str, Cell)> {
    let facts = [
        link_to_the_host(ground, outside).await,
        path_out(ground, outside).await,
        changing_link(ground).await,
        agent_secrets(ground).await,
        no_file(ground).await,
        bombs::output_flood(ground).await,
    ];
    NAMES.into_iter().zip(facts.map(Cell::from)).collect()
}

/// Downloads, and makes sure that it is nothing of the host's.
async fn must_not_give(guest: &Guest, path: &str, outside: &Outside) -> Fact {
    let answer = guest.client().download(guest.id(), path).await?;
    let is_secret = answer.text().contains(outside.secret());
    ensure!(!is_secret && 400 <= answer.status && answer.status < 500, "{path}: {}: {}", answer.status, answer.text());
    Ok(())
}

async fn link_to_the_host(ground: &Ground, outside: &Outside) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let file = outside.known()["file"].as_str().unwrap_or_default().to_owned();
    let targets = [
        file.clone(),
        format!("/proc/1/root{file}"),
        format!("../../../../..{file}"),
        format!("/proc/self/cwd/..{file}"),
    ];
    for (number, target) in targets.iter().enumerate() {
        guest.shell(&format!("ln -s {target} link-{number}")).await?.ok()?;
        must_not_give(&guest, &format!("/home/user/link-{number}"), outside).await?;
    }
    // What is written through one is written inside, or nowhere.
    for number in 0..targets.len() {
        guest.client().upload(guest.id(), &format!("/home/user/link-{number}"), "from inside").await?;
    }
    ensure!(fs::read_to_string(&file)? == outside.secret(), "the host's file was written");
    guest.gone().await
}

async fn path_out(ground: &Ground, outside: &Outside) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let file = outside.known()["file"].as_str().unwrap_or_default();
    for climb in [
        "/../../../../../../..",
        "/home/user/../../../../../../..",
        "/proc/1/root",
        "/proc/self/root/..",
        "/.sentinal/host/../../..",
    ] {
        must_not_give(&guest, &format!("{climb}{file}"), outside).await?;
    }
    // As a client might write it that wants to be misread.
    for escaped in [
        "..%2f..%2f..%2f..%2f..",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e",
        "..%252f..%252f..",
        "....//....//....//",
        "..%5c..%5c..",
        "%c0%ae%c0%ae/%c0%ae%c0%ae",
    ] {
        let target = format!("/download?sandbox_id={}&path=/home/user/{escaped}{}", guest.id(), percent_encoded(file));
        let answer = guest.client().get(&target).send().await?;
        ensure!(400 <= answer.status && answer.status < 500, "{escaped}: {}: {}", answer.status, answer.text());
    }
    guest.gone().await
}

/// A folder that becomes a link to root's between the look at it and the act on it.
async fn changing_link(ground: &Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let switch = "mkdir -p real; cd /home/user; end=$((SECONDS + 12)); while [ $SECONDS -lt $end ]; do \
                  rm -rf way; ln -s real way; rm -rf way; ln -s /root way; rm -f way; ln -s /etc way; done";
    let switch = NewExecution::code("bash", switch).within(guest.id()).with("timeout", 60);
    let switching = guest.client().execute_in_background(switch).await?;
    for _ in 0..120 {
        // Refused or written into `real`, as it happens.
        guest.client().upload(guest.id(), "/home/user/way/planted", "x").await?;
        let read = guest.client().download(guest.id(), "/home/user/way/shadow").await?;
        ensure!(read.status != 200, "what is root's was given out: {}", read.text());
    }
    guest.end_of(&switching.id, Duration::from_mins(1)).await?;
    let look = "ls -d /etc/planted /root/planted 2>/dev/null";
    let planted = guest.execute(NewExecution::shell(look).with("user", "root")).await?;
    ensure!(planted.stdout.as_deref() == Some(""), "a file was planted: {planted:?}");
    guest.gone().await
}

async fn agent_secrets(ground: &Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    for path in [
        "/proc/1/mem",
        "/proc/1/maps",
        "/proc/1/stack",
        "/.sentinal/agent",
        "/.sentinal/host/agent.sock",
        "/etc/shadow",
        "/proc/1/fd/3",
    ] {
        let answer = guest.client().download(guest.id(), path).await?;
        // On gVisor some of these are files without a size, of which nothing is given.
        let is_nothing = answer.status == 200 && answer.body.is_empty();
        ensure!(is_nothing || (400..500).contains(&answer.status), "{path}: {}: {}", answer.status, answer.text());
    }
    let environment = guest.client().download(guest.id(), "/proc/1/environ").await?;
    let is_token = |word: &str| 64 <= word.len() && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = environment.text();
    ensure!(!shown.split(|c: char| !c.is_ascii_alphanumeric()).any(is_token), "the agent's token: {shown:?}");
    guest.client().upload(guest.id(), "/.sentinal/agent", "x").await?.refused(403, "forbidden")?;
    guest.works().await?;
    guest.gone().await
}

async fn no_file(ground: &Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest
        .shell("mkfifo pipe; ln -s /dev/zero zero; ln -s /proc/self/fd/0 descriptor; mkdir folder; ln -s folder way")
        .await?
        .ok()?;
    let not_files =
        ["pipe", "zero", "folder", "way", "/dev/zero", "/dev/random", "/dev/ptmx", "/dev/tty", "/proc/kmsg"];
    for path in not_files {
        let answers: [Result<_>; 2] =
            [guest.client().download(guest.id(), path).await, guest.client().upload(guest.id(), path, "x").await];
        for answer in answers {
            let answer = answer?;
            ensure!(400 <= answer.status && answer.status < 500, "{path}: {}: {}", answer.status, answer.text());
        }
    }
    guest.works().await?;
    guest.gone().await
}

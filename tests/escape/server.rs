//! Tricks on the server, which moves files in and out for whoever asks: it must never be led to a file that the ordinary
//! user inside could not reach, and never to one of the host.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use http::Method;
use sentinal_tests::{Cell, Fact, Ground, Guest, NewExecution, Tar, percent_encoded};
use serde_json::json;

use crate::{bombs, outside::Outside};

pub(crate) const GROUP: &str = "server";
pub(crate) const NAMES: [&str; 9] = [
    "is led to a file of the host by a link",
    "is led out of its folder by a path",
    "is led to what is root's by a link that changes",
    "is led out of a folder by an archive",
    "is led elsewhere by folders that change under an archive, a list or a removal",
    "is held up by a folder that has no end",
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
        archive_out(ground, outside).await,
        changing_folder(ground).await,
        endless_folder(ground).await,
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

/// To the host's file, to root's, and to the user's own beside the folder.
async fn archive_out(ground: &Ground, outside: &Outside) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let file = outside.known()["file"].as_str().unwrap_or_default().to_owned();
    let climb = format!("{}{file}", "../".repeat(12));
    guest
        .shell(&format!("mkdir to; ln -s {file} to/host; ln -s / to/root; ln -s /proc/self/root to/proc"))
        .await?
        .ok()?;
    let within = file.trim_start_matches('/');
    for archive in [
        Tar::default().file(&file, b"from inside"),
        Tar::default().file(&climb, b"from inside"),
        Tar::default().symlink("a", &file).file("a", b"from inside"),
        Tar::default().symlink("a", "/").file(&format!("a/{within}"), b"from inside"),
        Tar::default().file(&format!("root/{within}"), b"from inside"),
        Tar::default().file(&format!("proc/{within}"), b"from inside"),
        Tar::default().hardlink("a", &climb).file("a", b"from inside"),
        Tar::default().hardlink("a", "root/etc/shadow"),
        Tar::default().file("../planted", b"from inside"),
        Tar::default().symlink("b", ".").symlink("c", "b/..").file("c/planted", b"from inside"),
    ] {
        let answer =
            guest.files(Method::PUT, "/archive", "to", "").bytes("application/x-tar", archive.end()).send().await?;
        ensure!(400 <= answer.status && answer.status < 500, "{}: {}", answer.status, answer.text());
    }
    // A file in the place of a link replaces the link.
    let archive = Tar::default().file("host", b"from inside").end();
    guest.files(Method::PUT, "/archive", "to", "").bytes("application/x-tar", archive).send().await?.expect(200)?;
    ensure!(fs::read_to_string(&file)? == outside.secret(), "the host's file was written");
    let look = format!("ls -d planted {file} 2>/dev/null; test -L to/host || cat to/host");
    let seen = guest.shell(&look).await?.ok()?;
    ensure!(seen == "from inside", "{seen:?}");
    let packed = guest.files(Method::GET, "/archive", "to", "").send().await?.expect(200)?;
    ensure!(!packed.text().contains(outside.secret()), "what a link leads to was packed");
    guest.gone().await
}

/// A folder that becomes a link to root's in the middle of whatever goes through it.
async fn changing_folder(ground: &Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.execute(NewExecution::shell("mkdir -m 777 /victim; touch /victim/kept").with("user", "root")).await?.ok()?;
    let switch = "mkdir -p to; cd to; end=$((SECONDS + 12)); while [ $SECONDS -lt $end ]; do \
                  mkdir -p way; rm -rf way; ln -s /victim way; rm -f way; done";
    let switch = NewExecution::code("bash", switch).within(guest.id()).with("timeout", 60);
    let switching = guest.client().execute_in_background(switch).await?;
    let archive = Tar::default().folder("way").file("way/planted", b"x").file("way/kept", b"x").end();
    for _ in 0..40 {
        // Refused or done in a folder of the user's, as it happens.
        let body = archive.clone();
        guest.files(Method::PUT, "/archive", "to", "").bytes("application/x-tar", body).send().await?;
        let listed = guest.list("to", "&depth=5").await?;
        ensure!(
            !listed.text().contains("way/kept\",\"type\":\"file\",\"size\":0"),
            "a link was followed: {}",
            listed.text()
        );
        guest.remove("to/way", "&recursive=true").await?;
    }
    guest.end_of(&switching.id, Duration::from_mins(1)).await?;
    let left = guest.shell("ls /victim; wc -c < /victim/kept").await?.ok()?;
    ensure!(left == "kept\n0\n", "what a link led to was changed: {left:?}");
    guest.gone().await
}

/// Folders within each other beyond every bound, and one that is filled while it is read and removed. (Not more of them than
/// there is memory for: on gVisor the sandbox itself would end for that.)
async fn endless_folder(ground: &Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let fill = "import os, time\nos.makedirs('t/wide'); os.chdir('t')\nend = time.time() + 15\nn = 0\ndeep = os.open('.', os.O_RDONLY)\n\
                while time.time() < end:\n  n += 1\n  try: os.close(os.open(f'wide/{n % 8000}', os.O_CREAT))\n  except FileNotFoundError: pass\n  if n % 10 == 0 and n < 5000:\n\
                \x20   os.mkdir('d', dir_fd=deep); new = os.open('d', os.O_RDONLY, dir_fd=deep); os.close(deep); deep = new";
    let fill = NewExecution::code("python", fill).within(guest.id()).with("timeout", 60);
    let filling = guest.client().execute_in_background(fill).await?;
    guest.shell("until [ -e t/wide ]; do sleep 0.1; done").await?.ok()?;
    for _ in 0..5 {
        let listed = guest.list("t", "&depth=32").await?;
        // What grew beyond an archive's bounds after that was begun cannot be brought to an end, and shows it.
        let packed = guest.files(Method::GET, "/archive", "t", "").send_unless_cut_off().await?;
        let removed = guest.remove("t/wide", "&recursive=true").await?;
        for answer in [Some(listed), packed, Some(removed)].into_iter().flatten() {
            ensure!(answer.status < 500, "{}: {}", answer.status, answer.text());
        }
        guest.shell("mkdir -p t/wide").await?.ok()?;
    }
    guest.end_of(&filling.id, Duration::from_mins(1)).await?;
    guest.works().await?;
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

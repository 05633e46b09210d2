//! What happens in a folder, as it is told while it happens.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::Method;
use sentinal_tests::{Event, EventStream, Fact, Ground, Guest, NewExecution, eventually};
use serde_json::{Value, json};

use crate::table::{Row, light};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(what_happens_in_a_folder_is_told),
        light(folders_that_are_made_while_watching_are_watched),
        light(a_folder_that_moves_keeps_its_watch),
        light(a_watcher_that_does_not_keep_up_is_told_so),
        light(a_watch_ends_with_its_folder_and_with_its_sandbox),
        light(a_watcher_that_is_gone_leaves_nothing),
        light(what_cannot_be_watched_is_refused),
    ]
}

async fn watch(guest: &Guest, path: &str, more: &str) -> Result<EventStream> {
    guest.files(Method::GET, "/watch", path, more).deadline(Duration::from_secs(20)).events().await
}

/// As `name path`, with where it was before a move.
fn line(event: &Event) -> Result<String> {
    let data: Value = serde_json::from_str(&event.data).with_context(|| event.data.clone())?;
    let path = data["path"].as_str().context("a path")?.trim_start_matches("/home/user/");
    let from =
        data["from"].as_str().map_or_else(String::new, |from| format!("{} ", from.trim_start_matches("/home/user/")));
    Ok(format!("{} {from}{path}", event.name))
}

/// Reads until `last`, and answers what came, without repetitions in a row.
async fn until(events: &mut EventStream, last: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != last) {
        let event = events.next().await.with_context(|| format!("{last:?} after {lines:?}"))?;
        lines.push(line(&event.with_context(|| format!("the end instead of {last:?} after {lines:?}"))?)?);
    }
    lines.dedup();
    Ok(lines)
}

/// Without what some kernels say of metadata beside the change itself.
fn without_modified(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| !line.starts_with("modified ")).collect()
}

async fn what_happens_in_a_folder_is_told(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.shell("mkdir -p w/sub out; echo x > out/x").await?.ok()?;
    let mut events = watch(&guest, "w", "").await?;
    guest.shell("cd w; echo 1 > a; echo 2 >> a; mv a b; chmod 600 b; mkdir d; rm b; rmdir d; mv ../out/x x; mv x ../out/y; touch sub/unseen; touch last").await?.ok()?;
    let lines = until(&mut events, "created w/last").await?;
    let expected = [
        "created w/a",
        "modified w/a",
        "moved w/a w/b",
        "modified w/b",
        "created w/d",
        "removed w/b",
        "removed w/d",
        "created w/x",
        "removed w/x",
        "created w/last",
    ];
    ensure!(lines == expected, "{lines:?}");
    // What the API itself does is told as what it is.
    guest.write("w/whole", "", "content").await?.expect(200)?;
    guest.write("w/whole", "&append=true", "more").await?.expect(200)?;
    guest.file_call("move", &json!({"from": "w/whole", "to": "w/moved"})).await?.expect(200)?;
    guest.remove("w/moved", "").await?.expect(204)?;
    let lines = until(&mut events, "removed w/moved").await?;
    let told = ["created w/whole", "modified w/whole", "moved w/whole w/moved", "removed w/moved"];
    let lines: Vec<_> = lines.into_iter().filter(|line| !line.ends_with("w/last")).collect();
    ensure!(lines == told, "{lines:?}");
    guest.execute(NewExecution::code("python", r"open(b'w/\xff', 'w')")).await?.ok()?;
    let event = events.next().await?.context("an event")?;
    ensure!(event.data.contains("path_base64"), "{event:?}");
    guest.gone().await
}

async fn folders_that_are_made_while_watching_are_watched(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest
        .shell("mkdir -p w/old/deep; ln -s /tmp w/way; mkdir -p /tmp/tree/within; touch /tmp/tree/within/file")
        .await?
        .ok()?;
    let mut events = watch(&guest, "w", "&recursive=true").await?;
    guest.shell("touch w/old/deep/a /tmp/not-here; mkdir -p w/n/e/w; echo x > w/n/e/w/file").await?.ok()?;
    let lines = without_modified(until(&mut events, "created w/n/e/w/file").await?);
    let expected = ["created w/old/deep/a", "created w/n", "created w/n/e", "created w/n/e/w", "created w/n/e/w/file"];
    ensure!(lines == expected, "{lines:?}");
    guest.shell("mv /tmp/tree w/tree; touch w/tree/within/new").await?.ok()?;
    let lines = without_modified(until(&mut events, "created w/tree/within/new").await?);
    let expected =
        ["created w/tree", "created w/tree/within", "created w/tree/within/file", "created w/tree/within/new"];
    ensure!(lines == expected, "{lines:?}");
    guest.gone().await
}

async fn a_folder_that_moves_keeps_its_watch(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.shell("mkdir -p w/a/b out").await?.ok()?;
    let mut events = watch(&guest, "w", "&recursive=true").await?;
    guest.shell("mv w/a w/c; touch w/c/b/file").await?.ok()?;
    let lines = without_modified(until(&mut events, "created w/c/b/file").await?);
    ensure!(lines == ["moved w/a w/c", "created w/c/b/file"], "{lines:?}");
    // What has left is nobody's to tell of.
    guest.shell("mv w/c out/c; sleep 0.2; touch out/c/b/unseen; touch w/last").await?.ok()?;
    let lines = without_modified(until(&mut events, "created w/last").await?);
    ensure!(lines == ["removed w/c", "created w/last"], "{lines:?}");
    guest.gone().await
}

/// Nobody reads while far more happens than anything on the way holds.
async fn a_watcher_that_does_not_keep_up_is_told_so(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.shell("mkdir w").await?.ok()?;
    let mut events = watch(&guest, "w", "").await?;
    let flood = "import os\nname = 'w/' + 'n' * 200\nfor n in range(60_000):\n  p = name + str(n)\n  os.close(os.open(p, os.O_CREAT)); os.unlink(p)";
    guest.execute(NewExecution::code("python", flood).with("timeout", 200)).await?.ok()?;
    let mut seen = 0_u32;
    loop {
        let event = events.next().await?.context("the end of the events")?;
        seen += 1;
        if event.name == "overflow" {
            break;
        }
        ensure!(seen < 120_000, "everything was told: the flood was too small");
    }
    guest.works().await?;
    guest.gone().await
}

async fn a_watch_ends_with_its_folder_and_with_its_sandbox(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.shell("mkdir w v").await?.ok()?;
    let (mut of_folder, mut of_sandbox) = (watch(&guest, "w", "").await?, watch(&guest, "v", "").await?);
    guest.remove("w", "").await?.expect(204)?;
    let lines = until(&mut of_folder, "removed w").await?;
    ensure!(lines == ["removed w"], "{lines:?}");
    ensure!(of_folder.next().await?.is_none(), "it goes on without its folder");
    guest.client().destroy(guest.id()).await?.expect(200)?;
    if let Some(event) = of_sandbox.next().await? {
        bail!("{event:?} after the end of the sandbox");
    }
    guest.clean().await
}

async fn a_watcher_that_is_gone_leaves_nothing(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    // More in all than may watch at once.
    for round in 0..6 {
        let opened = || async {
            let mut all = Vec::new();
            for _ in 0..8 {
                all.push(watch(&guest, ".", "&recursive=true").await?);
            }
            Ok(all)
        };
        let watches = eventually("room for eight watches", Duration::from_secs(20), opened).await?;
        guest.shell(&format!("touch round-{round}")).await?.ok()?;
        drop(watches);
    }
    guest.gone().await
}

async fn what_cannot_be_watched_is_refused(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let refused = |path: &str, more: &str| {
        let request = guest.files(Method::GET, "/watch", path, more);
        async move { request.send().await }
    };
    guest.shell("touch file; mkdir shut; chmod 300 shut").await?.ok()?;
    refused("file", "").await?.refused(400, "invalid_request")?;
    refused("missing", "").await?.refused(404, "not_found")?;
    refused("/root", "").await?.refused(403, "forbidden")?;
    refused("shut", "").await?.refused(403, "forbidden")?;
    let make = "import os\nfor n in range(4200): os.makedirs(f'many/{n}')";
    guest.execute(NewExecution::code("python", make).with("timeout", 120)).await?.ok()?;
    refused("many", "&recursive=true").await?.refused(413, "too_large")?;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(watch(&guest, "many", "").await?);
    }
    let problem = refused("many", "").await?.refused(413, "too_large")?;
    ensure!(problem.detail.contains("16"), "{problem:?}");
    guest.gone().await
}

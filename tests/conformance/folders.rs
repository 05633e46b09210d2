//! Folders, and what is to be known of files.

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Context, Result, ensure};
use http::Method;
use sentinal_tests::{Answer, Fact, Ground, Guest, NewExecution};
use serde_json::{Value, json};

use crate::table::{Row, heavy, light};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(a_stat_says_what_the_program_inside_sees),
        light(a_folder_is_listed_in_order_and_part_by_part),
        light(a_list_follows_no_link_and_says_what_cannot_be_read),
        light(names_that_are_no_text_are_listed_with_their_bytes),
        heavy(ten_thousand_files_are_listed_in_one_answer),
        heavy(a_folder_with_a_hundred_thousand_names_is_listed_and_removed),
        light(folders_are_made_as_asked),
        light(a_move_replaces_nothing_unless_asked),
        light(only_what_is_meant_is_removed),
        light(a_tree_of_any_depth_is_listed_and_removed),
        light(another_user_may_be_named),
        light(a_paused_sandbox_has_no_files_to_show),
    ]
}

fn items(answer: Answer) -> Result<(Vec<Value>, Option<String>)> {
    let body: Value = answer.expect(200)?.json()?;
    let items = body["items"].as_array().context("a list")?.clone();
    Ok((items, body["next"].as_str().map(str::to_owned)))
}

async fn paths(guest: &Guest, path: &str, more: &str) -> Result<Vec<String>> {
    let (items, _) = items(guest.list(path, more).await?)?;
    items.iter().map(|item| Ok(item["path"].as_str().context("a path")?.to_owned())).collect()
}

async fn a_stat_says_what_the_program_inside_sees(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let make = "printf 12345 > file; chmod 4751 file; touch -d 2001-02-03T04:05:06Z file; mkdir folder; mkfifo pipe; \
                ln -s file link; ln -s nowhere dangling; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'";
    guest.shell(make).await?.ok()?;
    let file: Value = guest.stat("file", "").await?.expect(200)?.json()?;
    let expected = json!({
        "path": "/home/user/file", "name": "file", "type": "file", "size": 5, "mode": "4751", "uid": 1000, "gid": 1000,
        "user": "user", "group": "user", "modified_at": "2001-02-03T04:05:06.000Z",
    });
    ensure!(file == expected, "{file}");
    for (path, kind) in
        [("folder", "directory"), ("pipe", "fifo"), ("sock", "socket"), ("/dev/null", "device"), ("/", "directory")]
    {
        let stat: Value = guest.stat(path, "").await?.expect(200)?.json()?;
        ensure!(stat["type"] == kind, "{path}: {stat}");
    }
    let link: Value = guest.stat("link", "").await?.expect(200)?.json()?;
    ensure!(link["type"] == "symlink" && link["target"] == "file", "{link}");
    let followed: Value = guest.stat("link", "&follow=true").await?.expect(200)?.json()?;
    ensure!(followed["type"] == "file" && followed["size"] == 5, "{followed}");
    guest.stat("dangling", "").await?.expect(200)?;
    guest.stat("dangling", "&follow=true").await?.refused(404, "not_found")?;
    guest.stat("missing", "").await?.refused(404, "not_found")?;
    guest.stat("file/within", "").await?.refused(400, "invalid_request")?;
    guest.stat("/root/secret", "").await?.refused(403, "forbidden")?;
    guest.gone().await
}

async fn a_folder_is_listed_in_order_and_part_by_part(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.shell("mkdir -p t/a/b t/a.d t/c; touch t/a/b/1 t/a/b/2 t/a/x t/a.d/y t/z t/Z").await?.ok()?;
    let whole =
        ["Z", "a", "a/b", "a/b/1", "a/b/2", "a/x", "a.d", "a.d/y", "c", "z"].map(|name| format!("/home/user/t/{name}"));
    ensure!(paths(&guest, "t", "&depth=9").await? == whole);
    ensure!(paths(&guest, "t", "").await? == [0, 1, 6, 8, 9].map(|at| whole[at].clone()));
    for limit in [1, 2, 3] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let (page, next) = items(guest.list("t", &format!("&depth=9&limit={limit}{cursor}")).await?)?;
            ensure!(page.len() <= limit, "{} entries in a page of {limit}", page.len());
            seen.extend(page.iter().map(|item| item["path"].as_str().unwrap_or_default().to_owned()));
            let Some(next) = next else { break };
            cursor = format!("&cursor={next}");
        }
        ensure!(seen == whole, "by {limit}: {seen:?}");
    }
    ensure!(paths(&guest, "t/c", "").await?.is_empty());
    guest.list("t/z", "").await?.refused(400, "invalid_request")?;
    guest.list("nothing", "").await?.refused(404, "not_found")?;
    guest.list("t", "&cursor=%3F").await?.refused(400, "invalid_request")?;
    ensure!(paths(&guest, "/", "").await?.contains(&"/etc".to_owned()));
    guest.gone().await
}

async fn a_list_follows_no_link_and_says_what_cannot_be_read(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.shell("mkdir t t/shut t/open; touch t/shut/x t/open/y; chmod 0 t/shut; ln -s . t/loop; ln -s /etc t/way; ln -s t to").await?.ok()?;
    let (listed, _) = items(guest.list("t", "&depth=32").await?)?;
    let seen: Vec<(&str, bool)> = listed
        .iter()
        .map(|item| (item["path"].as_str().unwrap_or_default(), item["unreadable"] == json!(true)))
        .collect();
    let expected = [("loop", false), ("open", false), ("open/y", false), ("shut", true), ("way", false)];
    let expected = expected.map(|(name, shut)| (format!("/home/user/t/{name}"), shut));
    ensure!(seen == expected.each_ref().map(|(path, shut)| (path.as_str(), *shut)), "{seen:?}");
    guest.list("t/shut", "").await?.refused(403, "forbidden")?;
    // A link that is asked for is followed, as a slash behind it would.
    ensure!(paths(&guest, "to", "").await?.len() == 4);
    guest.gone().await
}

async fn names_that_are_no_text_are_listed_with_their_bytes(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let make = r"import os; os.mkdir(b'n'); open(b'n/a\xffb', 'w'); open('n/gr\u00fc\u00dfe\n', 'w'); os.symlink(b'\xfe', b'n/z')";
    guest.execute(NewExecution::code("python", make)).await?.ok()?;
    let (listed, _) = items(guest.list("n", "").await?)?;
    ensure!(listed.len() == 3, "{listed:?}");
    ensure!(
        listed[0]["name"] == "a\u{fffd}b" && listed[0]["path_base64"] == "L2hvbWUvdXNlci9uL2H/Yg==",
        "{}",
        listed[0]
    );
    ensure!(listed[1]["name"] == "grüße\n" && listed[1].get("path_base64").is_none(), "{}", listed[1]);
    ensure!(listed[2]["target"] == "\u{fffd}" && listed[2]["target_base64"] == "/g==", "{}", listed[2]);
    // A page may end at any of them.
    let (first, next) = items(guest.list("n", "&limit=1").await?)?;
    let (second, _) = items(guest.list("n", &format!("&limit=1&cursor={}", next.context("a cursor")?)).await?)?;
    ensure!(first[0] == listed[0] && second[0] == listed[1], "{first:?} {second:?}");
    guest.remove("n", "&recursive=true").await?.expect(204)?;
    guest.gone().await
}

async fn ten_thousand_files_are_listed_in_one_answer(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"ttl": 900})).await?;
    let make = "import os\nfor d in range(100):\n  os.makedirs(f'many/{d}')\n  for f in range(100): open(f'many/{d}/{f}', 'w').write('x')";
    guest.execute(NewExecution::code("python", make).with("timeout", 240)).await?.ok()?;
    let inside =
        guest.shell("s=$(date +%s%N); ls -lR many > /dev/null; e=$(date +%s%N); echo $(((e - s) / 1000))").await?;
    let inside_us: u128 = inside.ok()?.trim().parse()?;
    // Only what the server does: reading the answer here takes its time, too.
    let begun = Instant::now();
    let answer = guest.list("many", "&depth=2").await?;
    let took = begun.elapsed();
    let (listed, next) = items(answer)?;
    ensure!(listed.len() == 10_100 && next.is_none(), "{} entries, {next:?}", listed.len());
    ensure!(took.as_micros() < 10 * inside_us, "{took:?}, and {inside_us} µs for ls inside");
    guest.gone().await
}

async fn a_folder_with_a_hundred_thousand_names_is_listed_and_removed(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "512Mi", "ttl": 900})).await?;
    // Hard links: names without inodes of their own.
    let make = "import os\nopen('f', 'w'); os.mkdir('w')\nfor n in range(100_000):\n  if n % 30_000 == 0: open(f'f{n}', 'w')\n  os.link(f'f{n // 30_000 * 30_000}', f'w/{n:06}')";
    guest.execute(NewExecution::code("python", make).with("timeout", 300)).await?.ok()?;
    let (mut seen, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let (page, next) = items(guest.list("w", &cursor).await?)?;
        ensure!(page.len() <= 20_000, "{} entries", page.len());
        seen.extend(page.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()));
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    ensure!(seen.len() == 100_000, "{} names", seen.len());
    // As often as it takes.
    for _ in 0..20 {
        let removed = guest.remove("w", "&recursive=true").await?;
        if removed.status == 204 {
            guest.stat("w", "").await?.refused(404, "not_found")?;
            return guest.gone().await;
        }
        removed.refused(409, "conflict")?;
    }
    anyhow::bail!("it is not removed in 20 calls")
}

async fn folders_are_made_as_asked(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let made: Value = guest.file_call("mkdir", &json!({"path": "new"})).await?.expect(200)?.json()?;
    ensure!(made["path"] == "/home/user/new" && made["type"] == "directory" && made["mode"] == "0755", "{made}");
    guest.file_call("mkdir", &json!({"path": "new"})).await?.refused(409, "conflict")?;
    guest.file_call("mkdir", &json!({"path": "a/b/c"})).await?.refused(404, "not_found")?;
    let asked = json!({"path": "a/b/c", "parents": true, "mode": "2770"});
    let made: Value = guest.file_call("mkdir", &asked).await?.expect(200)?.json()?;
    ensure!(made["mode"] == "2770", "{made}");
    guest.file_call("mkdir", &asked).await?.expect(200)?;
    ensure!(guest.shell("stat -c '%a %U' a a/b a/b/c").await?.ok()? == "755 user\n755 user\n2770 user\n");
    guest.shell("touch file").await?.ok()?;
    guest.file_call("mkdir", &json!({"path": "file", "parents": true})).await?.refused(409, "conflict")?;
    guest.file_call("mkdir", &json!({"path": "/etc/new"})).await?.refused(403, "forbidden")?;
    guest.file_call("mkdir", &json!({"path": "x", "mode": "rwx"})).await?.refused(400, "invalid_request")?;
    guest.gone().await
}

async fn a_move_replaces_nothing_unless_asked(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.shell("echo a > a; echo b > b; mkdir d full; touch full/x; ln -s a l").await?.ok()?;
    let to = |from: &str, to: &str| json!({"from": from, "to": to});
    let moved: Value = guest.file_call("move", &to("a", "d/a2")).await?.expect(200)?.json()?;
    ensure!(moved["path"] == "/home/user/d/a2" && moved["size"] == 2, "{moved}");
    guest.file_call("move", &to("a", "c")).await?.refused(404, "not_found")?;
    let refused = guest.file_call("move", &to("d/a2", "b")).await?.refused(409, "conflict")?;
    ensure!(refused.detail.contains("overwrite"), "{refused:?}");
    ensure!(guest.shell("cat b").await?.ok()? == "b\n");
    let mut over = to("d/a2", "b");
    over["overwrite"] = json!(true);
    guest.file_call("move", &over).await?.expect(200)?;
    ensure!(guest.shell("cat b; ls d").await?.ok()? == "a\n");
    let link: Value = guest.file_call("move", &to("l", "l2")).await?.expect(200)?.json()?;
    ensure!(link["type"] == "symlink", "{link}");
    guest.file_call("move", &to("d", "full/d")).await?.expect(200)?;
    guest.file_call("move", &to("full", "full/d/self")).await?.refused(400, "invalid_request")?;
    guest.file_call("move", &to("b", "missing/b")).await?.refused(404, "not_found")?;
    let mut onto = to("full/d", "full");
    onto["overwrite"] = json!(true);
    guest.file_call("move", &onto).await?.refused(409, "conflict")?;
    guest.file_call("move", &to("b", "/etc/b")).await?.refused(403, "forbidden")?;
    guest.gone().await
}

async fn only_what_is_meant_is_removed(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest
        .shell(
            "mkdir -p t/in empty kept; touch t/in/x file kept/y; ln -s ../kept t/way; ln -s kept link; chmod 500 kept",
        )
        .await?
        .ok()?;
    guest.remove("file", "").await?.expect(204)?;
    guest.remove("file", "").await?.refused(404, "not_found")?;
    guest.remove("empty", "").await?.expect(204)?;
    let refused = guest.remove("t", "").await?.refused(409, "conflict")?;
    ensure!(refused.detail.contains("recursive=true"), "{refused:?}");
    guest.remove("t", "&recursive=true").await?.expect(204)?;
    guest.remove("link", "&recursive=true").await?.expect(204)?;
    guest.remove("kept", "&recursive=true").await?.refused(403, "forbidden")?;
    guest.remove("/", "&recursive=true").await?.refused(400, "invalid_request")?;
    guest.remove("/etc/passwd", "").await?.refused(403, "forbidden")?;
    ensure!(guest.shell("ls -A . kept").await?.ok()?.ends_with("kept:\ny\n"), "more was removed");
    guest.gone().await
}

/// Deeper than a path may be long.
async fn a_tree_of_any_depth_is_listed_and_removed(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let make =
        "import os\nos.mkdir('t'); os.chdir('t')\nfor n in range(3000):\n  os.mkdir('deeper'); os.chdir('deeper')";
    guest.execute(NewExecution::code("python", make).with("timeout", 120)).await?.ok()?;
    ensure!(paths(&guest, "t", "&depth=32").await?.len() == 32);
    guest.remove("t", "&recursive=true").await?.expect(204)?;
    guest.stat("t", "").await?.refused(404, "not_found")?;
    guest.gone().await
}

async fn another_user_may_be_named(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.write("/root/secret", "", "x").await?.refused(403, "forbidden")?;
    guest.write("/root/secret", "&user=root&mode=0600", "x").await?.expect(200)?;
    let stat: Value = guest.stat("/root/secret", "&user=0").await?.expect(200)?.json()?;
    ensure!(stat["user"] == "root" && stat["mode"] == "0600", "{stat}");
    guest.read("/root/secret").await?.refused(403, "forbidden")?;
    guest.list("/root", "").await?.refused(403, "forbidden")?;
    let refused = guest.stat("file", "&user=nobody-here").await?.refused(400, "invalid_request")?;
    ensure!(refused.detail.contains("no user"), "{refused:?}");
    guest.remove("/root/secret", "&user=root").await?.expect(204)?;
    guest.gone().await
}

async fn a_paused_sandbox_has_no_files_to_show(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.write("file", "", "x").await?.expect(200)?;
    guest.pause().await?.expect(200)?;
    for answer in [
        guest.read("file").await?,
        guest.write("file", "", "y").await?,
        guest.remove("file", "").await?,
        guest.stat("file", "").await?,
        guest.list(".", "").await?,
        guest.file_call("mkdir", &json!({"path": "new"})).await?,
        guest.file_call("move", &json!({"from": "file", "to": "other"})).await?,
        guest.files(Method::GET, "/archive", ".", "").send().await?,
        guest.files(Method::PUT, "/archive", ".", "").bytes("application/x-tar", "").send().await?,
        guest.files(Method::GET, "/watch", ".", "").send().await?,
    ] {
        let problem = answer.refused(409, "conflict")?;
        ensure!(problem.detail.contains("resume"), "{problem:?}");
    }
    guest.resume().await?.expect(200)?;
    ensure!(guest.read("file").await?.expect(200)?.body == "x");
    // What changes a sandbox is in its log.
    guest.file_call("move", &json!({"from": "file", "to": "other"})).await?.expect(200)?;
    guest.remove("other", "").await?.expect(204)?;
    let target = format!("/logs?sandbox_id={}&kind=audit", guest.id());
    let log = guest.client().get(&target).send().await?.expect(200)?;
    let log = String::from_utf8_lossy(&log.body);
    for path in [
        "Uploaded: /home/user/file (1 bytes)",
        "Moved: /home/user/file to /home/user/other",
        "Removed: /home/user/other",
    ] {
        ensure!(log.contains(path), "{path} is not in {log}");
    }
    guest.gone().await
}

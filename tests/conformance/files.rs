//! Files on their way in and out, with all that a file system makes of them.

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use sentinal_tests::{Fact, Ground, Guest, NewExecution, Uploaded, multipart};
use serde_json::json;

use crate::table::{Row, heavy, light};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(files_of_every_size_come_back_byte_for_byte),
        heavy(ten_thousand_files_come_in_and_are_all_there),
        light(symbolic_links_lead_where_the_user_may_go),
        light(permissions_are_those_of_the_ordinary_user),
        light(modes_and_owners_are_kept),
        light(sparse_files_take_no_room_and_come_back_whole),
        light(hard_links_and_renames_work),
    ]
}

/// Bytes that are different in every block.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| u8::try_from((index ^ (index >> 8) ^ (index >> 16)) & 0xff).unwrap_or_default()).collect()
}

async fn there_and_back(guest: &Guest, path: &str, content: Vec<u8>) -> Result<()> {
    let uploaded: Uploaded = guest.client().upload(guest.id(), path, content.clone()).await?.expect(200)?.json()?;
    ensure!(uploaded.files[0].size == u64::try_from(content.len())?, "{uploaded:?}");
    let back = guest.client().download(guest.id(), path).await?.expect(200)?;
    ensure!(back.body == content, "{path}: {} other bytes came back", back.body.len());
    Ok(())
}

async fn files_of_every_size_come_back_byte_for_byte(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    for bytes in [0, 1, 2, 4095, 4096, 65_535, 65_536, 65_537, (1 << 20) + 1, 10 << 20] {
        there_and_back(&guest, &format!("/home/user/of-{bytes}"), pattern(bytes)).await?;
    }
    let seen = guest.shell("for f in $(ls of-* | sort -t- -k2n); do wc -c < $f; done | tr '\\n' ' '").await?.ok()?;
    ensure!(seen == "0 1 2 4095 4096 65535 65536 65537 1048577 10485760 ", "{seen}");
    guest.gone().await
}

async fn ten_thousand_files_come_in_and_are_all_there(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "512Mi", "ttl": 900})).await?;
    for folder in 0..10 {
        let names: Vec<String> = (0..1000).map(|number| format!("{folder}-{number}")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
        let path = format!("/home/user/many/{folder}/");
        let (kind, body) = multipart(&[("sandbox_id", guest.id()), ("path", &path)], &files);
        let deadline = std::time::Duration::from_mins(3);
        let answer = guest.client().post("/upload").bytes(&kind, body).deadline(deadline).send().await?;
        let uploaded: Uploaded = answer.expect(200)?.json()?;
        ensure!(uploaded.files.len() == 1000, "{} of 1000 in folder {folder}", uploaded.files.len());
    }
    let check = "import os\ncount = 0\nfor folder, _, names in os.walk('many'):\n  for name in names:\n\
                 \x20   if open(os.path.join(folder, name)).read() == name: count += 1\nprint(count)";
    let counted = guest.execute(NewExecution::code("python", check).with("timeout", 240).within(guest.id())).await?;
    ensure!(counted.ok()? == "10000\n", "{counted:?}");
    let back = |number: usize| {
        let guest = &guest;
        async move {
            let (folder, name) = (number % 10, number * 37 % 1000);
            let path = format!("/home/user/many/{folder}/{folder}-{name}");
            let back = guest.client().download(guest.id(), &path).await?.expect(200)?;
            ensure!(back.body == format!("{folder}-{name}"), "{path}: {}", back.text());
            Ok(())
        }
    };
    stream::iter(0..200).map(back).buffer_unordered(8).try_collect::<Vec<()>>().await?;
    guest.gone().await
}

async fn symbolic_links_lead_where_the_user_may_go(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (client, id) = (guest.client(), guest.id());
    let make = "mkdir real; ln -s real folder; ln -s real/inner link; ln -s missing dangling; ln -s loop loop; \
                ln -s /etc/shadow shadow; ln -s /etc/passwd passwd";
    guest.shell(make).await?.ok()?;
    client.upload(id, "/home/user/folder/inner", "through a folder").await?.expect(200)?;
    client.upload(id, "/home/user/link", "through a link").await?.expect(200)?;
    ensure!(guest.shell("cat real/inner; readlink link").await?.ok()? == "through a linkreal/inner\n");
    ensure!(client.download(id, "/home/user/link").await?.expect(200)?.text() == "through a link");
    client.upload(id, "/home/user/dangling", "at its end").await?.expect(200)?;
    ensure!(guest.shell("cat missing").await?.ok()? == "at its end");
    client.upload(id, "/home/user/loop", "never").await?.refused(400, "invalid_request")?;
    client.download(id, "/home/user/loop").await?.refused(400, "invalid_request")?;
    client.download(id, "/home/user/shadow").await?.refused(403, "forbidden")?;
    client.upload(id, "/home/user/passwd", "root::0:0::/:/bin/sh").await?.refused(403, "forbidden")?;
    let own = client.download(id, "/home/user/passwd").await?.expect(200)?.text();
    let inside = guest.shell("cat /etc/passwd").await?.ok()?;
    ensure!(own == inside.chars().take(1000).collect::<String>(), "another file than the program sees: {own:?}");
    guest.gone().await
}

async fn permissions_are_those_of_the_ordinary_user(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (client, id) = (guest.client(), guest.id());
    guest.shell("echo x > closed; chmod 0 closed; mkdir -m 555 shut; echo x > kept; chmod 444 kept").await?.ok()?;
    client.download(id, "/home/user/closed").await?.refused(403, "forbidden")?;
    client.upload(id, "/home/user/shut/new", "x").await?.refused(403, "forbidden")?;
    client.upload(id, "/home/user/kept", "x").await?.refused(403, "forbidden")?;
    client.upload(id, "/root/new", "x").await?.refused(403, "forbidden")?;
    client.upload(id, "/etc/new", "x").await?.refused(403, "forbidden")?;
    let root = guest
        .execute(NewExecution::shell("cat /home/user/closed; echo y > /etc/new; cat /etc/new").with("user", "root"));
    ensure!(root.await?.ok()? == "x\ny\n", "root inside may do what root may");
    guest.gone().await
}

async fn modes_and_owners_are_kept(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.client().upload(guest.id(), "/home/user/run.sh", "#!/bin/sh\necho ran").await?.expect(200)?;
    ensure!(guest.shell("stat -c '%U:%G %a' run.sh; ./run.sh").await?.exit_code == Some(126), "644 does not run");
    let made = guest.shell("chmod 2750 run.sh && ./run.sh && stat -c '%u:%g %a' run.sh").await?.ok()?;
    ensure!(made == "ran\n1000:1000 2750\n", "{made:?}");
    let root = "touch a && chown 12:34 a && chmod 4711 a && stat -c '%u:%g %a' a && rm a";
    let made = guest.execute(NewExecution::shell(root).with("user", "root")).await?.ok()?;
    ensure!(made == "12:34 4711\n", "{made:?}");
    let umask = guest.shell("umask; umask 077; touch b; mkdir c; stat -c %a b c").await?.ok()?;
    ensure!(umask == "0022\n600\n700\n", "{umask:?}");
    let taken = guest.shell("chown root run.sh").await?;
    ensure!(taken.exit_code == Some(1), "the ordinary user gave a file away: {taken:?}");
    guest.gone().await
}

async fn sparse_files_take_no_room_and_come_back_whole(ground: Ground) -> Fact {
    const SIZE: usize = 96 << 20;
    let guest = ground.guest(json!({"disk": "64Mi"})).await?;
    // There is room on the disk for something else, though not for a file of that size.
    let make = format!(
        "truncate -s {SIZE} hole && printf end >> hole && stat -c %s hole && head -c 40000000 /dev/zero > beside"
    );
    let made = guest.shell(&make).await?.ok()?;
    ensure!(made == format!("{}\n", SIZE + 3), "{made:?}");
    let back = guest.client().download(guest.id(), "/home/user/hole").await?.expect(200)?.body;
    ensure!(back.len() == SIZE + 3 && back.ends_with(b"end"), "{} bytes came back", back.len());
    ensure!(back[..SIZE].iter().all(|byte| *byte == 0), "a hole is full of zeros");
    guest.gone().await
}

async fn hard_links_and_renames_work(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let line = "echo 1 > a; ln a b; echo 2 >> b; stat -c %h a; mv a c; cat c; rm b; stat -c %h c; mkdir d e; \
                echo x > d/x; mv d e/f; cat e/f/x; mv /home/user/c /tmp/c && cat /tmp/c";
    let said = guest.shell(line).await?.ok()?;
    ensure!(said == "2\n1\n2\n1\nx\n1\n2\n", "{said:?}");
    // What the image holds can be replaced and linked, too: for this sandbox.
    let root = "cp /etc/hostname /etc/h.new && mv /etc/h.new /etc/hostname && ln /etc/passwd /etc/passwd.link && \
                stat -c %h /etc/passwd && mv /opt /opt2 && mkdir /opt && ls -d /opt /opt2";
    let said = guest.execute(NewExecution::shell(root).with("user", "root")).await?.ok()?;
    ensure!(said == "2\n/opt\n/opt2\n", "{said:?}");
    guest.gone().await
}

//! Parts of files: ranges on their way out, and bytes that go after the end.

use anyhow::{Result, ensure};
use http::Method;
use sentinal_tests::{Answer, Fact, Ground, Guest};
use serde_json::{Value, json};

use crate::table::{Row, light};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(a_part_of_a_file_is_what_was_asked_for),
        light(a_part_that_is_not_there_is_refused_with_the_size),
        light(bytes_go_after_the_end_of_a_file),
        light(a_file_is_written_as_asked),
    ]
}

async fn part(guest: &Guest, path: &str, range: &str) -> Result<Answer> {
    guest.files(Method::GET, "", path, "").header("range", range).send().await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn a_part_of_a_file_is_what_was_asked_for(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let content: Vec<u8> = (0..300_000_u32).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
    guest.write("file", "", content.clone()).await?.expect(200)?;
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=65530-200000", 65_530, 200_000),
        ("bytes=299999-", 299_999, 299_999),
        ("bytes=100000-999999999", 100_000, 299_999),
        ("bytes=-5", 299_995, 299_999),
        ("bytes=-999999999", 0, 299_999),
    ] {
        let answer = part(&guest, "file", range).await?.expect(206)?;
        ensure!(answer.body == content[first..=last], "{range}: {} other bytes", answer.body.len());
        ensure!(
            header(&answer, "content-range") == format!("bytes {first}-{last}/300000"),
            "{range}: {:?}",
            answer.headers
        );
    }
    for range in ["bytes=0-1,5-6", "bytes=5-4", "lines=1-2"] {
        let answer = part(&guest, "file", range).await?.expect(200)?;
        ensure!(answer.body == content && header(&answer, "accept-ranges") == "bytes", "{range}: {:?}", answer.headers);
    }
    let head = guest.files(Method::HEAD, "", "file", "").header("range", "bytes=0-0").send().await?.expect(200)?;
    ensure!(head.body.is_empty() && header(&head, "content-length") == "300000", "{:?}", head.headers);
    guest.gone().await
}

async fn a_part_that_is_not_there_is_refused_with_the_size(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.write("file", "", "12345").await?.expect(200)?;
    guest.write("empty", "", "").await?.expect(200)?;
    for (path, range, size) in [
        ("file", "bytes=5-", 5),
        ("file", "bytes=6-9", 5),
        ("file", "bytes=99999999999999999999-", 5),
        ("file", "bytes=-0", 5),
        ("empty", "bytes=0-", 0),
        ("empty", "bytes=-1", 0),
    ] {
        let answer = part(&guest, path, range).await?;
        answer.refused(416, "range_not_satisfiable")?;
        ensure!(header(&answer, "content-range") == format!("bytes */{size}"), "{range}: {:?}", answer.headers);
    }
    part(&guest, "missing", "bytes=0-").await?.refused(404, "not_found")?;
    guest.gone().await
}

async fn bytes_go_after_the_end_of_a_file(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let size =
        |answer: Answer| -> Result<u64> { Ok(answer.expect(200)?.json::<Value>()?["size"].as_u64().unwrap_or(0)) };
    ensure!(size(guest.write("new/log", "&append=true&mode=0600", "one ").await?)? == 4);
    ensure!(size(guest.write("new/log", "&append=true", "two ").await?)? == 8);
    guest
        .shell("printf 'three ' >> new/log; ln -s new/log link; chmod 444 new; mkdir folder; mkfifo pipe")
        .await?
        .ok()?;
    guest.shell("chmod 755 new").await?.ok()?;
    ensure!(size(guest.write("link", "&append=true", vec![b'x'; 200_000]).await?)? == 200_014);
    ensure!(
        guest.shell("head -c 14 new/log; stat -c ' %a %s' new/log; readlink link").await?.ok()?
            == "one two three  600 200014\nnew/log\n"
    );
    for path in ["folder", "pipe"] {
        guest.write(path, "&append=true", "x").await?.refused(409, "conflict")?;
    }
    guest.write("/etc/passwd", "&append=true", "x").await?.refused(403, "forbidden")?;
    guest.gone().await
}

async fn a_file_is_written_as_asked(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let written: Value = guest.write("run", "&mode=0750", "#!/bin/sh\necho ran").await?.expect(200)?.json()?;
    ensure!(written == json!({"path": "/home/user/run", "size": 18}), "{written}");
    ensure!(guest.shell("./run; stat -c %a run").await?.ok()? == "ran\n750\n");
    guest.write("no/such/folder", "&parents=false", "x").await?.refused(404, "not_found")?;
    guest.write("folder/", "", "x").await?.refused(400, "invalid_request")?;
    let part = guest.files(Method::PUT, "", "run", "").header("content-range", "bytes 0-0/18");
    part.bytes("application/octet-stream", "x").send().await?.refused(400, "invalid_request")?;
    ensure!(guest.read("run").await?.expect(200)?.body == "#!/bin/sh\necho ran");
    guest.gone().await
}

//! Files on their way into a sandbox and out of it.

use std::io;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::stream;
use sentinal_tests::{Fact, Guest, NewExecution, Uploaded, guest, multipart};
use serde_json::json;
use tokio::io::AsyncWriteExt;

const MIB: usize = 1 << 20;

async fn there_and_back(guest: &Guest, path: &str, content: &[u8]) -> Result<()> {
    let uploaded: Uploaded = guest.client().upload(guest.id(), path, content.to_vec()).await?.expect(200)?.json()?;
    ensure!(uploaded.files[0].size == u64::try_from(content.len())?, "{uploaded:?}");
    let back = guest.client().download(guest.id(), path).await?.expect(200)?;
    ensure!(back.body == content, "{path}: {} other bytes came back", back.body.len());
    Ok(())
}

#[tokio::test]
async fn a_file_comes_back_byte_for_byte() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    there_and_back(&guest, "/home/user/empty", b"").await?;
    let every_byte: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    there_and_back(&guest, "/home/user/binary", &every_byte).await?;
    there_and_back(&guest, "/home/user/new/folders/on the way/grüße & more.txt", b"text").await?;
    there_and_back(&guest, "/tmp/elsewhere", b"x").await?;
    let owner = guest.shell("stat -c '%U %a' /home/user/binary /home/user/new").await?.ok()?;
    ensure!(owner.starts_with("user 644\nuser 7"), "{owner:?}");
    guest.gone().await
}

#[tokio::test]
async fn an_upload_replaces_a_file_whole() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    there_and_back(&guest, "/home/user/file", &vec![b'a'; 100_000]).await?;
    there_and_back(&guest, "/home/user/file", b"short").await?;
    ensure!(guest.shell("cat file; ls -A").await?.ok()?.starts_with("short"));
    guest.gone().await
}

#[tokio::test]
async fn a_hundred_mebibytes_stream_through() -> Fact {
    let Some(guest) = guest(json!({"memory": "256Mi"})).await? else { return Ok(()) };
    let piece: Vec<u8> = (0..MIB).map(|i| u8::try_from(i * 31 % 251).unwrap_or_default()).collect();
    let piece = Bytes::from(piece);
    let pieces = stream::iter(std::iter::repeat_n(piece.clone(), 100).map(Ok));
    let target = format!("/upload?sandbox_id={}&path=/home/user/large", guest.id());
    guest.client().post(&target).stream("application/octet-stream", pieces).send().await?.expect(200)?;
    let sum = guest.shell("wc -c < large; head -c 1048576 large | cksum; tail -c 1048576 large | cksum").await?.ok()?;
    let lines: Vec<&str> = sum.lines().collect();
    ensure!(lines[0] == "104857600" && lines[1] == lines[2], "{sum}");
    let back = guest.client().download(guest.id(), "/home/user/large").await?.expect(200)?;
    ensure!(back.body.chunks(MIB).all(|chunk| chunk == piece) && back.body.len() == 100 * MIB, "{}", back.body.len());
    guest.gone().await
}

#[tokio::test]
async fn a_thousand_files_come_in_one_upload() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let names: Vec<String> = (0..1000).map(|number| format!("file-{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    let (kind, body) = multipart(&[("sandbox_id", guest.id()), ("path", "/home/user/many/")], &files);
    let uploaded: Uploaded = guest.client().post("/upload").bytes(&kind, body).send().await?.expect(200)?.json()?;
    ensure!(uploaded.files.len() == 1000 && uploaded.files[999].path == "/home/user/many/file-999", "{uploaded:?}");
    let check = "ls many | wc -l; for f in many/*; do [ \"many/$(cat $f)\" = $f ] || echo $f; done";
    ensure!(guest.execute(NewExecution::code("bash", check)).await?.ok()? == "1000\n");
    guest.gone().await
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let path = "/home/user/cut";
    guest.client().upload(guest.id(), path, "before").await?.expect(200)?;
    let target = format!("/upload?sandbox_id={}&path={path}", guest.id());
    let pieces = vec![Ok(Bytes::from(vec![b'x'; MIB])), Err(io::Error::other("the client is gone"))];
    let cut = guest.client().post(&target).stream("application/octet-stream", stream::iter(pieces)).send().await;
    ensure!(cut.map_or(true, |answer| answer.status >= 400), "an upload that broke off was acknowledged");
    let head = format!(
        "POST /api/v1{target} HTTP/1.1\r\nHost: sentinal\r\n{}Content-Length: 5000000\r\n\r\n",
        guest.client().authorization()
    );
    let mut connection = guest.client().connect().await?;
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(&vec![b'y'; 300_000]).await?;
    connection.shutdown().await?;
    drop(connection);
    let settled = || async {
        let inside = guest.shell("cat cut; ls -A | wc -l; ls -A /home/user").await?.ok()?;
        ensure!(inside.starts_with("before") && !inside.contains("tmp"), "{inside:?}");
        Ok(())
    };
    sentinal_tests::eventually("the file from before, alone", std::time::Duration::from_secs(20), settled).await?;
    guest.gone().await
}

#[tokio::test]
async fn a_file_is_taken_as_a_caller_names_it_in_a_form() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let (kind, body) = multipart(&[("sandbox_id", guest.id()), ("path", "renamed.txt")], &[("original.txt", b"1")]);
    let one: Uploaded = guest.client().post("/upload").bytes(&kind, body).send().await?.expect(200)?.json()?;
    ensure!(one.files[0].path == "/home/user/renamed.txt", "{one:?}");
    let (kind, body) = multipart(&[("sandbox_id", guest.id())], &[("a.txt", b"1"), ("sub/b.txt", b"22")]);
    let two: Uploaded = guest.client().post("/upload").bytes(&kind, body).send().await?.expect(200)?.json()?;
    let paths: Vec<&str> = two.files.iter().map(|file| file.path.as_str()).collect();
    ensure!(paths == ["/home/user/a.txt", "/home/user/sub/b.txt"], "{paths:?}");
    guest.gone().await
}

#[tokio::test]
async fn a_download_of_what_is_not_there_or_no_file_is_refused() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let client = guest.client();
    client.download(guest.id(), "/home/user/nothing").await?.refused(404, "not_found")?;
    let folder = client.download(guest.id(), "/home/user").await?;
    ensure!([400, 409].contains(&folder.status), "{}: {}", folder.status, folder.text());
    guest.shell("mkfifo pipe; ln -s /dev/zero zero; echo secret > mine; chmod 0 mine").await?.ok()?;
    for path in ["/home/user/pipe", "/home/user/zero", "/home/user/mine", "/dev/zero"] {
        let answer = client.download(guest.id(), path).await.context(path)?;
        ensure!([400, 403, 409].contains(&answer.status), "{path}: {}: {}", answer.status, answer.text());
    }
    guest.works().await?;
    guest.gone().await
}

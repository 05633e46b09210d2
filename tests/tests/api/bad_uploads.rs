//! Uploads that cannot be, or that try to get elsewhere.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use sentinal_tests::{Fact, Guest, NewExecution, guest, multipart};
use serde_json::json;

const MIB: usize = 1 << 20;

async fn refused(guest: &Guest, path: &str, word: &str) -> Result<()> {
    let shown: String = path.chars().take(40).collect();
    let problem =
        guest.client().upload(guest.id(), path, "x").await?.refused(400, "invalid_request").context(shown.clone())?;
    ensure!(problem.detail.contains("path") && problem.detail.contains(word), "{shown}: {}", problem.detail);
    Ok(())
}

#[tokio::test]
async fn a_path_that_could_mean_another_file_is_refused() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    refused(&guest, "/home/user/../../etc/passwd", "..").await?;
    refused(&guest, "..", "..").await?;
    refused(&guest, "a/../../b", "..").await?;
    refused(&guest, "/home/user/a\0b", "NUL").await?;
    refused(&guest, &"a/".repeat(2500), "").await?;
    refused(&guest, format!("/{}", "abcdefghi/".repeat(500)).trim_end_matches('/'), "4095").await?;
    refused(&guest, &"x".repeat(5000), "").await?;
    refused(&guest, &"x".repeat(256), "255").await?;
    refused(&guest, "", "").await?;
    refused(&guest, "/", "").await?;
    guest.works().await?;
    guest.gone().await
}

#[tokio::test]
async fn a_form_names_no_file_outside_of_its_folder() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    for name in ["../escape", "a/../../b", "..", "/etc/cron.d/x/../../passwd"] {
        let (kind, body) = multipart(&[("sandbox_id", guest.id()), ("path", "/home/user/in/")], &[(name, b"x")]);
        let answer = guest.client().post("/upload").bytes(&kind, body).send().await?;
        answer.refused(400, "invalid_request").context(name)?;
    }
    ensure!(
        guest.shell("ls -A /home/user; ls -A /home").await?.ok()?.lines().all(|name| name != "escape" && name != "b")
    );
    guest.gone().await
}

#[tokio::test]
async fn a_symbolic_link_leads_an_upload_no_further_than_the_user_may_go() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    guest
        .shell("ln -s /etc etc; ln -s /etc/passwd passwd; ln -s /.sentinal/agent agent; ln -s loop loop")
        .await?
        .ok()?;
    let before = guest.shell("cksum /etc/passwd /.sentinal/agent 2>/dev/null; ls /etc | cksum").await?;
    for path in [
        "/home/user/etc/new",
        "/home/user/passwd",
        "/home/user/agent",
        "/home/user/loop/x",
        "/home/user/passwd/x",
        "/proc/1/mem",
    ] {
        let answer = guest.client().upload(guest.id(), path, "spoiled").await?;
        ensure!(answer.status != 500 && answer.status != 503, "{path}: {}: {}", answer.status, answer.text());
    }
    let after = guest.shell("cksum /etc/passwd /.sentinal/agent 2>/dev/null; ls /etc | cksum").await?;
    ensure!(before.stdout == after.stdout, "{before:?} became {after:?}");
    guest.works().await?;
    guest.gone().await
}

#[tokio::test]
async fn an_upload_where_a_folder_is_or_nobody_may_write_is_refused() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    guest.shell("mkdir folder").await?.ok()?;
    for path in ["/home/user/folder", "/etc/new", "/new", "/proc/new", "/home/user/folder/"] {
        let answer = guest.client().upload(guest.id(), path, "x").await?;
        ensure!([400, 403, 409].contains(&answer.status), "{path}: {}: {}", answer.status, answer.text());
    }
    guest.works().await?;
    guest.gone().await
}

#[tokio::test]
async fn more_than_a_hundred_mebibytes_or_a_thousand_files_are_refused_and_nothing_stays() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let target = format!("/upload?sandbox_id={}&path=/home/user/large", guest.id());
    let piece = Bytes::from(vec![0; MIB]);
    let pieces = futures::stream::iter(std::iter::repeat_n(piece, 101).map(Ok));
    let large = guest.client().post(&target).stream("application/octet-stream", pieces).send().await?;
    large.refused(413, "too_large")?;
    let names: Vec<String> = (0..1001).map(|number| format!("file-{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"x".as_slice())).collect();
    let (kind, body) = multipart(&[("sandbox_id", guest.id()), ("path", "/home/user/many/")], &files);
    let many = guest.client().post("/upload").bytes(&kind, body).send().await?;
    ensure!([400, 413].contains(&many.status) && many.text().contains("1000"), "{}: {}", many.status, many.text());
    ensure!(guest.execute(NewExecution::shell("ls -A | grep -c large")).await?.stdout.as_deref() == Some("0\n"));
    guest.works().await?;
    guest.gone().await
}

#[tokio::test]
async fn a_form_that_lacks_something_is_told_what() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let (kind, body) = multipart(&[("path", "/home/user/")], &[("a", b"x")]);
    let problem = guest.client().post("/upload").bytes(&kind, body).send().await?.refused(400, "invalid_request")?;
    ensure!(problem.detail.contains("sandbox_id"), "{}", problem.detail);
    let (kind, body) = multipart(&[("sandbox_id", guest.id())], &[]);
    let problem = guest.client().post("/upload").bytes(&kind, body).send().await?.refused(400, "invalid_request")?;
    ensure!(problem.detail.contains("file"), "{}", problem.detail);
    let cut =
        guest.client().post("/upload").bytes("multipart/form-data; boundary=x", "--x\r\nContent-Disp").send().await?;
    cut.refused(400, "invalid_request")?;
    let no_boundary = guest.client().post("/upload").bytes("multipart/form-data", "x").send().await?;
    no_boundary.refused(415, "unsupported_media_type")?;
    let raw = guest.client().post(&format!("/upload?sandbox_id={}", guest.id())).bytes("application/octet-stream", "x");
    ensure!(raw.send().await?.refused(400, "invalid_request")?.detail.contains("path"));
    guest.gone().await
}

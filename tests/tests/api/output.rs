//! What a program writes: apart, in order, cut where the limits are, and readable again.

use std::time::Duration;

use anyhow::{Context, ensure};
use sentinal_tests::{Fact, NewExecution, eventually, guest};
use serde_json::json;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn the_two_streams_come_apart() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let both = guest.shell("for i in 1 2 3; do echo out $i; echo err $i >&2; done").await?;
    ensure!(both.stdout.as_deref() == Some("out 1\nout 2\nout 3\n"), "{both:?}");
    ensure!(both.stderr.as_deref() == Some("err 1\nerr 2\nerr 3\n"), "{both:?}");
    guest.gone().await
}

#[tokio::test]
async fn output_that_is_no_text_comes_as_base64_and_says_so() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let bytes = guest.shell("printf '\\000\\377\\376'; echo text >&2").await?;
    ensure!(bytes.stdout_encoding.as_deref() == Some("base64") && bytes.stdout_bytes()? == [0, 255, 254], "{bytes:?}");
    ensure!(
        bytes.stderr_encoding.as_deref() == Some("utf-8") && bytes.stderr.as_deref() == Some("text\n"),
        "{bytes:?}"
    );
    let raw = guest.client().output(&bytes.id, "stdout", 1).await?;
    ensure!(raw == [255, 254][..], "{raw:?}");
    guest.gone().await
}

#[tokio::test]
async fn an_answer_carries_a_mebibyte_and_the_store_sixty_four() -> Fact {
    let Some(guest) = guest(json!({"memory": "256Mi"})).await? else { return Ok(()) };
    let flood = guest.shell("head -c 70000000 /dev/zero | tr '\\0' x; echo end >&2").await?;
    ensure!(flood.outcome.as_deref() == Some("exited") && flood.exit_code == Some(0), "{:?}", flood.outcome);
    ensure!(flood.stdout.as_ref().is_some_and(|out| out.len() == MIB) && flood.stdout_truncated == Some(true));
    ensure!(flood.stderr.as_deref() == Some("end\n") && flood.stderr_truncated == Some(false));
    let stored = guest.client().output(&flood.id, "stdout", 0).await?;
    ensure!(stored.len() == 64 * MIB && stored.iter().all(|byte| *byte == b'x'), "{} bytes are stored", stored.len());
    let end = guest.client().output(&flood.id, "stdout", 64 * MIB - 10).await?;
    ensure!(end.len() == 10, "{} bytes at the end", end.len());
    ensure!(guest.client().output(&flood.id, "stdout", 64 * MIB + 10).await?.is_empty(), "something past the end");
    guest.gone().await
}

#[tokio::test]
async fn each_stream_of_a_flood_is_followed_by_itself_from_any_offset() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let flood = guest.shell("seq 1 100000; echo end >&2").await?;
    let long: Vec<u8> = (1..=100_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    let far = usize::MAX;
    for (stream, offset, expected) in
        [("stdout", 0, long.as_slice()), ("stderr", 0, b"end\n"), ("stdout", far, b""), ("stderr", far, b"")]
    {
        let mut followed = Vec::new();
        let path = format!("/execution/{}/output?stream={stream}&offset={offset}&follow=true", flood.id);
        guest.client().get(&path).read_into(&mut followed).await.with_context(|| path.clone())?;
        ensure!(followed == expected, "{path}: {} bytes instead of {}", followed.len(), expected.len());
        ensure!(guest.client().output(&flood.id, stream, offset).await? == expected, "{stream} from {offset} on");
    }
    guest.gone().await
}

#[tokio::test]
async fn an_execution_in_the_background_is_found_by_its_id() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let line = "echo begun; while [ ! -e go ]; do sleep 0.05; done; echo done; exit 3";
    let started = guest.client().execute_in_background(NewExecution::shell(line).within(guest.id())).await?;
    ensure!(started.state == "running" && started.sandbox_id == guest.id() && started.outcome.is_none(), "{started:?}");
    let begun = || async {
        let output = guest.client().output(&started.id, "stdout", 0).await?;
        ensure!(output == "begun\n", "{output:?}");
        Ok(())
    };
    eventually("its first line", Duration::from_secs(20), begun).await?;
    ensure!(guest.client().execution(&started.id).await?.state == "running");
    guest.shell("touch go").await?.ok()?;
    let mut followed = Vec::new();
    let path = format!("/execution/{}/output?stream=stdout&offset=6&follow=true", started.id);
    guest.client().get(&path).read_into(&mut followed).await.context("follow to the end")?;
    ensure!(followed == b"done\n", "{followed:?}");
    let ended = guest.client().execution(&started.id).await?;
    ensure!(ended.state == "finished" && ended.exit_code == Some(3), "{ended:?}");
    ensure!(ended.stdout.as_deref() == Some("begun\ndone\n"), "{ended:?}");
    guest.gone().await
}

#[tokio::test]
async fn a_child_that_keeps_the_output_open_does_not_hold_up_the_answer_for_ever() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let answer = guest.execute(NewExecution::shell("sleep 1000 & echo now").with("timeout", 20)).await?;
    ensure!(answer.stdout.as_deref() == Some("now\n"), "{answer:?}");
    ensure!(answer.outcome.is_some(), "{answer:?}");
    guest.works().await?;
    guest.gone().await
}

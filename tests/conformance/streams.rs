//! What a program reads and writes: bytes, unchanged, whatever they are and however many.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use bytes::Bytes;
use futures::stream;
use sentinal_tests::{Fact, Ground, NewExecution};
use serde_json::json;

use crate::table::{Row, heavy, light};

const MIB: usize = 1 << 20;
/// What is stored of one stream.
const STORED_BYTES: usize = 64 * MIB;
const LONG: Duration = Duration::from_mins(5);
const LONG_SECONDS: u32 = 300;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(binary_output_comes_back_byte_for_byte),
        light(both_streams_are_kept_apart),
        light(inline_input_comes_in_byte_for_byte),
        heavy(a_hundred_mebibytes_of_output_are_cut_where_it_is_said),
        heavy(a_hundred_mebibytes_of_input_come_in),
        heavy(a_flood_of_output_is_stopped_by_its_timeout),
    ]
}

async fn binary_output_comes_back_byte_for_byte(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let write = "import os\nfor stream in (1, 2):\n  for _ in range(16): os.write(stream, bytes(range(256)))";
    let ended = guest.execute(NewExecution::code("python", write)).await?;
    let expected: Vec<u8> = (0..=255).cycle().take(16 * 256).collect();
    ensure!(ended.exit_code == Some(0), "{ended:?}");
    ensure!(ended.stdout_encoding.as_deref() == Some("base64"), "it is not UTF-8, and has to say so");
    ensure!(ended.stdout_bytes()? == expected && ended.stderr_bytes()? == expected, "other bytes came back");
    guest.gone().await
}

async fn both_streams_are_kept_apart(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let lines = "for i in $(seq 500); do echo out $i; echo err $i >&2; done";
    let ended = guest.shell(lines).await?;
    let of = |word: &str| (1..=500).map(|number| format!("{word} {number}\n")).collect::<String>();
    ensure!(ended.stdout.as_deref() == Some(&of("out")), "standard output: {ended:?}");
    ensure!(ended.stderr.as_deref() == Some(&of("err")), "standard error: {ended:?}");
    guest.gone().await
}

async fn inline_input_comes_in_byte_for_byte(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let bytes: Vec<u8> = (0..=255).cycle().take(500_000).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let cat = NewExecution::shell("cat").with("stdin", encoded).with("stdin_encoding", "base64");
    let ended = guest.execute(cat).await?;
    ensure!(ended.stdout_bytes()? == bytes, "other bytes came back");
    // A program that reads nothing does not hang on it, and one that has no input sees its end.
    let unread = NewExecution::shell("exit 3").with("stdin", "x".repeat(800_000));
    ensure!(guest.execute(unread).await?.exit_code == Some(3));
    ensure!(guest.shell("cat; echo end").await?.ok()? == "end\n");
    guest.gone().await
}

/// Line by line, so that every byte of what is stored can be known.
async fn a_hundred_mebibytes_of_output_are_cut_where_it_is_said(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "512Mi", "ttl": 900})).await?;
    let write = "import sys\nblock = b''.join(b'%07d\\n' % i for i in range(131072))\n\
                 for _ in range(100): sys.stdout.buffer.write(block)\nsys.stderr.write('all written')";
    let write = NewExecution::code("python", write).with("timeout", LONG_SECONDS).within(guest.id());
    let started = guest.client().execute_in_background(write).await?;
    let ended = guest.end_of(&started.id, LONG).await?;
    ensure!(ended.exit_code == Some(0) && ended.stderr.as_deref() == Some("all written"), "{:?}", ended.stderr);
    ensure!(ended.stdout_truncated == Some(true), "it was cut, and has to say so");
    let path = format!("/execution/{}/output?stream=stdout", started.id);
    let stored = guest.client().get(&path).deadline(LONG).send().await?.expect(200)?.body;
    ensure!(stored.len() == STORED_BYTES, "{} bytes are stored", stored.len());
    let block: Vec<u8> = (0..131_072).flat_map(|number| format!("{number:07}\n").into_bytes()).collect();
    ensure!(stored.chunks(MIB).all(|chunk| chunk == block), "other bytes are stored than were written");
    guest.gone().await
}

/// An execute carries at most 1 MiB, so the way in for more is an upload, and the shell's redirection.
async fn a_hundred_mebibytes_of_input_come_in(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "512Mi", "ttl": 900})).await?;
    let piece: Vec<u8> = (0..MIB).map(|index| u8::try_from(index * 31 % 251).unwrap_or_default()).collect();
    let pieces = stream::iter(std::iter::repeat_n(Bytes::from(piece.clone()), 100).map(Ok));
    let target = format!("/upload?sandbox_id={}&path=/home/user/input", guest.id());
    let upload = guest.client().post(&target).stream("application/octet-stream", pieces);
    upload.deadline(LONG).send().await?.expect(200)?;
    let read = "import sys\nfirst, count = None, 0\n\
        while True:\n  block = sys.stdin.buffer.read(1 << 20)\n  if not block: break\n\
        \x20 first = first or block\n  if block != first: sys.exit('another byte in block %d' % count)\n  count += 1\n\
        print(count, sum(first))";
    guest.client().upload(guest.id(), "/home/user/read.py", read).await?.expect(200)?;
    let line = NewExecution::shell("python3 read.py < input").with("timeout", LONG_SECONDS).within(guest.id());
    let answer = guest.client().post("/execute").json(line.as_json()).deadline(LONG).send().await?;
    let ended: sentinal_tests::Execution = answer.expect(200)?.json()?;
    let sum: usize = piece.iter().map(|byte| usize::from(*byte)).sum();
    ensure!(ended.ok()? == format!("100 {sum}\n"), "{ended:?}");
    guest.gone().await
}

async fn a_flood_of_output_is_stopped_by_its_timeout(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"ttl": 900})).await?;
    let flood = NewExecution::shell("yes flood & yes flood >&2").with("timeout", 6);
    let ended = guest.execute(flood).await.context("the flood was not stopped")?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{:?}", ended.outcome);
    ensure!(ended.stdout_truncated == Some(true), "more than is inline was written in 6 s");
    let stored = stored_bytes(&ground, &ended.id).await?;
    ensure!(MIB < stored && stored <= STORED_BYTES, "{stored} bytes are stored");
    guest.works().await?;
    guest.gone().await
}

async fn stored_bytes(ground: &Ground, execution: &str) -> Result<usize> {
    let path = format!("/execution/{execution}/output?stream=stdout");
    Ok(ground.client()?.get(&path).deadline(LONG).send().await?.expect(200)?.body.len())
}

//! What is larger than anything that is held in memory.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::stream;
use sentinal_tests::{Fact, Ground, Guest, NewExecution, percent_encoded};
use serde_json::json;

use crate::table::{Row, heavy};

const MIB: usize = 1 << 20;
/// Largest upload.
const UPLOAD_MIB: usize = 100;
const LONG: Duration = Duration::from_mins(5);
const LONG_SECONDS: u32 = 300;

pub(crate) fn rows() -> Vec<Row> {
    vec![heavy(the_largest_upload_is_taken_and_one_byte_more_is_refused), heavy(a_gibibyte_goes_in_and_out)]
}

/// A mebibyte that is like no other one.
fn mebibyte(number: usize) -> Vec<u8> {
    let line = format!("{number:08x}{:08x}", number.wrapping_mul(0x9e37_79b1) & 0xffff_ffff);
    line.as_bytes().repeat(MIB / line.len())
}

async fn upload(guest: &Guest, path: &str, mebibytes: std::ops::Range<usize>, more: &'static [u8]) -> Result<u16> {
    let target = format!("/upload?sandbox_id={}&path={}", guest.id(), percent_encoded(path));
    let pieces = mebibytes.map(|number| Bytes::from(mebibyte(number))).chain([Bytes::from_static(more)]);
    let request = guest.client().post(&target).stream("application/octet-stream", stream::iter(pieces.map(Ok)));
    Ok(request.deadline(LONG).send().await?.status)
}

/// Compares a file with what was sent, as it comes.
async fn comes_back(guest: &Guest, path: &str, mebibytes: usize) -> Result<()> {
    let target = format!("/download?sandbox_id={}&path={}", guest.id(), percent_encoded(path));
    let (mut seen, mut expected) = (0, mebibyte(0));
    let compare = |bytes: &[u8]| {
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = seen % MIB;
            let length = rest.len().min(MIB - at);
            ensure!(rest[..length] == expected[at..at + length], "other bytes after {seen}");
            (seen, rest) = (seen + length, &rest[length..]);
            if seen.is_multiple_of(MIB) {
                expected = mebibyte(seen / MIB);
            }
        }
        Ok(())
    };
    guest.client().get(&target).deadline(LONG).read_each(compare).await?;
    ensure!(seen == mebibytes * MIB, "{seen} bytes came back");
    Ok(())
}

async fn the_largest_upload_is_taken_and_one_byte_more_is_refused(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"ttl": 900})).await?;
    ensure!(upload(&guest, "/home/user/large", 0..UPLOAD_MIB, b"").await? == 200, "100 MiB were refused");
    comes_back(&guest, "/home/user/large", UPLOAD_MIB).await?;
    ensure!(upload(&guest, "/home/user/larger", 0..UPLOAD_MIB, b"x").await? == 413, "one byte more was not refused");
    let left = guest.shell("ls -A | grep -v -e '^.bash' -e '^.profile'").await?.ok()?;
    ensure!(left == "large\n", "something of what was refused is left: {left}");
    guest.gone().await
}

/// An upload has at most 100 MiB, so it goes in by several; it comes out as one.
async fn a_gibibyte_goes_in_and_out(ground: Ground) -> Fact {
    const PIECE: usize = 64;
    let guest = ground.guest(json!({"memory": "512Mi", "disk": "2Gi", "ttl": 1200})).await?;
    for first in (0..1024).step_by(PIECE) {
        let status = upload(&guest, "/home/user/piece", first..first + PIECE, b"").await?;
        ensure!(status == 200, "piece from MiB {first} on: {status}");
        let append = NewExecution::shell("cat piece >> whole && rm piece && stat -c %s whole");
        let size = guest.execute(append.with("timeout", LONG_SECONDS)).await?.ok()?;
        ensure!(size == format!("{}\n", (first + PIECE) * MIB), "{size:?} after MiB {first}");
    }
    comes_back(&guest, "/home/user/whole", 1024).await?;
    guest.shell("rm whole").await?.ok()?;
    guest.gone().await
}

//! A disk that is full, of bytes and of names: an error inside, and room again when something is removed.

use std::time::Duration;

use anyhow::ensure;
use sentinal_tests::{Column, Fact, Ground, NewExecution};
use serde_json::json;

use crate::table::{Row, light};

const DEADLINE: Duration = Duration::from_mins(5);

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(a_disk_full_of_bytes_is_an_error_inside),
        light(a_disk_full_of_names_is_an_error_inside_or_the_memory_s_limit),
        light(removed_files_give_their_room_back),
        light(a_disk_reports_its_size),
    ]
}

async fn a_disk_full_of_bytes_is_an_error_inside(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"disk": "64Mi"})).await?;
    let fill = guest.shell("head -c 200000000 /dev/zero > big; echo status $?; wc -c < big").await?;
    ensure!(fill.stderr.as_ref().is_some_and(|said| said.contains("No space left on device")), "{fill:?}");
    let written: u64 = fill.stdout.clone().unwrap_or_default().lines().last().unwrap_or_default().parse()?;
    ensure!(30_000_000 < written && written <= 64 << 20, "{written} bytes went on a disk of 64Mi");
    guest.works().await?;
    let (client, id) = (guest.client(), guest.id());
    let upload = client.upload(id, "/home/user/more", vec![1; 8 << 20]).await?;
    ensure!(400 <= upload.status && upload.status != 500, "{}: {}", upload.status, upload.text());
    // Elsewhere in the root it is full, too: there is one disk.
    let root = guest.execute(NewExecution::shell("head -c 8000000 /dev/zero > /opt/more").with("user", "root")).await?;
    ensure!(root.exit_code != Some(0), "root writes where there is no room: {root:?}");
    guest.shell("rm big && echo fits > small && cat small").await?.ok()?;
    client.upload(id, "/home/user/more", vec![1; 1 << 20]).await?.expect(200)?;
    guest.gone().await
}

/// Native has as many names as its disk has inodes. gVisor keeps names in the sandbox's memory, so that the memory's
/// limit bounds them, and reaching it ends the sandbox.
async fn a_disk_full_of_names_is_an_error_inside_or_the_memory_s_limit(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"disk": "32Mi", "memory": "128Mi", "ttl": 600})).await?;
    let fill = "import os\nos.mkdir('n'); count = 0\n\
        try:\n  while True:\n    os.close(os.open('n/%d' % count, os.O_CREAT | os.O_WRONLY)); count += 1\n\
        except OSError as e: print(e.errno, count)";
    let fill = NewExecution::code("python", fill).within(guest.id()).with("timeout", 280);
    let started = guest.client().execute_in_background(fill).await?;
    let ended = guest.end_of(&started.id, DEADLINE).await?;
    if ended.outcome.as_deref() == Some("oom") && ground.column() == Column::Gvisor {
        return guest.clean().await;
    }
    let said = ended.ok()?;
    ensure!(said.starts_with("28 "), "ENOSPC was expected: {said:?}");
    guest.works().await?;
    ensure!(guest.shell("touch one-more").await?.exit_code != Some(0), "there is room for one more name");
    guest.execute(NewExecution::shell("rm -r n && touch one-more && ls").with("timeout", 200)).await?.ok()?;
    guest.gone().await
}

async fn removed_files_give_their_room_back(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"disk": "64Mi"})).await?;
    for round in 0..6 {
        let fits = guest.shell("head -c 40000000 /dev/urandom > big && wc -c < big; rm big").await?;
        ensure!(fits.stdout.as_deref() == Some("40000000\n"), "round {round}: {fits:?}");
    }
    // An open file that was removed takes its room until it is closed, and then no more.
    let held = "import os\nf = open('held', 'wb'); os.unlink('held'); f.write(bytes(40000000)); f.flush()\n\
        try: open('more', 'wb').write(bytes(40000000)); print('room')\nexcept OSError as e: print(e.errno)\n\
        f.close(); os.unlink('more'); open('more', 'wb').write(bytes(40000000)); print('room')";
    let said = guest.execute(NewExecution::code("python", held)).await?.ok()?;
    ensure!(said == "28\nroom\n", "{said:?}");
    guest.gone().await
}

async fn a_disk_reports_its_size(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"disk": "256Mi"})).await?;
    let size = guest.shell("df --output=size -B1 /home/user | tail -1").await?.ok()?;
    let size: u64 = size.trim().parse()?;
    ensure!((200 << 20) < size && size <= (256 << 20), "df says {size} bytes");
    guest.gone().await
}

//! What goes in and comes out: standard input, files, folders.

use std::fs;

use anyhow::{Context as _, ensure};
use sentinal_tests::{Fact, shared};

use crate::caller::{Caller, ended};

/// Bytes that no compression and no text would carry by luck.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

#[tokio::test]
async fn standard_input_arrives_whole_and_comes_back() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let sent = noise(10 << 20);
    let said = caller.says_to(&["run", "--", "cat"], sent.clone()).await?;
    ensure!(said.status == 0 && said.stdout == sent, "{} bytes came back: {}", said.stdout.len(), said.stderr);
    let unread = caller.says_to(&["run", "--", "sh", "-c", "exit 4"], noise(1000)).await?;
    ensure!(unread.status == 4 && unread.stderr.is_empty(), "{unread:?}");
    Ok(())
}

#[tokio::test]
async fn a_program_of_this_machine_is_brought_in_and_its_language_chosen() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let write = |name: &str, text: &str| fs::write(caller.folder().join(name), text);
    write("app.py", "import sys\nprint('python', *sys.argv[1:])\n")?;
    write("app.js", "console.log('node', ...process.argv.slice(2))\n")?;
    write("app.sh", "echo bash \"$@\"\n")?;
    write("script", "#!/usr/bin/env python3\nimport sys\nprint('first line', *sys.argv[1:])\n")?;
    for (program, says) in
        [("app.py", "python a -b"), ("app.js", "node a -b"), ("app.sh", "bash a -b"), ("script", "first line a -b")]
    {
        let said = caller.gets(&["run", program, "a", "-b"]).await?;
        ensure!(said == says, "{program}: {said}");
    }
    let said =
        caller.says_to(&["run", "--language", "python", "-", "x"], b"import sys; print(sys.argv[1])".to_vec()).await?;
    ensure!(said.text() == "x\n", "{said:?}");
    Ok(())
}

#[tokio::test]
async fn folders_are_copied_both_ways_as_they_are() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let project = caller.folder().join("project");
    fs::create_dir_all(project.join("deep/er"))?;
    fs::create_dir(project.join("empty"))?;
    fs::write(project.join("deep/er/noise"), noise(3 << 20))?;
    fs::write(project.join("grüße mit Abstand"), "text")?;
    std::os::unix::fs::symlink("../grüße mit Abstand", project.join("deep/link"))?;
    let id = caller.gets(&["create"]).await?;
    let there = |path: &str| format!("{id}:{path}");
    caller.gets(&["cp", "project", &there("")]).await?;
    caller.gets(&["cp", &there("project"), "back"]).await?;
    let compared = ended(caller.shell("diff -r --no-dereference project back && find back | wc -l")).await?;
    ensure!(compared.status == 0 && compared.text().trim() == "7", "{compared:?}");
    // Into a folder that is there it goes with its name, and with /. only what is in it.
    caller.gets(&["cp", "project", &there("project")]).await?;
    caller.gets(&["cp", "project/.", &there("inside")]).await?;
    let listed = caller.gets(&["files", "ls", "-q", "--depth", "2", &id]).await?;
    for path in ["/home/user/project/project", "/home/user/inside/deep"] {
        ensure!(listed.lines().any(|line| line == path), "{path} is not in {listed}");
    }
    let piped = ended(caller.shell(&format!(
        "tar cf - project | sentinal cp - {id}:piped/ && sentinal cp {id}:piped - | tar tf - | sort | head -1"
    )))
    .await?;
    ensure!(piped.status == 0 && piped.text().trim() == "project/", "{piped:?}");
    caller.gets(&["rm", &id]).await.map(drop)
}

#[tokio::test]
async fn what_leads_out_of_the_folder_is_not_made_here() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let line = "mkdir out; ln -s /etc/passwd out/bad; ln -s .. out/worse; echo fine > out/good; chmod 4755 out/good";
    let said = caller.says(&["run", "--out", "out", "--", "sh", "-c", line]).await?;
    ensure!(said.status == 0 && said.stderr.matches("leads out of the folder").count() == 2, "{said:?}");
    let names: Vec<_> = fs::read_dir(caller.folder().join("out"))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_, std::io::Error>>()?;
    ensure!(names == ["good"], "{names:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(caller.folder().join("out/good"))?.permissions());
    ensure!(mode & 0o7777 == 0o755, "{mode:o}");
    Ok(())
}

#[tokio::test]
async fn files_come_in_before_and_go_out_after() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    fs::write(caller.folder().join("numbers"), "1\n2\n3\n")?;
    fs::write(caller.folder().join("sum.py"), "print(sum(map(int, open('numbers'))), file=open('result', 'w'))")?;
    caller.gets(&["run", "--in", "numbers", "--out", "result:sum", "sum.py"]).await?;
    ensure!(fs::read_to_string(caller.folder().join("sum"))? == "6\n");
    let missing = caller.says(&["run", "--out", "nothing", "true"]).await?;
    ensure!(missing.status == 125 && missing.stderr.contains("nothing"), "{missing:?}");
    let failed = caller.says(&["run", "--out", "nothing", "false"]).await?;
    ensure!(failed.status == 1 && failed.stderr.contains("nothing"), "{failed:?}");
    fs::metadata(caller.folder().join("nothing")).err().context("nothing was made").map(drop)
}

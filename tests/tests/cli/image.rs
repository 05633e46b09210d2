//! Images as somebody at a shell has them: from a folder, a pipe, a Containerfile.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use sentinal_tests::{Fact, Options, Server};
use serde_json::Value;

use crate::caller::{Caller, ended};

/// A shell and `cat` with what they are linked with, in a folder.
fn root(folder: &Path) -> Fact {
    for program in ["sh", "cat"] {
        let path = format!("/bin/{program}");
        let linked = Command::new("ldd").arg(&path).output().context("ldd")?;
        let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
        for file in linked.split_whitespace().filter(|word| word.starts_with('/')).chain([path.as_str()]) {
            let to = folder.join(&file[1..]);
            fs::create_dir_all(to.parent().context("a folder")?)?;
            fs::copy(file, &to)?;
        }
    }
    fs::create_dir_all(folder.join("srv"))?;
    fs::write(folder.join("srv/greeting"), "hello\n")?;
    symlink("greeting", folder.join("srv/link"))?;
    fs::hard_link(folder.join("srv/greeting"), folder.join("srv/twice"))?;
    let pipe = Command::new("mkfifo").arg(folder.join("srv/pipe")).status()?;
    ensure!(pipe.success(), "no pipe was made");
    Ok(())
}

async fn started(name: &str) -> Result<Option<(Server, Caller, tempfile::TempDir)>> {
    let images = tempfile::tempdir()?;
    let options = Options { images: Some(images.path().join("store")), ..Options::default() };
    let Some(server) = Server::start(name, options).await? else { return Ok(None) };
    let caller = Caller::of(&server).await?;
    Ok(Some((server, caller, images)))
}

#[tokio::test]
async fn images_come_from_folders_and_pipes_and_go_again() -> Fact {
    let Some((server, caller, _images)) = started("cli-image").await? else { return Ok(()) };
    root(&caller.folder().join("root"))?;
    let said = caller.says(&["image", "import", "root", "team/base:1"]).await?;
    ensure!(said.status == 0 && said.text().starts_with("team/base:1 sha256:"), "{said:?}");
    ensure!(said.stderr.contains("left out, as it is a named pipe: root/srv/pipe"), "{said:?}");
    let line = "cat /srv/link /srv/twice; [ /srv/greeting -ef /srv/twice ] && [ -O /srv/twice ] && echo same, of root";
    let seen = caller.gets(&["run", "--image", "team/base:1", "--user", "0", "--", "sh", "-c", line]).await?;
    ensure!(seen == "hello\nhello\nsame, of root", "{seen}");

    let piped = ended(caller.shell("tar -C root -c srv | gzip | sentinal image import - piped --json")).await?;
    let made: Value = serde_json::from_str(&piped.text()).with_context(|| format!("{piped:?}"))?;
    ensure!(made["name"] == "piped", "{made}");
    ensure!(caller.gets(&["image", "ls", "-q"]).await? == "piped\nteam/base:1");
    let table = caller.gets(&["image", "ls"]).await?;
    ensure!(table.lines().count() == 3 && table.starts_with("NAME"), "{table}");
    let shown = caller.gets(&["image", "get", "piped"]).await?;
    ensure!(shown.contains(made["digest"].as_str().unwrap_or_default()), "{shown}");
    let both = caller.gets(&["image", "get", "piped", "team/base:1", "--json"]).await?;
    ensure!(both.lines().count() == 2, "{both}");

    ensure!(caller.gets(&["image", "rm", "piped"]).await? == "piped");
    let gone = caller.says(&["image", "get", "piped"]).await?;
    ensure!(gone.status == 1 && gone.stderr.contains("there is no image piped"), "{gone:?}");
    caller.gets(&["image", "import", "root/srv", "team/base:1"]).await?;
    let pruned = caller.gets(&["image", "prune"]).await?;
    ensure!(pruned.starts_with("1 image removed, "), "{pruned}");
    ensure!(caller.gets(&["image", "prune"]).await? == "nothing to remove");

    fs::write(caller.folder().join("text"), "no archive")?;
    for (source, words) in [("text", "ends in the middle"), ("nothing", "read nothing")] {
        let refused = caller.says(&["image", "import", source, "x"]).await?;
        ensure!(refused.status == 1 && refused.stderr.contains(words), "{refused:?}");
    }
    let refused = caller.says(&["image", "pull", "127.0.0.1:1/app:1"]).await?;
    ensure!(refused.status == 1 && refused.stderr.contains("not asked for images"), "{refused:?}");
    server.clean().await
}

#[tokio::test]
async fn an_image_is_built_from_a_folder() -> Fact {
    let Some((server, caller, _images)) = started("cli-image-build").await? else { return Ok(()) };
    root(&caller.folder().join("root"))?;
    caller.gets(&["image", "import", "root", "base"]).await?;
    let app = caller.folder().join("app");
    fs::create_dir_all(app.join("src"))?;
    fs::write(app.join("src/tool"), "#!/bin/sh\ncat /srv/built\n")?;
    fs::set_permissions(app.join("src/tool"), fs::Permissions::from_mode(0o755))?;
    fs::write(
        app.join("Dockerfile"),
        "FROM base\nARG WORD\nCOPY src /bin/\nWORKDIR /srv\nRUN echo to the log; echo \"$WORD\" > built\n",
    )?;
    fs::write(app.join(".dockerignore"), "Dockerfile\nsrc/secret\n")?;
    fs::write(app.join("src/secret"), "not for the server")?;
    let said = caller.says(&["image", "build", "app", "built", "--build-arg", "WORD=a word"]).await?;
    ensure!(said.status == 0 && said.text().starts_with("built sha256:"), "{said:?}");
    ensure!(said.stderr.contains("[4/4] RUN") && said.stderr.contains("\nto the log\n"), "{said:?}");
    ensure!(caller.gets(&["run", "--image", "built", "--", "/bin/tool"]).await? == "a word");
    let secret = caller.says(&["run", "--image", "built", "--", "cat", "/bin/secret"]).await?;
    ensure!(secret.status == 1, "what is to be left out was sent: {secret:?}");
    let jobs = caller.gets(&["image", "jobs"]).await?;
    ensure!(jobs.lines().count() == 2 && jobs.contains("build  finished"), "{jobs}");

    fs::write(app.join("Dockerfile"), "FROM base\nRUN echo why; exit 7\n")?;
    let failed = caller.says(&["image", "build", "app", "x"]).await?;
    ensure!(failed.status == 1 && failed.stdout.is_empty(), "{failed:?}");
    ensure!(
        failed.stderr.contains("\nwhy\n") && failed.stderr.contains("Dockerfile:2: RUN ended with 7"),
        "{failed:?}"
    );
    fs::write(app.join("Dockerfile"), "FROM base\nEXPOSE 80\n")?;
    let refused = caller.says(&["image", "build", "app", "x"]).await?;
    ensure!(refused.status == 1 && refused.stderr.contains("Dockerfile:2: EXPOSE is not supported"), "{refused:?}");
    let unknown = caller.says(&["image", "build", "root", "x"]).await?;
    ensure!(unknown.status == 64 && unknown.stderr.contains("no Containerfile and no Dockerfile"), "{unknown:?}");
    ensure!(caller.gets(&["ls", "-q"]).await?.is_empty(), "a build's sandbox is left");
    server.clean().await
}

#[tokio::test]
async fn a_build_that_is_interrupted_ends() -> Fact {
    let Some((server, caller, _images)) = started("cli-image-interrupt").await? else { return Ok(()) };
    root(&caller.folder().join("root"))?;
    caller.gets(&["image", "import", "root", "base"]).await?;
    fs::create_dir_all(caller.folder().join("app"))?;
    fs::write(caller.folder().join("app/Containerfile"), "FROM base\nRUN echo begun; kill -STOP $$\n")?;
    let line =
        "sentinal image build app x 2> said & while ! grep -q begun said; do sleep 0.1; done; kill -INT $!; wait $!";
    // A shell's background programs ignore the signal unless it is told otherwise.
    let said = ended(caller.shell(&format!("set -m; {line}"))).await?;
    ensure!(said.status == 130, "{said:?}");
    let log = fs::read_to_string(caller.folder().join("said"))?;
    ensure!(log.contains("cancelled: job_"), "{log}");
    let job: Value = serde_json::from_str(&caller.gets(&["image", "jobs", "--json"]).await?)?;
    ensure!(job["items"][0]["state"] == "cancelled", "{job}");
    ensure!(caller.gets(&["ls", "-q"]).await?.is_empty(), "a build's sandbox is left");
    server.clean().await
}

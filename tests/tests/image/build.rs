//! Images built from Containerfiles, which may be hostile like the contexts they come with.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use sentinal_tests::{Answer, Client, Fact, Guest, Problem, Role, Server, Tar, eventually};
use serde_json::{Value, json};

use crate::{ended, import, left, registry, server};

const DEADLINE: Duration = Duration::from_secs(90);
/// The engines that a build is tried on, where they are.
const ENGINES: [&str; 2] = ["gvisor", "native"];

/// A shell, and programs that change files.
async fn import_base(client: &Client) -> Result<()> {
    let mut tar = registry::root()?.program("srv/old", b"");
    for name in ["ln", "rm", "chown"] {
        tar = registry::with(tar, name)?;
    }
    import(client, "base", tar.end()).await?.expect(201).map(drop)
}

fn context(file: &str) -> Tar {
    Tar::default()
        .file("Containerfile", file.as_bytes())
        .program("tool", b"#!/bin/sh\necho the tool\n")
        .program("files/a.txt", b"a")
        .program("files/deep/b", b"b")
}

async fn send(client: &Client, query: &str, context: Vec<u8>) -> Result<Answer> {
    let path = format!("/image/build?{query}");
    client.post(&path).bytes("application/x-tar", context).deadline(DEADLINE).send().await
}

async fn begun(client: &Client, query: &str, file: &str) -> Result<String> {
    let job: Value = send(client, query, context(file).end()).await?.expect(202)?.json()?;
    ensure!(job["kind"] == "build" && job["reference"].is_null(), "{job}");
    Ok(job["id"].as_str().context("an id")?.to_owned())
}

async fn log(client: &Client, id: &str) -> Result<String> {
    Ok(client.get(&format!("/image/job/{id}/log?follow=true")).deadline(DEADLINE).send().await?.expect(200)?.text())
}

async fn refused(client: &Client, file: &str) -> Result<Problem> {
    send(client, "name=x", context(file).end()).await?.refused(400, "invalid_request")
}

/// The engines of this list that the server may use.
async fn engines(client: &Client) -> Result<Vec<&'static str>> {
    let all: Value = client.get("/engine").send().await?.expect(200)?.json()?;
    let usable = |name: &&str| {
        let engine = all["items"].as_array().into_iter().flatten().find(|engine| engine["name"] == **name);
        engine.is_some_and(|engine| engine["available"] == true && engine["allowed"] == true)
    };
    Ok(ENGINES.into_iter().filter(usable).collect())
}

/// Neither a sandbox nor a file of any build.
async fn nothing_is_left(server: &Server, client: &Client) -> Fact {
    let look = || async {
        let all: Value = client.get("/sandbox").send().await?.expect(200)?.json()?;
        let alive = all["items"].as_array().into_iter().flatten().filter(|sandbox| sandbox["finished_at"].is_null());
        ensure!(alive.count() == 0, "{all}");
        Ok(())
    };
    eventually("the end of a build's sandbox", DEADLINE, look).await?;
    let work = left(&server.place().data_dir().join("images/work"));
    ensure!(work.is_empty(), "{work:?}");
    Ok(())
}

const FILE: &str = r#"ARG BASE=nothing
FROM ${BASE}
ENV GREETING="hello there"
WORKDIR /srv/app
COPY files /data/
COPY tool /bin/
COPY files/*.txt renamed
RUN /bin/sh -c 'echo "$GREETING" > greeting; /bin/ln greeting twice; /bin/rm /srv/old; /bin/chown 1234:1234 .'
USER app
RUN echo said; echo mine > mine
RUN ["/bin/sh", "-c", "echo $USER > who"]
CMD ["sh"]
"#;

#[tokio::test]
async fn a_build_leaves_what_its_steps_made_on_every_engine() -> Fact {
    let Some((server, _images)) = server("image-build", vec!["--allow-shared-kernel".into()]).await? else {
        return Ok(());
    };
    let client = server.client()?;
    import_base(&client).await?;
    for engine in engines(&client).await? {
        let id = begun(&client, &format!("name=built&engine={engine}&arg=BASE=base"), FILE).await?;
        let said = log(&client, &id).await?;
        let job = ended(&client, &id, "finished").await.with_context(|| said.clone())?;
        ensure!(said.contains("[10/10] CMD") && said.contains("\nsaid\n"), "{said}");
        ensure!(job["steps_done"] == 10 && job["steps_total"] == 10 && job["stage"] == "publishing", "{job}");
        let image: Value = client.get("/image/built").send().await?.expect(200)?.json()?;
        ensure!(image["digest"] == job["digest"] && image["config"]["cmd"] == json!(["sh"]), "{image}");
        ensure!(image["source"].as_str().is_some_and(|source| source.starts_with("a build from base")), "{image}");

        let guest = Guest::of(&server, json!({"image": "built", "engine": engine})).await?;
        let line = "pwd; echo $GREETING $USER; read a < twice; echo $a; read a < mine; echo $a; read a < who; echo $a; \
            read a < renamed; echo $a; /bin/tool; for f in /srv/* /data/deep/*; do echo $f; done; \
            [ twice -ef greeting ] && [ -O . ] && ! [ -O greeting ] && echo as it was";
        let found = guest.shell(line).await?;
        let expected =
            "/srv/app\nhello there app\nhello there\nmine\napp\na\nthe tool\n/srv/app\n/data/deep/b\nas it was\n";
        ensure!(found.stdout.as_deref() == Some(expected), "{engine}: {found:?}");
        guest.gone().await?;
        nothing_is_left(&server, &client).await?;
    }
    server.clean().await
}

#[tokio::test]
async fn a_step_that_fails_ends_the_build_and_what_cannot_work_is_refused_before() -> Fact {
    let Some((server, _images)) = server("image-build-fails", Vec::new()).await? else { return Ok(()) };
    let client = server.client()?;
    import_base(&client).await?;
    let id = begun(&client, "name=x", "FROM base\n\nRUN echo no; exit 3\nRUN echo never\n").await?;
    let said = log(&client, &id).await?;
    let job = ended(&client, &id, "failed").await?;
    ensure!(job["error"]["detail"] == "Containerfile:3: RUN ended with 3", "{job}");
    ensure!(said.contains("\nno\n") && !said.contains("\nnever\n") && job["steps_done"] == 0, "{said} {job}");
    client.get("/image/x").send().await?.refused(404, "not_found")?;
    nothing_is_left(&server, &client).await?;

    for (file, words) in [
        ("FROM base\nCOPY ../secret /x", "Containerfile:2: \"../secret\" leads out of the context"),
        ("FROM base\nCOPY a/../../b /x", "leads out of the context"),
        ("FROM base\nCOPY nothing /x", "Containerfile:2: there is nothing at \"nothing\""),
        ("FROM nothing\nRUN x", "Containerfile:1: FROM \"nothing\" is no image of this server"),
        ("FROM base\nADD a b", "Containerfile:2: ADD is not supported: use COPY"),
        ("RUN x", "only ARG stands before FROM"),
    ] {
        let refused = refused(&client, file).await?;
        ensure!(refused.detail.contains(words), "{refused:?}");
    }
    for (entry, words) in [
        (Tar::default().file("../a", b""), "leads out of the context"),
        (Tar::default().symlink("a", "/etc").file("a/passwd", b""), "is no folder"),
        (Tar::default().hardlink("a", "/etc/passwd"), "no file of the context"),
        (Tar::default(), "there is no file \"Containerfile\""),
    ] {
        let refused = send(&client, "name=x", entry.end()).await?.refused(400, "invalid_request")?;
        ensure!(refused.detail.contains(words), "{refused:?}");
    }
    send(&client, "name=x&file=../x", context("FROM base").end()).await?.refused(400, "invalid_request")?;
    send(&client, "name=build", context("FROM base").end()).await?.refused(400, "invalid_request")?;

    // A link in the context is a link in the sandbox, if it is one at all: nothing of the server's comes in by it.
    let linked = context("FROM base\nCOPY evil /x/\n").symlink("evil", "/etc/shadow").end();
    let job: Value = send(&client, "name=x", linked).await?.expect(202)?.json()?;
    let id = job["id"].as_str().context("an id")?;
    let job = ended(&client, id, "failed").await?;
    ensure!(job["error"]["detail"].as_str().is_some_and(|words| words.contains("leads out of the folder")), "{job}");
    nothing_is_left(&server, &client).await?;
    server.clean().await
}

#[tokio::test]
async fn a_build_that_is_cancelled_or_whose_server_is_killed_leaves_nothing() -> Fact {
    let Some((server, images)) = server("image-build-killed", Vec::new()).await? else { return Ok(()) };
    let client = server.client()?;
    import_base(&client).await?;
    let endless = "FROM base\nRUN echo begun; kill -STOP $$\n";
    let half_way = async || {
        let id = begun(&client, "name=x", endless).await?;
        let path = format!("/image/job/{id}/log");
        let look = || async {
            let said = client.get(&path).send().await?.expect(200)?.text();
            ensure!(said.contains("\nbegun\n"), "{said}");
            Ok(())
        };
        eventually("a build that is half-way", DEADLINE, look).await?;
        anyhow::Ok(id)
    };
    let cancelled = half_way().await?;
    let job: Value =
        client.delete(&format!("/image/job/{cancelled}")).deadline(DEADLINE).send().await?.expect(200)?.json()?;
    ensure!(job["state"] == "cancelled", "{job}");
    nothing_is_left(&server, &client).await?;

    let interrupted = half_way().await?;
    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    let failed = ended(&client, &interrupted, "failed").await?;
    ensure!(failed["error"]["code"] == "unavailable", "{failed}");
    nothing_is_left(&server, &client).await?;
    let store = left(&images.path().join("store"));
    ensure!(store.iter().filter(|name| name.starts_with("sha256-")).count() == 1, "{store:?}");
    ensure!(fs::read_dir(images.path().join("store/names"))?.count() == 1, "an image without an end has a name");
    server.clean().await
}

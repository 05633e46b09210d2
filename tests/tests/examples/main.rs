//! Every answer in the API's description has an example, and a server really gave it.
//!
//! One long tour through all operations; `UPDATE_GENERATED=1 cargo test -p sentinal-tests --test examples` records it anew
//! (then write the description anew: `UPDATE_OPENAPI=1 cargo test -p sentinal-gateway --test openapi`). Without that the
//! tour's answers are compared with what was recorded: the same fields, with the same kinds of values.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../image/registry.rs"]
mod registry;

mod recorder;
mod tour;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Binaries, Fact, Options, Server};
use serde_json::Value;

use crate::recorder::{Recorder, Shape};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/gateway/src/openapi/examples.json");
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
/// How long anything of it may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Answers whose example would be the whole of what they answer, and the one that is what a program inside says.
const WITHOUT: [&str; 5] = [
    "openapi 200 application/json",
    "docs 200 text/html",
    "metrics 200 application/openmetrics-text",
    "metrics 200 text/plain",
    "getPort default */*",
];

#[tokio::test]
async fn every_example_is_an_answer_that_was_received() -> Fact {
    let images = store().await?;
    let (registry, address) = registry::Registry::start(tour::image()?).await?;
    let receiver = tour::receiver().await?;
    let serve = ["--registry", &format!("http://{address}"), "--webhook", &format!("http://{receiver}")];
    let serve = serve.map(Into::into).to_vec();
    let options = Options { images: Some(images.path().join("store")), serve, ..Options::default() };
    let Some(server) = Server::start("examples", options).await? else { return Ok(()) };
    let mut recorder = Recorder::default();
    tour::walk(&server, [address, receiver], &registry, &mut recorder).await?;
    let received = recorder.into_recorded();
    ensure!(documented()? == answers(&received), "{:#?}", difference(&documented()?, &answers(&received)));
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(RECORDED, format!("{received:#}\n"))?;
    }
    let recorded: Value = serde_json::from_str(&fs::read_to_string(RECORDED)?)?;
    for answer in answers(&received) {
        let at = |all: &Value| Shape::of(answer.split(' ').fold(all, |value, key| &value[key]));
        ensure!(
            at(&recorded) == at(&received),
            "{answer}: recorded {:#?}, received {:#?}",
            at(&recorded),
            at(&received)
        );
    }
    server.clean().await
}

/// A store of its own with the default image in it.
async fn store() -> Result<tempfile::TempDir> {
    let binaries = Binaries::find().await?;
    binaries.build_image().await?;
    let images = tempfile::tempdir()?;
    copy(&binaries.images, &images.path().join("store")).context("copy the default image")?;
    Ok(images)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (from, to) =
            (entry?.path(), to.join(from.strip_prefix("").unwrap_or(from).file_name().unwrap_or_default()));
        let to = to.with_file_name(from.file_name().unwrap_or_default());
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// `operation status media-type` of every answer that has a body and went well.
fn documented() -> Result<BTreeSet<String>> {
    let document: Value = serde_json::from_str(&fs::read_to_string(DOCUMENT)?)?;
    let operations = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let operations = operations.filter_map(Value::as_object).flat_map(|methods| methods.values());
    let mut found = BTreeSet::new();
    for operation in operations.filter(|operation| operation["operationId"].is_string()) {
        let responses = operation["responses"].as_object().into_iter().flatten();
        for (status, response) in responses.filter(|(status, _)| !status.starts_with(['4', '5'])) {
            for kind in response["content"].as_object().into_iter().flat_map(|kinds| kinds.keys()) {
                found.insert(format!("{} {status} {kind}", operation["operationId"].as_str().unwrap_or_default()));
            }
        }
    }
    let is_whole = |answer: &String| {
        WITHOUT.contains(&answer.as_str()) || answer.ends_with("octet-stream") || answer.ends_with("x-tar")
    };
    found.retain(|answer| !is_whole(answer));
    Ok(found)
}

fn answers(recorded: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (operation, statuses) in recorded.as_object().into_iter().flatten() {
        for (status, kinds) in statuses.as_object().into_iter().flatten() {
            found.extend(
                kinds.as_object().into_iter().flatten().map(|(kind, _)| format!("{operation} {status} {kind}")),
            );
        }
    }
    found
}

fn difference(documented: &BTreeSet<String>, received: &BTreeSet<String>) -> [Vec<String>; 2] {
    [documented.difference(received), received.difference(documented)].map(|part| part.cloned().collect())
}

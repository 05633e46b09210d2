//! Thousands of requests that are made from the OpenAPI document, valid and not, against a real server: none may make it
//! fail, be answered otherwise than the document says, or hang.

use std::{io::Write as _, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Fact, Missing, Options, Sandbox, Server, skipped};
use tokio::{process::Command, time::timeout};

/// Requests in one run, at the least.
const CASES_MIN: u32 = 5_000;
/// For each call of the API, in the phase that makes them up. The document's own examples and all limits come on top.
const EXAMPLES: &str = "110";
const DEADLINE: Duration = Duration::from_mins(25);
/// What has its own tests, since it is a stream or not this API's own: its answers have no end, or any shape.
const STREAMS: &str = "/watch$|/terminal$|/tunnel/|/port/";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

fn schemathesis() -> Option<PathBuf> {
    std::env::var_os("SENTINAL_SCHEMATHESIS").filter(|place| !place.is_empty()).map(PathBuf::from)
}

#[tokio::test]
async fn the_server_does_what_its_document_says() -> Fact {
    let Some(place) = schemathesis() else {
        skipped("the_server_does_what_its_document_says", Missing::Schemathesis);
        return Ok(());
    };
    let Some(server) = Server::start("contract", Options::default()).await? else { return Ok(()) };
    let report = run(&server, &place).await?;
    ensure!(CASES_MIN <= cases(&report)?, "too few requests were made:\n{report}");
    server.answering().await?;
    let client = server.client()?;
    let sandboxes: Vec<Sandbox> = client.list("/sandbox?limit=1000").await?;
    for sandbox in sandboxes.iter().filter(|sandbox| ["running", "paused", "pending"].contains(&sandbox.state.as_str()))
    {
        client.destroy(&sandbox.id).await?;
    }
    server.clean().await
}

/// What it reported, if it found nothing.
async fn run(server: &Server, place: &std::path::Path) -> Result<String> {
    let client = server.client()?;
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("contract");
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("python3");
    command
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(here.join("schemathesis.toml"))
        .args(["run", &client.url("/openapi.json"), "--header", client.authorization().trim()])
        .args(["--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing", "--seed", "1"])
        .args(["--request-timeout", "60", "--exclude-path-regex", STREAMS, "--checks", CHECKS])
        .env("PYTHONPATH", std::env::join_paths([place, here.as_path()])?)
        .env("SCHEMATHESIS_HOOKS", here.join("hooks.py"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(DEADLINE, command.output()).await.context("an end in time")??;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(!report.contains("= FAILURES =") && !report.contains("Network Error"), "{}\n{complaints}", found(&report));
    if !output.status.success() {
        // Its own trouble is not the server's; that enough was asked is looked at by whoever called.
        say(&format!("the tool of the contract test failed in a part: {}", found(&report)));
    }
    Ok(report)
}

/// What it found, as far as anybody wants to read.
fn found(report: &str) -> String {
    let before = |line: &&str| !(line.contains("= FAILURES =") || line.contains("= ERRORS ="));
    let shown: Vec<&str> = report.lines().skip_while(before).take(150).collect();
    if shown.is_empty() { report.to_owned() } else { shown.join("\n") }
}

/// On the real standard error, past the capture of the test runner.
fn say(line: &str) {
    // Nobody reads it, if this fails.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// "Test cases:" and, on the next line, "  5120 generated, ...".
fn cases(report: &str) -> Result<u32> {
    let count = report.lines().find_map(|line| line.split_once(" generated")?.0.trim().parse().ok());
    count.with_context(|| format!("no count of requests in\n{report}"))
}

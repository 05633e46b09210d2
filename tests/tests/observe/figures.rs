//! What `/metrics` says of a server that has done something.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use sentinal_tests::{Client, Fact, Missing, NewExecution, Options, Server, eventually, skipped};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

/// Where `promtool` is; `None`, said aloud, where it is not.
pub(crate) fn promtool(name: &str) -> Option<std::path::PathBuf> {
    let place = std::env::var_os("SENTINAL_PROMTOOL").filter(|place| !place.is_empty());
    if place.is_none() {
        skipped(name, Missing::Promtool);
    }
    place.map(Into::into)
}

/// The figures after a job that completed, one that failed, and a sandbox that is still there.
pub(crate) async fn figures(client: &Client) -> Result<String> {
    client.execute(&NewExecution::shell("true").with("memory", "256Mi")).await?;
    client.execute(&NewExecution::shell("exit 3").with("memory", "256Mi")).await?;
    client.create(&json!({"memory": "256Mi"})).await?;
    let measured = || async {
        let text = scrape(client).await?;
        let memory = value(&text, "sentinal_sandbox_memory_bytes{engine=\"gvisor\"}")?;
        ensure!(1e6 < memory, "a sandbox uses {memory} bytes of memory");
        Ok(text)
    };
    eventually("the figures of a sandbox that is there", Duration::from_mins(1), measured).await
}

async fn scrape(client: &Client) -> Result<String> {
    let answer = client.request(Method::GET, "/metrics").send().await?.expect(200)?;
    String::from_utf8(answer.body.to_vec()).context("text")
}

fn value(text: &str, series: &str) -> Result<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.with_context(|| format!("{series} is not there"))?.parse().context("a number")
}

#[tokio::test]
async fn the_figures_are_what_was_done() -> Fact {
    let Some(server) = Server::start("figures", Options::default()).await? else { return Ok(()) };
    let text = figures(&server.client()?).await?;
    for (series, expected) in [
        ("sentinal_execution_jobs_total{engine=\"gvisor\",result=\"completed\"}", 1.0),
        ("sentinal_execution_jobs_total{engine=\"gvisor\",result=\"failed\"}", 1.0),
        ("sentinal_controller_sandboxes{state=\"running\",engine=\"gvisor\"}", 1.0),
        ("sentinal_engine_usable{engine=\"gvisor\"}", 1.0),
        ("sentinal_engine_failures_total{engine=\"gvisor\"}", 0.0),
        ("sentinal_node_up", 1.0),
    ] {
        let found = value(&text, series)?;
        ensure!((found - expected).abs() < 1e-9, "{series}: {found}");
    }
    let cpu = value(&text, "sentinal_sandbox_cpu_seconds_total{engine=\"gvisor\"}")?;
    ensure!(0.01 < cpu && cpu < 600.0, "three sandboxes used {cpu} s");
    server.sweep().await?;
    server.clean().await
}

#[tokio::test]
async fn prometheus_finds_nothing_wrong_with_the_figures() -> Fact {
    let Some(promtool) = promtool("prometheus_finds_nothing_wrong_with_the_figures") else { return Ok(()) };
    let Some(server) = Server::start("figures_lint", Options::default()).await? else { return Ok(()) };
    let text = figures(&server.client()?).await?;
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn()?;
    let mut stdin = child.stdin.take().context("its standard input")?;
    stdin.write_all(text.as_bytes()).await?;
    drop(stdin);
    let output = timeout(Duration::from_secs(30), child.wait_with_output()).await??;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    server.sweep().await
}

//! The dashboard and the alerts that are checked in: Prometheus takes them, and all that they name is really exposed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sentinal_tests::{Fact, Options, Server};
use serde_json::Value;
use tokio::{process::Command, time::timeout};

use crate::figures::{figures, promtool};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability")
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(folder().join(name)).with_context(|| format!("read {name}"))
}

/// Names of our own metrics in any text.
fn names(text: &str) -> BTreeSet<&str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    text.split(|letter| !is_part(letter)).filter(|word| word.starts_with("sentinal_")).collect()
}

/// Every expression of a dashboard's panels and variables.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else has an expression")]
fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
            Value::String(text) if name == "expr" || name == "query" => found.push(text),
            _ => expressions(value, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn all_that_dashboard_and_alerts_name_is_exposed() -> Fact {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")?)?;
    let mut shown = Vec::new();
    expressions(&dashboard, &mut shown);
    ensure!(10 <= shown.len(), "only {} expressions were found in the dashboard", shown.len());
    let rules = read("alerts.yml")?;
    let wanted: BTreeSet<&str> = shown.iter().flat_map(|expression| names(expression)).chain(names(&rules)).collect();
    let Some(server) = Server::start("rules", Options::default()).await? else { return Ok(()) };
    let text = figures(&server.client()?).await?;
    let exposed = names(&text);
    let missing: Vec<_> = wanted.difference(&exposed).collect();
    ensure!(missing.is_empty(), "{missing:?} are not exposed");
    server.sweep().await
}

#[tokio::test]
async fn prometheus_takes_the_alerts_and_they_fire_when_they_should() -> Fact {
    let Some(promtool) = promtool("prometheus_takes_the_alerts_and_they_fire_when_they_should") else { return Ok(()) };
    for (verb, files) in [("check", ["alerts.yml"].as_slice()), ("test", &["alerts_test.yml"])] {
        let mut command = Command::new(&promtool);
        command.current_dir(folder()).args([verb, "rules"]).args(files).kill_on_drop(true);
        let output = timeout(Duration::from_secs(60), command.output()).await??;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&said));
    }
    let mut command = Command::new(&promtool);
    command.current_dir(folder()).args(["check", "config", "--syntax-only", "prometheus.yml"]).kill_on_drop(true);
    let output = timeout(Duration::from_secs(60), command.output()).await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn every_alert_says_what_to_do_and_where_that_is_written() -> Fact {
    let (rules, page) = (read("alerts.yml")?, fs::read_to_string(folder().join("../../docs/observability.md"))?);
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    ensure!(8 <= alerts.len(), "only {alerts:?} were found");
    let tests = read("alerts_test.yml")?;
    for alert in alerts {
        ensure!(
            page.contains(&format!("### {alert}\n")),
            "docs/observability.md does not say what to do about {alert}"
        );
        ensure!(tests.contains(&format!("alertname: {alert}\n")), "no test fires {alert}");
        ensure!(rules.contains(&format!("observability.md#{}", alert.to_lowercase())), "{alert} has no runbook");
    }
    Ok(())
}

//! What a sandbox uses, and waiting for an execution's end.

use std::time::Duration;

use anyhow::{Result, ensure};
use sentinal_tests::{Fact, Guest, NewExecution, eventually, guest};
use serde_json::{Value, json};

async fn stats(guest: &Guest) -> Result<Value> {
    guest.client().get(&format!("/sandbox/{}/stats", guest.id())).send().await?.expect(200)?.json()
}

#[tokio::test]
async fn what_a_sandbox_uses_is_told() -> Fact {
    let Some(guest) = guest(json!({"memory": "256Mi", "disk": "256Mi"})).await? else { return Ok(()) };
    let before = stats(&guest).await?;
    ensure!(before["memory_limit_bytes"] == 256 << 20 && before["disk_limit_bytes"] == 256 << 20, "{before}");
    ensure!(before["processes"].as_u64() > Some(0) && before["oom_kills"] == 0, "{before}");
    let busy = "import time, os\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\n\
        os.urandom(64 << 20)";
    let new = NewExecution::shell(&format!("python3 -c {}", shell_quoted(busy))).within(guest.id());
    ensure!(guest.client().execute(&new).await?.exit_code == Some(0), "the program failed");
    let grown = || async {
        let after = stats(&guest).await?;
        let by = |name: &str, least: f64| {
            let of = |stats: &Value| stats[name].as_f64().unwrap_or_default();
            of(&before) + least <= of(&after)
        };
        ensure!(by("cpu_ms", 400.0) && by("memory_peak_bytes", f64::from(60 << 20)), "{before} {after}");
        Ok(())
    };
    eventually("figures that have grown", Duration::from_secs(20), grown).await?;
    guest.pause().await?.expect(200)?;
    stats(&guest).await?;
    let path = format!("/sandbox/{}/stats", guest.id());
    let client = guest.client().clone();
    guest.resume().await?.expect(200)?;
    guest.gone().await?;
    client.get(&path).send().await?.refused(404, "not_found").map(drop)
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[tokio::test]
async fn the_end_of_an_execution_can_be_waited_for() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let new = NewExecution::shell("until [ -e go ]; do sleep 0.05; done; echo went").within(guest.id());
    let execution = guest.client().execute_in_background(new).await?;
    let wait = |seconds: &'static str| {
        let request = guest.client().get(&format!("/execution/{}?wait={seconds}", execution.id));
        async { request.deadline(Duration::from_secs(150)).send().await }
    };
    let running: Value = wait("0.2").await?.expect(200)?.json()?;
    ensure!(running["state"] == "running", "{running}");
    let (ended, _) = tokio::try_join!(wait("120"), guest.shell("touch go"))?;
    let ended: Value = ended.expect(200)?.json()?;
    ensure!(ended["state"] == "finished" && ended["stdout"] == "went\n", "{ended}");
    for wrong in ["-1", "121", "x", "NaN"] {
        wait(wrong).await?.refused(400, "invalid_request")?;
    }
    guest.gone().await
}

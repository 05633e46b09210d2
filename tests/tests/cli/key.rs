//! Keys, usage and quotas from the command line.

use anyhow::{Context as _, ensure};
use sentinal_tests::{Fact, shared};
use serde_json::Value;

use crate::caller::{Caller, ended};

#[tokio::test]
async fn a_key_is_made_used_and_revoked() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let made = ended(caller.command(&["key", "create", "ci", "--role", "viewer", "--expires-in", "1h"])).await?;
    ensure!(made.status == 0 && made.stderr.is_empty(), "{made:?}");
    let key = String::from_utf8(made.stdout)?;
    let id = format!("key_{}", key.get(5..37).context("a key")?);

    let with_it = |arguments: &[&str]| {
        let mut command = caller.command(arguments);
        command.env("SENTINAL_API_KEY", key.trim());
        command
    };
    let own = ended(with_it(&["key", "whoami"])).await?;
    let shown = String::from_utf8_lossy(&own.stdout).into_owned();
    ensure!(own.status == 0 && shown.contains(&id) && shown.contains("viewer"), "{own:?}");
    let refused = ended(with_it(&["create"])).await?;
    ensure!(refused.status == 1 && refused.stderr.contains("the role viewer may not CreateSandbox"), "{refused:?}");

    let listed = ended(caller.command(&["key", "ls"])).await?;
    let table = String::from_utf8_lossy(&listed.stdout).into_owned();
    let row = table.lines().find(|line| line.starts_with(&id)).context("a row")?;
    ensure!(row.contains("ci") && row.contains("viewer") && row.contains("usable"), "{table}");
    ensure!(!table.contains(key.trim()), "the list shows a secret");

    let revoked = ended(caller.command(&["key", "rm", &id, "--json"])).await?;
    let document: Value = serde_json::from_slice(&revoked.stdout)?;
    ensure!(revoked.status == 0 && document["revoked_at"].is_string(), "{revoked:?}");
    let refused = ended(with_it(&["key", "whoami"])).await?;
    ensure!(refused.status == 1, "{refused:?}");
    let left = ended(caller.command(&["key", "ls"])).await?;
    ensure!(!String::from_utf8_lossy(&left.stdout).contains(&id), "{left:?}");
    let all = ended(caller.command(&["key", "ls", "-a"])).await?;
    ensure!(String::from_utf8_lossy(&all.stdout).contains("revoked"), "{all:?}");
    Ok(())
}

#[tokio::test]
async fn usage_and_quotas_are_shown_as_tables_and_as_json() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    ensure!(caller.gets(&["run", "--", "echo", "counted"]).await? == "counted", "it has to run");
    let table = caller.gets(&["usage"]).await?;
    let lines: Vec<&str> = table.lines().collect();
    ensure!(lines.first().is_some_and(|head| head.starts_with("DAY ")), "{table}");
    ensure!(lines.last().is_some_and(|total| total.starts_with("total ")), "{table}");
    let by_key: Value = serde_json::from_str(&caller.gets(&["usage", "--by", "key", "--json"]).await?)?;
    ensure!(by_key["by"] == "key" && by_key["total"]["executions"]["exited"].as_u64() >= Some(1), "{by_key}");
    let wrong = caller.says(&["usage", "--since", "yesterday"]).await?;
    ensure!(wrong.status == 1 && wrong.stderr.contains("since"), "{wrong:?}");
    let quotas = caller.gets(&["quota"]).await?;
    ensure!(quotas.lines().any(|line| line.starts_with("output") && line.ends_with("64GiB")), "{quotas}");
    Ok(())
}

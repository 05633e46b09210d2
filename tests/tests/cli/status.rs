//! Exit statuses: the program's, and those that are not.

use anyhow::ensure;
use sentinal_tests::{Fact, shared};

use crate::caller::Caller;

#[tokio::test]
async fn the_exit_status_is_the_programs() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let check = async |arguments: &[&str], status: i32, words: &str| -> Fact {
        let said = caller.says(arguments).await?;
        ensure!(said.status == status && said.stderr.contains(words), "{arguments:?}: {said:?}");
        Ok(())
    };
    check(&["run", "--", "sh", "-c", "exit 7"], 7, "").await?;
    check(&["run", "--", "sh", "-c", "kill -TERM $$"], 143, "").await?;
    check(&["run", "--timeout", "1", "sleep", "30"], 124, "the program's time is up; --timeout gives it more").await?;
    check(&["run", "no-such-command"], 127, "not found").await?;
    let memory = ["run", "-m", "128Mi", "--", "python3", "-c", "x = b'x' * (500 << 20)"];
    check(&memory, 137, "the program ran out of memory; --memory gives its sandbox more").await?;
    let id = caller.gets(&["create", "--ttl", "1m"]).await?;
    check(&["exec", &id, "--", "sh", "-c", "exit 3"], 3, "").await?;
    caller.gets(&["rm", &id]).await?;
    check(&["exec", &id, "true"], 125, "").await
}

#[tokio::test]
async fn failures_of_its_own_have_their_own_and_say_what_to_do() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let nobody = "http://127.0.0.1:1";
    for (arguments, status, words) in [
        (&["run", "missing.py"][..], 125, "there is no file missing.py here"),
        (&["run", "--no-such-option", "ls"], 125, "--no-such-option"),
        (&["run", "--memory", "lots", "ls"], 125, "memory: \"lots\" is not a quantity"),
        (&["ls", "--no-such-option"], 64, "--no-such-option"),
        (&["no-such-command"], 64, "no-such-command"),
        (&["get", "sbx_1"], 64, "at least 8 characters"),
        (&["get", "sbx_00000000"], 64, "`sentinal ls -a` lists them"),
        (&["ls", "--url", nobody], 1, "start a server there with `sentinal serve`"),
        (&["ls", "--api-key", "snt_wrong"], 1, "admin.key"),
        (&["ls", "--context", "nobody"], 64, "there is no context \"nobody\""),
        (&["cp", "a", "b"], 64, "SANDBOX:PATH"),
        (&["run", "--tty", "ls"], 125, "needs a terminal"),
    ] {
        let said = caller.says(arguments).await?;
        ensure!(said.status == status && said.stderr.contains(words), "{arguments:?}: {said:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_context_is_a_server_with_a_name() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let key = caller.folder().join("key");
    std::fs::copy(server.place().admin_key(), &key)?;
    let url = format!("http://{}", server.address());
    caller.gets(&["context", "add", "here", "--url", &url, "--api-key-file", "key"]).await?;
    caller.gets(&["context", "add", "elsewhere", "--url", "https://sentinal.example.com"]).await?;
    caller.gets(&["context", "use", "here"]).await?;
    let mut without = caller.command(&["engines"]);
    without.env_remove("SENTINAL_URL").env_remove("SENTINAL_API_KEY");
    let said = crate::caller::ended(without).await?;
    ensure!(said.status == 0 && said.text().contains("gvisor"), "{said:?}");
    let listed = caller.gets(&["context", "ls"]).await?;
    ensure!(listed.lines().any(|line| line.starts_with("*  here")) && !listed.contains("snt_"), "{listed}");
    let file = caller.folder().join(".config/sentinal/contexts.toml");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file)?.permissions());
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    Ok(())
}

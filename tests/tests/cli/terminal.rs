//! Terminals and ports.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use sentinal_tests::{Client, Fact, eventually, find_program, shared};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::timeout,
};

use crate::caller::{Caller, ended};

const DEADLINE: Duration = Duration::from_mins(1);

/// A line of the shell with a terminal of its own (script of util-linux gives it one).
fn on_terminal(caller: &Caller, keys: &str, line: &str) -> tokio::process::Command {
    caller.shell(&format!("{keys} | script --quiet --return --command '{line}' /dev/null"))
}

#[tokio::test]
async fn a_program_has_this_terminal_and_can_be_left_and_seen_again() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    if find_program("script").is_none() {
        sentinal_tests::skipped("terminals of the command line", sentinal_tests::Missing::Script);
        return Ok(());
    }
    let caller = Caller::of(server).await?;
    let line = "stty cols 91 rows 17; sentinal run -it -- sh -c \"test -t 0 && test -t 1 && stty size; exit 5\"";
    let said = ended(on_terminal(&caller, "sleep 5", line)).await?;
    ensure!(said.status == 5 && said.text().contains("17 91"), "{said:?}");
    let id = caller.gets(&["create"]).await?;
    // Types a line, then the two keys that leave.
    let keys = r"{ sleep 2; printf 'echo typed-$((40+2))\n'; sleep 2; printf '\020\021'; sleep 1; }";
    let left = ended(on_terminal(&caller, keys, &format!("sentinal exec -it {id} sh"))).await?;
    ensure!(left.status == 0 && left.text().contains("typed-42"), "{left:?}");
    let execution = attached(&left.text())?;
    let keys = r"{ sleep 2; printf 'exit 8\n'; sleep 2; }";
    let again = ended(on_terminal(&caller, keys, &format!("sentinal attach {execution}"))).await?;
    ensure!(again.status == 8 && again.text().contains("typed-42"), "{again:?}");
    caller.gets(&["rm", &id]).await.map(drop)
}

/// The execution that is to be seen again.
fn attached(text: &str) -> Result<String> {
    let rest = text.split("sentinal attach ").nth(1).with_context(|| format!("no word of it in {text:?}"))?;
    Ok(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
}

#[tokio::test]
async fn a_port_of_a_sandbox_is_reached_through_one_of_this_machine() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let id = caller.gets(&["create"]).await?;
    caller.gets(&["exec", &id, "--", "sh", "-c", "mkdir www; echo served > www/page"]).await?;
    caller.gets(&["exec", "--detach", "-w", "www", &id, "python3", "-m", "http.server", "8000"]).await?;
    let mut forward = caller.command(&["port-forward", &id, "0:8000"]).spawn()?;
    let mut lines = BufReader::new(forward.stdout.take().context("a pipe")?).lines();
    let line = timeout(DEADLINE, lines.next_line()).await??.context("it has ended")?;
    let address: SocketAddr = line.split(' ').next().unwrap_or_default().parse().with_context(|| line.clone())?;
    ensure!(address.ip().is_loopback(), "{address}");
    let fetched = || async {
        let answer = Client::new(address, None).request(Method::GET, "/page").send().await?;
        ensure!(answer.status == 200 && answer.text() == "served\n", "{answer:?}");
        Ok(())
    };
    eventually("the page", DEADLINE, fetched).await?;
    caller.gets(&["rm", &id]).await.map(drop)
}

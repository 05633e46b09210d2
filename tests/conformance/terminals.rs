//! Programs on terminals, as their clients see them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Fact, Ground, Guest, NewExecution, Socket};
use serde_json::{Value, json};

use crate::table::{Row, light};

const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(a_login_shell_is_on_a_terminal_of_its_size),
        light(what_is_typed_is_echoed_and_read),
        light(the_interrupt_key_interrupts),
        light(another_size_is_told_to_the_program),
        light(a_client_that_comes_back_goes_on_where_it_was),
        light(two_clients_see_the_same),
        light(output_over_the_stored_limit_is_still_followed),
        light(a_program_on_a_terminal_has_one_output),
        light(a_shell_with_jobs_ends_with_all_of_them),
    ]
}

/// A terminal, and the id of its execution.
pub(crate) async fn terminal(guest: &Guest, query: &str) -> Result<(Socket, String)> {
    let mut socket = guest.client().socket(&format!("/sandbox/{}/terminal?{query}", guest.id())).await?;
    let first = socket.notice().await?;
    ensure!(first["type"] == "attached", "{first}");
    let id = first["execution_id"].as_str().context("an id")?.to_owned();
    Ok((socket, id))
}

pub(crate) async fn attached(guest: &Guest, id: &str, offset: usize) -> Result<Socket> {
    let (socket, attached) = terminal(guest, &format!("execution_id={id}&offset={offset}")).await?;
    ensure!(attached == id, "{attached} instead of {id}");
    Ok(socket)
}

/// The execution that its end carries.
async fn exited(socket: &mut Socket) -> Result<Value> {
    let last = socket.notice().await?;
    ensure!(last["type"] == "exited", "{last}");
    Ok(last["execution"].clone())
}

async fn a_login_shell_is_on_a_terminal_of_its_size(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (mut socket, _) = terminal(&guest, "cols=101&rows=33").await?;
    socket.send("tty | cut -c -9; stty size; echo $TERM $(id -un) $(pwd) $-\r").await?;
    socket.until("/dev/pts/\r\n33 101\r\nxterm-256color user /home/user ").await?;
    socket.send("exit 7\r").await?;
    let execution = exited(&mut socket).await?;
    ensure!(execution["exit_code"] == 7 && execution["terminal"] == json!({"cols": 101, "rows": 33}), "{execution}");
    ensure!(socket.rest().await?.1 == 1000, "not closed as usual");
    guest.gone().await
}

async fn what_is_typed_is_echoed_and_read(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (mut socket, _) = terminal(&guest, "command=cat").await?;
    for line in ["one", "two", "\u{e4}\u{1f600}"] {
        socket.send(format!("{line}\r")).await?;
        socket.until(&format!("{line}\r\n{line}\r\n")).await?;
    }
    socket.send("\u{4}").await?;
    ensure!(exited(&mut socket).await?["exit_code"] == 0, "cat takes the end for one");
    guest.gone().await
}

async fn the_interrupt_key_interrupts(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (mut socket, _) = terminal(&guest, "command=echo+ready;exec+sleep+1000").await?;
    socket.until("ready").await?;
    socket.send("\u{3}").await?;
    let execution = exited(&mut socket).await?;
    ensure!(execution["outcome"] == "signaled" && execution["signal"] == 2, "{execution}");
    guest.gone().await
}

async fn another_size_is_told_to_the_program(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done";
    let script = sentinal_tests::percent_encoded(script);
    let (mut socket, id) = terminal(&guest, &format!("command={script}")).await?;
    socket.until("ready").await?;
    socket.say(&json!({"type": "resize", "cols": 132, "rows": 50})).await?;
    socket.until("50 132\r\n").await?;
    let resize = guest.client().post(&format!("/execution/{id}/resize")).json(&json!({"cols": 90, "rows": 20}));
    resize.send().await?.expect(200)?;
    socket.until("20 90\r\n").await?;
    socket.say(&json!({"type": "resize", "cols": 0, "rows": 50})).await?;
    let refused = socket.notice().await?;
    ensure!(refused["type"] == "error" && refused["code"] == "invalid_request", "{refused}");
    guest.gone().await
}

async fn a_client_that_comes_back_goes_on_where_it_was(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (mut socket, id) = terminal(&guest, "command=echo+one;read+x;echo+got+$x;read+y;exit+3").await?;
    let seen = socket.until("one\r\n").await?.len();
    drop(socket);
    let mut again = attached(&guest, &id, seen).await?;
    again.send("two\r").await?;
    ensure!(again.until("got two\r\n").await? == "two\r\ngot two\r\n", "something came twice");
    drop(again);
    let mut whole = attached(&guest, &id, 0).await?;
    ensure!(whole.until("got two\r\n").await? == "one\r\ntwo\r\ngot two\r\n", "not from the beginning");
    whole.send("\r").await?;
    ensure!(exited(&mut whole).await?["exit_code"] == 3, "not its end");
    // Its end is told also to who comes after it.
    let mut late = attached(&guest, &id, 0).await?;
    ensure!(exited(&mut late).await?["exit_code"] == 3, "not its end");
    guest.gone().await
}

async fn two_clients_see_the_same(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (mut first, id) = terminal(&guest, "command=cat").await?;
    let mut second = attached(&guest, &id, 0).await?;
    first.send("from first\r").await?;
    second.until("from first\r\nfrom first\r\n").await?;
    second.send("from second\r").await?;
    first.until("from second\r\nfrom second\r\n").await?;
    guest.gone().await
}

async fn output_over_the_stored_limit_is_still_followed(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (mut socket, _) = terminal(&guest, "command=head+-c+70000000+/dev/zero;echo+the+end;read+x").await?;
    socket.until("the end\r\n").await?;
    socket.send("typed\r").await?;
    socket.until("typed\r\n").await?;
    ensure!(exited(&mut socket).await?["exit_code"] == 0, "not its end");
    guest.gone().await
}

async fn a_program_on_a_terminal_has_one_output(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let new = NewExecution::shell("test -t 0 && test -t 1 && test -t 2 && echo out; echo err >&2; no-such-program");
    let ended = guest.execute(new.with("terminal", json!({"cols": 80, "rows": 24}))).await?;
    ensure!(ended.exit_code == Some(127) && ended.stderr_bytes()?.is_empty(), "{ended:?}");
    let said = String::from_utf8(ended.stdout_bytes()?)?;
    ensure!(said.starts_with("out\r\nerr\r\n") && said.contains("not found"), "{said:?}");
    guest.gone().await
}

async fn a_shell_with_jobs_ends_with_all_of_them(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let (mut socket, id) = terminal(&guest, "timeout=3").await?;
    socket.send("sleep 1000 & sleep 2000 & jobs; echo they run\r").await?;
    socket.until("they run\r\n").await?;
    let ended = guest.end_of(&id, DEADLINE).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    ensure!(guest.shell("pgrep -c sleep || true").await?.ok()? == "0\n", "its jobs live on");
    guest.gone().await
}

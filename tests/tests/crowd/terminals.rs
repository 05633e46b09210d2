//! Two hundred terminals.

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use sentinal_tests::{Execution, Fact, Guest, Socket, eventually, guest};
use serde_json::json;

use crate::{DEADLINE, TURN, all_let_go, room_for, sockets};

const SANDBOXES: usize = 2;
/// In each of them.
const TERMINALS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_terminals_echo_what_is_typed_and_are_found_again() -> Fact {
    let _turn = TURN.lock().await;
    if !room_for((SANDBOXES * TERMINALS) as u64, "two hundred terminals")? {
        return Ok(());
    }
    let mut guests = Vec::new();
    for _ in 0..SANDBOXES {
        let Some(guest) = guest(json!({"memory": "512Mi"})).await? else { return Ok(()) };
        guests.push(guest);
    }
    let place = guests[0].place().clone();
    let before = sockets(&place)?;
    let all = || guests.iter().flat_map(|guest| (0..TERMINALS).map(move |number| (guest, number)));
    let mut open = try_join_all(all().map(|(guest, number)| opened(guest, number))).await?;
    for round in ["first", "second"] {
        try_join_all(open.iter_mut().map(|(_, socket, number)| typed(socket, round, *number))).await?;
    }
    // All are left at the same moment, and without a word.
    let ids: Vec<String> = open.into_iter().map(|(id, ..)| id).collect();
    all_let_go(&place, before).await?;
    let again = all().zip(&ids).map(|((guest, number), id)| found_again(guest, number, id));
    try_join_all(again).await?;
    for guest in guests {
        let (client, id) = (guest.client().clone(), guest.id().to_owned());
        guest.gone().await?;
        let ended = || async {
            let running: Vec<Execution> = client.list(&format!("/execution?sandbox_id={id}")).await?;
            ensure!(running.iter().all(|execution| execution.state == "finished"), "some go on");
            Ok(())
        };
        eventually("the end of every terminal", DEADLINE, ended).await?;
    }
    all_let_go(&place, before).await
}

async fn opened(guest: &Guest, number: usize) -> Result<(String, Socket, usize)> {
    let mut socket = guest.client().socket(&format!("/sandbox/{}/terminal?command=cat", guest.id())).await?;
    let first = socket.notice().await?;
    let id = first["execution_id"].as_str().context("an id")?.to_owned();
    Ok((id, socket, number))
}

async fn typed(socket: &mut Socket, round: &str, number: usize) -> Fact {
    let line = format!("{round} {number}");
    socket.send(format!("{line}\r")).await?;
    let seen = socket.until(&format!("{line}\r\n{line}\r\n")).await?;
    ensure!(seen == format!("{line}\r\n{line}\r\n"), "{number}: {seen:?}");
    Ok(())
}

async fn found_again(guest: &Guest, number: usize, id: &str) -> Fact {
    let mut socket = guest.client().socket(&format!("/sandbox/{}/terminal?execution_id={id}", guest.id())).await?;
    let expected = ["first", "second"].map(|round| format!("{round} {number}\r\n").repeat(2)).concat();
    let seen = socket.until(&expected).await?;
    ensure!(seen == expected, "{number}: {seen:?}");
    Ok(())
}

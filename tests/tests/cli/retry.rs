//! A connection that breaks in the middle of a create.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use sentinal_tests::{Fact, shared};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::caller::Caller;

/// A way to the server that breaks the first connection when the answer comes, and then another one at once.
async fn broken_way(server: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        for count in 0_u32.. {
            let Ok((mut client, _)) = listener.accept().await else { return };
            let Ok(mut inner) = TcpStream::connect(server).await else { return };
            match count {
                0 => {
                    let mut request = vec![0; 64 * 1024];
                    let length = client.read(&mut request).await.unwrap_or(0);
                    let _ = inner.write_all(&request[..length]).await;
                    // The server has done what it was asked for.
                    let _ = inner.read(&mut request).await;
                }
                1 => {}
                _ => drop(tokio::spawn(async move { copy_bidirectional(&mut client, &mut inner).await })),
            }
        }
    });
    Ok(address)
}

#[tokio::test]
async fn a_create_whose_connection_breaks_makes_one_sandbox() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?.by_way_of(broken_way(server.address()).await?);
    let id = caller.gets(&["create", "--label", "test=retry"]).await?;
    let listed: Value = serde_json::from_str(&caller.gets(&["ls", "--all", "--json", "--label", "test=retry"]).await?)?;
    let items = listed["items"].as_array().map_or(0, Vec::len);
    ensure!(items == 1 && listed["items"][0]["id"] == *id, "{listed}");
    caller.gets(&["rm", &id]).await?;

    let caller = Caller::of(server).await?.by_way_of(broken_way(server.address()).await?);
    let said = caller.says(&["run", "--label", "test=retried", "--", "echo", "once"]).await?;
    ensure!(said.status == 0 && said.text() == "once\n", "{said:?}");
    let listed: Value =
        serde_json::from_str(&caller.gets(&["ls", "--all", "--json", "--label", "test=retried"]).await?)?;
    ensure!(listed["items"].as_array().is_some_and(|all| all.len() == 1), "{listed}");
    Ok(())
}

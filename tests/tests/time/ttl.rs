//! A ttl: the controller, the node's own timer, the agent's deadline.

use std::ffi::OsString;

use anyhow::{Result, ensure};
use sentinal_tests::{Fact, Guest, Options, Role, Server};
use serde_json::json;

use super::{endless, ends_by_itself, is_recorded_as, node_knows_the_end, one_is_ready, pool};

/// A sandbox that lives for a few seconds, with a program in it that would run for longer.
async fn short_lived(server: &Server) -> Result<Guest> {
    let guest = Guest::of(server, json!({"ttl": 5})).await?;
    guest.client().execute_in_background(endless(600).within(guest.id())).await?;
    Ok(guest)
}

/// While `dead` are not there, and with a sandbox that comes from where `serve` says.
async fn check(name: &str, serve: &[OsString], dead: &[Role]) -> Fact {
    let options = Options { serve: serve.to_owned(), ..Options::default() };
    let Some(server) = Server::start(name, options).await? else { return Ok(()) };
    if !serve.is_empty() {
        one_is_ready(&server).await?;
    }
    let guest = short_lived(&server).await?;
    let is_warm = guest.sandbox().engine_reason.as_deref().is_some_and(|reason| reason.contains("warm pool"));
    ensure!(is_warm != serve.is_empty(), "{:?}", guest.sandbox());
    node_knows_the_end(&server, guest.id()).await?;
    for role in dead {
        server.kill(*role).await?;
    }
    ends_by_itself(&server, &guest).await?;
    for role in dead.iter().rev() {
        // Without its pool: what is there is to be this sandbox's alone.
        server.launch_with(*role, &[])?;
    }
    if dead.is_empty() && !serve.is_empty() {
        server.kill(Role::Serve).await?;
        server.launch_with(Role::Serve, &[])?;
    }
    is_recorded_as(&server, &guest, "stopped", "expired").await
}

#[tokio::test]
async fn a_sandbox_expires_while_everything_is_alive() -> Fact {
    check("ttl-alive", &[], &[]).await
}

#[tokio::test]
async fn a_sandbox_expires_while_the_server_is_dead() -> Fact {
    check("ttl-node", &[], &[Role::Serve]).await
}

#[tokio::test]
async fn a_sandbox_expires_while_server_and_node_are_dead() -> Fact {
    check("ttl-agent", &[], &[Role::Serve, Role::Node]).await
}

/// The end of a claimed sandbox is its owner's, not the one it had in its pool.
#[tokio::test]
async fn a_claimed_sandbox_expires_while_everything_is_alive() -> Fact {
    check("ttl-pool-alive", &pool(), &[]).await
}

#[tokio::test]
async fn a_claimed_sandbox_expires_while_the_server_is_dead() -> Fact {
    check("ttl-pool-node", &pool(), &[Role::Serve]).await
}

#[tokio::test]
async fn a_claimed_sandbox_expires_while_server_and_node_are_dead() -> Fact {
    check("ttl-pool-agent", &pool(), &[Role::Serve, Role::Node]).await
}

//! A ttl: the controller, the node's own timer, the agent's deadline.

use anyhow::Result;
use sentinal_tests::{Fact, Guest, Role, Server};
use serde_json::json;

use super::{endless, ends_by_itself, is_recorded_as, server};

/// A sandbox that lives for a few seconds, with a program in it that would run for longer.
async fn short_lived(server: &Server) -> Result<Guest> {
    let guest = Guest::of(server, json!({"ttl": 5})).await?;
    guest.client().execute_in_background(endless(600).within(guest.id())).await?;
    Ok(guest)
}

#[tokio::test]
async fn a_sandbox_expires_while_everything_is_alive() -> Fact {
    let Some(server) = server("ttl-alive").await? else { return Ok(()) };
    let guest = short_lived(&server).await?;
    ends_by_itself(&server, &guest).await?;
    is_recorded_as(&server, &guest, "stopped", "expired").await
}

#[tokio::test]
async fn a_sandbox_expires_while_the_server_is_dead() -> Fact {
    let Some(server) = server("ttl-node").await? else { return Ok(()) };
    let guest = short_lived(&server).await?;
    server.kill(Role::Serve).await?;
    ends_by_itself(&server, &guest).await?;
    server.launch(Role::Serve)?;
    is_recorded_as(&server, &guest, "stopped", "expired").await
}

#[tokio::test]
async fn a_sandbox_expires_while_server_and_node_are_dead() -> Fact {
    let Some(server) = server("ttl-agent").await? else { return Ok(()) };
    let guest = short_lived(&server).await?;
    server.kill(Role::Serve).await?;
    server.kill(Role::Node).await?;
    ends_by_itself(&server, &guest).await?;
    server.launch(Role::Node)?;
    server.launch(Role::Serve)?;
    is_recorded_as(&server, &guest, "stopped", "expired").await
}

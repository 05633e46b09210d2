//! The product's command lines: the one place that knows its flags.

use std::{ffi::OsString, net::SocketAddr, path::Path, process::Command};

use crate::Place;

/// The user that `serve` becomes when it is started as root.
pub const SERVER_USER: &str = "sentinal";

/// Where the product keeps images unless told.
pub const IMAGES: &str = "/var/cache/sentinal/images";

/// `sentinal serve`, without a node of its own.
pub fn serve(sentinal: &Path, place: &Place, listen: SocketAddr) -> Command {
    let mut command = Command::new(sentinal);
    command.arg("serve").arg("--listen").arg(listen.to_string());
    command.arg("--data-dir").arg(place.data_dir());
    command.arg("--node-socket").arg(place.socket());
    command.arg("--no-node");
    command
}

/// `sentinal serve` that starts a node where none answers.
pub fn serve_with_node(sentinal: &Path, agent: &Path, images: &Path, place: &Place, listen: SocketAddr) -> Command {
    let mut command = Command::new(sentinal);
    command.arg("serve").arg("--listen").arg(listen.to_string());
    command.arg("--data-dir").arg(place.data_dir());
    command.arg("--agent").arg(agent).arg("--images").arg(images);
    command
}

/// `sentinal node`.
pub fn node(sentinal: &Path, agent: &Path, images: &Path, place: &Place) -> Command {
    let mut command = Command::new(sentinal);
    command.arg("node").arg("--state-dir").arg(place.state_dir());
    command.arg("--socket").arg(place.socket());
    command.arg("--server-user").arg(SERVER_USER);
    command.arg("--agent").arg(agent);
    command.arg("--images").arg(images);
    command
}

/// The node's flag that names another `runsc`.
pub fn runsc(path: &Path) -> [OsString; 2] {
    ["--runsc".into(), path.into()]
}

/// The arguments of a `sentinal doctor` that answers in JSON.
pub fn doctor(agent: &Path, images: &Path) -> Vec<OsString> {
    vec!["doctor".into(), "--json".into(), "--agent".into(), agent.into(), "--images".into(), images.into()]
}

/// The server's flag that keeps sandboxes ready.
pub fn pool(pool: &str) -> [OsString; 2] {
    ["--pool".into(), pool.into()]
}

/// The server's flags that let it deliver events to these hosts, and soon again what failed.
pub fn webhooks(hosts: &[String]) -> Vec<OsString> {
    let named = hosts.iter().flat_map(|host| ["--webhook".into(), host.into()]);
    named.chain(["--webhook-retry".into(), "0.05".into()]).collect()
}

/// Builds the default image into `images`, unless it is there.
pub fn image_build(sentinal: &Path, images: &Path) -> Command {
    let mut command = Command::new(sentinal);
    command.args(["image", "build", "--images"]).arg(images);
    command
}

/// The system user that `serve` runs as.
pub fn user_add() -> Command {
    let mut command = Command::new("useradd");
    command.args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]);
    command
}

/// Builds the binary and the agent, as the Makefile does.
pub fn cargo_build(workspace: &Path) -> [Command; 2] {
    let cargo = || {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(workspace).arg("build").arg("--locked");
        command
    };
    let mut agent = cargo();
    agent.args(["-p", "sentinal-agent", "--profile", "agent", "--target", "x86_64-unknown-linux-musl"]);
    let mut binary = cargo();
    binary.args(["-p", "sentinal"]);
    [agent, binary]
}

//! How the process that holds the sandboxes starts: a keeper that restarts a worker.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use sentinal_model::NodeId;
use sentinal_node::{IDLE_EXIT, Launcher, NodeConfig, Owner, Programs, Starter};

use crate::{
    cli::{NodeOptions, PartOptions},
    open_files, privilege, serve, user,
};

/// The word that makes this program an engine's starter; for `node` alone.
const STARTER: &str = "start-for-engine";
/// The word that makes it the launcher of one native sandbox; for `node` alone.
const LAUNCHER: &str = "launch-for-engine";

/// `sentinal node`.
pub(crate) fn run(options: &NodeOptions) -> Result<ExitCode> {
    serve::start_logging(&options.log, None)?;
    if options.worker {
        open_files::raise();
        return work(options);
    }
    if !privilege::is_root() {
        tracing::warn!("node runs without root: native sandboxes only, and weaker ones; `sentinal doctor` says how");
    }
    let status = sentinal_node::keep(worker(options)?)?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The command line that makes the worker out of ours.
fn worker(options: &NodeOptions) -> Result<Command> {
    let mut command = Command::new(this_program()?);
    command.args(["node", "--worker"]).args(arguments(&options.state_dir, &socket(options), &options.parts));
    command.args(options.log.arguments());
    if options.exit_when_idle {
        command.arg("--exit-when-idle");
    }
    Ok(command)
}

/// What a node is told, as arguments.
pub(crate) fn arguments(state: &Path, socket: &Path, parts: &PartOptions) -> Vec<OsString> {
    let mut arguments = vec!["--state-dir".into(), state.into(), "--socket".into(), socket.into()];
    // Whoever starts a node has read the file already.
    arguments.extend(["--config".into(), "/dev/null".into()]);
    arguments.extend(["--server-user".into(), parts.server_user.clone().into()]);
    arguments.extend(["--images".into(), parts.images.clone().into(), "--runsc".into(), parts.runsc.clone().into()]);
    if let Some(agent) = &parts.agent {
        arguments.extend(["--agent".into(), agent.into()]);
    }
    arguments
}

fn socket(options: &NodeOptions) -> PathBuf {
    options.socket.clone().unwrap_or_else(|| options.state_dir.join("node.sock"))
}

fn work(options: &NodeOptions) -> Result<ExitCode> {
    let config = NodeConfig {
        node_id: NodeId::local(),
        state_folder: options.state_dir.clone(),
        socket: socket(options),
        server: server(&options.parts)?,
        images: options.parts.images.clone(),
        agent: agent(&options.parts)?,
        runsc: options.parts.runsc.clone(),
        exit_when_idle: options.exit_when_idle.then_some(IDLE_EXIT),
    };
    let parts = sentinal_node::this_machine(&config, programs()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let stopped = async { drop(sentinal_node::stop_signal().await) };
    runtime.context("cannot start the runtime")?.block_on(sentinal_node::run_with(config, parts, stopped))?;
    Ok(ExitCode::SUCCESS)
}

/// Who is served: without root nobody but the node's own user could be given anything.
fn server(parts: &PartOptions) -> Result<Owner> {
    if privilege::is_root() { user::find(&parts.server_user) } else { Ok(Owner::of_this_process()) }
}

/// What engines start their programs with: this very program.
pub(crate) fn programs() -> Result<Programs> {
    let this = this_program()?;
    Ok(Programs {
        starter: Starter { program: this.clone(), first: vec![STARTER.into()] },
        launcher: Launcher { program: this, arguments: vec![LAUNCHER.into()] },
    })
}

/// Does what an engine has this program for, if that is what the arguments ask for. Looked at before everything else:
/// it is on the path of every boot. The starter becomes its engine's program, and comes back only with an error.
pub(crate) fn work_for_engine(mut arguments: impl Iterator<Item = OsString>) -> Option<Result<()>> {
    let word = arguments.nth(1)?;
    if word == LAUNCHER {
        return Some(sentinal_node::launch(std::io::stdin()).map_err(anyhow::Error::from));
    }
    (word == STARTER).then(|| Err(sentinal_node::starter::start(arguments).into()))
}

/// Where this program is.
pub(crate) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("cannot tell where this program is")
}

/// Where the agent should be: as told, or beside this program.
pub(crate) fn agent_path(parts: &PartOptions) -> Result<PathBuf> {
    let beside = || this_program().map(|program| program.with_file_name("sentinal-agent"));
    parts.agent.clone().map_or_else(beside, Ok)
}

/// Where the agent is.
fn agent(parts: &PartOptions) -> Result<PathBuf> {
    let agent = agent_path(parts)?;
    if !agent.is_file() {
        bail!("the agent is not at {}; build it with `make build`, or name it with --agent", agent.display());
    }
    agent.canonicalize().with_context(|| format!("cannot tell where {} is", agent.display()))
}

//! The process outside: it has the rights of the node on the host, and uses them for what the sandbox needs of it.

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::Path,
};

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use crate::{
    Ground, LaunchError, Plan, Started, Step,
    confine::{AGENT_OOM_SCORE, limit, limit_memory},
    error::At as _,
    file_systems, inside,
    socket::Socket,
    sys, users,
};

pub(crate) fn launch(plan: &Plan) -> Result<(), LaunchError> {
    enter_cgroup(plan)?;
    // Set by the host's root, it is the least that anybody inside can have.
    fs::write("/proc/self/oom_score_adj", AGENT_OOM_SCORE.to_string())
        .at(Step::Limits, "set the score under memory pressure")?;
    let (ours, theirs) = Socket::pair()?;
    let Some(init) = sys::fork_into_namespaces().at(Step::Namespaces, "make a user and a pid namespace")? else {
        drop(ours);
        inside::begin(plan, &theirs);
    };
    drop(theirs);
    serve(plan, init, &ours)?;
    ours.closed()?;
    // The launcher's own is larger, so it is set when init is the agent. Nobody asks that one for anything before this
    // process has ended well.
    if let Ground::Unprivileged { memory_bytes, .. } = plan.ground {
        limit_memory(init, memory_bytes)?;
    }
    finish(plan, init)
}

fn enter_cgroup(plan: &Plan) -> Result<(), LaunchError> {
    plan.cgroup.iter().try_for_each(|path| fs::write(path, "0").at(Step::Cgroup, &format!("enter {}", path.display())))
}

/// Gives init its users, then what it can only have from the host.
fn serve(plan: &Plan, init: Pid, socket: &Socket) -> Result<(), LaunchError> {
    let started = Started::of(init).at(Step::Namespaces, "tell when init began")?;
    fs::write(&plan.pid_file, started.to_string()).at(Step::Namespaces, "write down which process is init")?;
    users::map(init, &plan.ground)?;
    limit(init, plan)?;
    match &plan.ground {
        Ground::Root { image, layer, .. } => open(plan, init, image, layer, socket),
        // Only init has the right to mount anything. It waits for its users.
        Ground::Unprivileged { .. } => socket.hand_over(&[]),
    }
}

/// Opens what only root on the host can, and hands it over.
fn open(plan: &Plan, init: Pid, image: &Path, layer: &Path, socket: &Socket) -> Result<(), LaunchError> {
    let users = File::open(format!("/proc/{}/ns/user", init.as_raw_nonzero()));
    let users = users.at(Step::Namespaces, "hold the user namespace")?;
    let users = users.as_fd();
    let layer = file_systems::layer(layer, users)?;
    let image = file_systems::image(image, users)?;
    let agent = file_systems::agent(&plan.agent)?;
    let sockets = plan.socket_folder.as_deref().map(|folder| file_systems::sockets(folder, users)).transpose()?;
    // Whoever dials nobody needs no socket: an agent twice says so.
    let sockets = sockets.as_ref().unwrap_or(&agent);
    socket.hand_over(&[&image, &layer, &agent, sockets].map(|mount| mount.as_fd()))
}

/// Init is the agent now. One that has ended already was no good.
fn finish(plan: &Plan, init: Pid) -> Result<(), LaunchError> {
    let options = if plan.to_its_end { WaitOptions::empty() } else { WaitOptions::NOHANG };
    let ended = waitpid(Some(init), options).at(Step::Execute, "wait for init")?;
    match ended {
        None => Ok(()),
        Some((_, status)) if plan.to_its_end && status.exit_status() == Some(0) => Ok(()),
        Some((_, status)) => Err(LaunchError::new(Step::Execute, "keep init running", how(status))),
    }
}

pub(crate) fn how(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("it ended with exit status {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}

//! The process outside: it has the host's root, and uses it for what the sandbox needs of the host.

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::Path,
};

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use crate::{
    LaunchError, Plan, Step,
    confine::{AGENT_OOM_SCORE, limit},
    error::At as _,
    file_systems, inside,
    socket::{HANDED_OVER, Socket},
    sys,
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
    finish(plan, init)
}

fn enter_cgroup(plan: &Plan) -> Result<(), LaunchError> {
    plan.cgroup.iter().try_for_each(|path| fs::write(path, "0").at(Step::Cgroup, &format!("enter {}", path.display())))
}

/// Gives init its users, then what it can only have from the host.
fn serve(plan: &Plan, init: Pid, socket: &Socket) -> Result<(), LaunchError> {
    fs::write(&plan.pid_file, init.to_string()).at(Step::Namespaces, "write down which process is init")?;
    let process = format!("/proc/{}", init.as_raw_nonzero());
    let map = format!("0 {} {}\n", plan.first_id, Plan::USERS);
    for file in ["uid_map", "gid_map"] {
        fs::write(Path::new(&process).join(file), &map).at(Step::Namespaces, "map the sandbox's users")?;
    }
    limit(init, plan)?;
    let users = File::open(Path::new(&process).join("ns/user")).at(Step::Namespaces, "hold the user namespace")?;
    let users = users.as_fd();
    let layer = file_systems::layer(&plan.layer, users)?;
    let image = file_systems::image(&plan.image, users)?;
    let agent = file_systems::agent(&plan.agent)?;
    let sockets = plan.socket_folder.as_deref().map(|folder| file_systems::sockets(folder, users)).transpose()?;
    // Whoever dials nobody needs no socket: an agent twice says so.
    let sockets = sockets.as_ref().unwrap_or(&agent);
    let files: [_; HANDED_OVER] = [&image, &layer, &agent, sockets].map(|mount| mount.as_fd());
    socket.hand_over(files)
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

fn how(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("it ended with exit status {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}

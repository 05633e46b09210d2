//! The process inside: the sandbox's first, and at the end its agent.

use std::{
    convert::Infallible,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::Command,
};

use rustix::{
    fs::Mode,
    mount::{MountPropagationFlags, mount_change},
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    process::{setsid, umask},
    system::sethostname,
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use crate::{
    Ground, LaunchError, Plan, Step, Users, confine,
    error::At as _,
    file_systems,
    mounts::Mount,
    socket::Socket,
    sys,
    tree::{self, Root},
};

/// Where the agent is inside.
const AGENT_PATH: &str = "/.sentinal/agent";

/// Becomes the agent, or tells the process outside why not and ends.
pub(crate) fn begin(plan: &Plan, outside: &Socket) -> ! {
    let Err(error) = become_agent(plan, outside);
    outside.complain(&error);
    sys::exit_at_once(1)
}

fn become_agent(plan: &Plan, outside: &Socket) -> Result<Infallible, LaunchError> {
    sys::make_namespaces().at(Step::Namespaces, "make the other namespaces")?;
    sethostname(plan.hostname.as_bytes()).at(Step::Namespaces, "name the sandbox")?;
    switch_on_loopback()?;
    // Nothing that is mounted from here on reaches the host, and nothing that the host mounts reaches us.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).at(Step::Tree, "keep mounts to the sandbox")?;
    // From here on there are users.
    let handed_over = outside.take_over()?;
    umask(Mode::empty());
    root(plan, handed_over)?.enter(plan.shm_bytes)?;
    let null = tree::null()?;
    setsid().at(Step::Execute, "begin a session")?;
    replace_streams(null)?;
    confine::confine(&plan.ground)?;
    let error = Command::new(AGENT_PATH).args(&plan.arguments).env_clear().envs(environment(plan)).exec();
    Err(LaunchError::new(Step::Execute, "become the agent", error))
}

/// Becomes the sandbox's first user, with what the root is made of.
fn root(plan: &Plan, handed_over: Vec<OwnedFd>) -> Result<Root, LaunchError> {
    let Ground::Unprivileged { users, image, layer_bytes, .. } = &plan.ground else {
        let handed_over: Result<[OwnedFd; 4], _> = handed_over.try_into();
        let lost = |_| LaunchError::new(Step::Talk, "take over what was opened", "something is missing");
        let [image, layer, agent, sockets] = handed_over.map_err(lost)?.map(Mount::from_file);
        become_root()?;
        return Ok(Root { image, layer, agent, sockets: plan.socket_folder.as_ref().map(|_| sockets) });
    };
    // As the user on the host, who may go where they are.
    let image = file_systems::unpacked_image(image)?;
    let agent = file_systems::agent(&plan.agent)?;
    let sockets = plan.socket_folder.as_deref().map(file_systems::own_sockets).transpose()?;
    match users {
        // It is that user already.
        Users::One => {}
        Users::Range { .. } => become_root()?,
    }
    Ok(Root { image, layer: file_systems::layer_in_memory(*layer_bytes)?, agent, sockets })
}

/// Root inside, which is nobody on the host.
pub(crate) fn become_root() -> Result<(), LaunchError> {
    use rustix::fs::{Gid, Uid};
    set_thread_groups(&[]).at(Step::Namespaces, "leave the host's groups")?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at(Step::Namespaces, "become the sandbox's root group")?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at(Step::Namespaces, "become the sandbox's root")
}

fn switch_on_loopback() -> Result<(), LaunchError> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    let socket: OwnedFd = socket.at(Step::Namespaces, "reach the loopback interface")?;
    sys::switch_on(&socket, c"lo").at(Step::Namespaces, "switch on the loopback interface")
}

/// Those of the launcher are the node's.
fn replace_streams(null: OwnedFd) -> Result<(), LaunchError> {
    use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
    let replaced = dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null));
    replaced.at(Step::Execute, "leave the node's streams")
}

fn environment(plan: &Plan) -> impl Iterator<Item = (&str, &str)> {
    plan.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

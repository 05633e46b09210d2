//! What init gives up before it becomes the agent, and every program with it.

use rustix::{
    process::{Pid, Resource, Rlimit, getrlimit, prlimit},
    thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
        set_capabilities, set_no_new_privs,
    },
};

use crate::{Ground, LaunchError, Plan, Step, Users, error::At as _, landlock, seccomp};

/// The kernel's choice under memory pressure falls on sandboxes before it falls on what runs them...
pub const AGENT_OOM_SCORE: i32 = 300;
/// ... and on programs before it falls on their agent.
pub const PROGRAM_OOM_SCORE: i32 = 600;

/// What the agent may do as root inside, and no program that it starts as another user. Each holds in the sandbox's
/// user namespace alone. Not `CAP_SYS_ADMIN`: with it, mounts could be changed.
const CAPABILITIES: [(CapabilitySet, &str); 10] = [
    (CapabilitySet::CHOWN, "uploaded files get their owner"),
    (CapabilitySet::DAC_OVERRIDE, "files of any owner are read and written, and the server's socket is dialled"),
    (CapabilitySet::FOWNER, "and their mode set"),
    (CapabilitySet::FSETID, "with set-group-id folders kept so"),
    (CapabilitySet::KILL, "executions of any user are signalled"),
    (CapabilitySet::NET_BIND_SERVICE, "root's programs may listen below port 1024"),
    (CapabilitySet::SETGID, "executions get their group"),
    (CapabilitySet::SETUID, "and their user"),
    (CapabilitySet::SETPCAP, "and lose every capability for good"),
    (CapabilitySet::SYS_CHROOT, "root's programs may change their root, as package managers do"),
];

/// Sets the limits of another process, which has ours so far. A stricter limit that we may not raise stays.
pub(crate) fn limit(process: Pid, plan: &Plan) -> Result<(), LaunchError> {
    let limits = [
        (Resource::Nproc, plan.processes_max, plan.processes_max),
        (Resource::Nofile, plan.open_files_max, plan.agent_open_files_max),
        // A core dump would fill the sandbox's disk.
        (Resource::Core, 0, 0),
    ];
    for (resource, current, maximum) in limits {
        let limit = |most: u64| Rlimit { current: Some(current.min(most)), maximum: Some(maximum.min(most)) };
        // For an ordinary user the number of processes counts within the sandbox's user namespace, and beyond it the
        // limit that the user had when that was made: so it is set afterwards, and sandboxes do not count together.
        let set = |limit| prlimit(Some(process), resource, limit).map(drop);
        let set = set(limit(u64::MAX)).or_else(|_| set(limit(getrlimit(resource).maximum.unwrap_or(u64::MAX))));
        set.at(Step::Limits, "set the limits")?;
    }
    Ok(())
}

/// Bounds the memory of each process where no cgroup bounds that of all: what it may write to and shares with nobody.
/// Not its address space, of which runtimes such as Node's reserve far more than they use.
pub(crate) fn limit_memory(process: Pid, bytes: u64) -> Result<(), LaunchError> {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    prlimit(Some(process), Resource::Data, limit).map(drop).at(Step::Limits, "limit the memory of a process")
}

/// Leaves capabilities, Landlock and the filter of system calls in this order: each needs what a later one takes.
pub(crate) fn confine(ground: &Ground) -> Result<(), LaunchError> {
    let kept = match ground {
        // Its only user is not root.
        Ground::Unprivileged { users: Users::One, .. } => CapabilitySet::empty(),
        Ground::Root { .. } | Ground::Unprivileged { users: Users::Range { .. }, .. } => kept(),
    };
    drop_capabilities(kept).at(Step::Limits, "drop capabilities")?;
    set_no_new_privs(true).at(Step::Limits, "give up new privileges")?;
    landlock::restrict()?;
    seccomp::restrict()
}

fn kept() -> CapabilitySet {
    CAPABILITIES.into_iter().fold(CapabilitySet::empty(), |all, (one, _)| all | one)
}

fn drop_capabilities(kept: CapabilitySet) -> Result<(), rustix::io::Errno> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // There are no more.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    clear_ambient_capability_set()?;
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_capability_is_named_twice_and_each_has_a_reason() {
        let kept = kept();
        assert_eq!(kept.bits().count_ones(), u32::try_from(CAPABILITIES.len()).unwrap());
        assert!(CAPABILITIES.iter().all(|(_, why)| !why.is_empty()));
        assert!(!kept.intersects(CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_PTRACE | CapabilitySet::SYS_RESOURCE));
    }
}

//! What programs may ask the kernel for in some ways and not in others.

use std::{collections::BTreeMap, ffi::c_long};

use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::{Entry, entry};

/// Each with its condition.
pub(super) static CONDITIONAL: [Entry; 4] = [
    entry(libc::SYS_clone, "clone", "processes and threads, without new namespaces"),
    entry(
        libc::SYS_socket,
        "socket",
        "local and internet sockets, and which interfaces there are; nothing to the host or into the kernel",
    ),
    entry(
        libc::SYS_personality,
        "personality",
        "which Linux it is, and addresses without randomness for tools that compare them",
    ),
    entry(libc::SYS_ioctl, "ioctl", "terminals and files, without putting words into a terminal's input"),
];

/// Flags of `clone` that make a namespace, one bit each.
const NAMESPACES: [u64; 7] =
    [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];
/// Kinds of sockets that are allowed: `AF_UNIX`, `AF_INET`, `AF_INET6` and `AF_NETLINK`.
const FAMILIES: [u64; 4] = [1, 2, 10, 16];
/// Allowed: Linux, 32 bits of it, both without randomness, and the question which it is.
const PERSONALITIES: [u64; 5] = [0x0, 0x0008, 0x0004_0000, 0x0004_0008, 0xFFFF_FFFF];
/// `TIOCSTI` and `TIOCLINUX`.
const TERMINAL_INPUT: [u64; 2] = [0x5412, 0x541C];

/// The ways that are refused. One rule that holds is enough, and it holds when all its conditions do.
pub(super) fn refusals() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, BackendError> {
    let namespaces: Result<_, BackendError> =
        NAMESPACES.iter().map(|bit| rule([condition(0, SeccompCmpOp::MaskedEq(*bit), *bit)])).collect();
    let input: Result<_, BackendError> =
        TERMINAL_INPUT.iter().map(|request| rule([condition(1, SeccompCmpOp::Eq, *request)])).collect();
    let none_of = |values: &[u64]| rule(values.iter().map(|value| condition(0, SeccompCmpOp::Ne, *value)));
    Ok(BTreeMap::from([
        (libc::SYS_clone, namespaces?),
        (libc::SYS_socket, vec![none_of(&FAMILIES)?]),
        (libc::SYS_personality, vec![none_of(&PERSONALITIES)?]),
        (libc::SYS_ioctl, input?),
    ]))
}

fn rule(
    conditions: impl IntoIterator<Item = Result<SeccompCondition, BackendError>>,
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

/// The kernel looks at 32 bits of each of these arguments.
fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

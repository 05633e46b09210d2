//! Who the sandbox's users are on the host.

use std::{fs, process::Command};

use rustix::process::{Pid, getegid, geteuid};

use crate::{Ground, LaunchError, Plan, Step, Users, error::At as _};

const MAP: &str = "map the sandbox's users";

/// Gives init's user namespace its users.
pub(crate) fn map(init: Pid, ground: &Ground) -> Result<(), LaunchError> {
    match *ground {
        Ground::Root { first_id, .. } => {
            let map = format!("0 {first_id} {}\n", Plan::USERS);
            write(init, "uid_map", &map)?;
            write(init, "gid_map", &map)
        }
        Ground::Unprivileged { users, .. } => map_own(init, users),
    }
}

/// The same as an ordinary user.
pub(crate) fn map_own(init: Pid, users: Users) -> Result<(), LaunchError> {
    match users {
        Users::One => {
            // The kernel's condition for a group: that nobody inside can leave one that takes rights away.
            write(init, "setgroups", "deny")?;
            write(init, "uid_map", &format!("{} {} 1\n", Users::ONLY, geteuid().as_raw()))?;
            write(init, "gid_map", &format!("{} {} 1\n", Users::ONLY, getegid().as_raw()))
        }
        Users::Range { first_uid, first_gid } => {
            have_mapped(init, "newuidmap", first_uid)?;
            have_mapped(init, "newgidmap", first_gid)
        }
    }
}

fn write(init: Pid, file: &str, text: &str) -> Result<(), LaunchError> {
    fs::write(format!("/proc/{}/{file}", init.as_raw_nonzero()), text).at(Step::Namespaces, MAP)
}

/// By a program of the host that has the right to, and looks up whether the range is ours.
fn have_mapped(init: Pid, program: &str, first: u32) -> Result<(), LaunchError> {
    let numbers = [init.as_raw_nonzero().to_string(), "0".to_owned(), first.to_string(), Plan::USERS.to_string()];
    let output = Command::new(program).args(numbers).output().at(Step::Namespaces, &format!("start {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(LaunchError::new(Step::Namespaces, MAP, format!("{program} ended with {}: {}", output.status, said.trim())))
}

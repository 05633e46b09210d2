//! The rest of the host: privilege, kernel, loop devices, user namespaces, images, agent, disk, memory.

use std::{path::Path, time::Duration};

use sentinal_engine::{EngineError, child::Child};
use sentinal_engine_native::{Privilege, Users};
use sentinal_image::ImageStore;
use sentinal_model::{EngineName, ImageName, limits};
use sentinal_node_protocol::Room;
use tokio_util::sync::CancellationToken;

use super::{Check, Finding};
use crate::{Hardware as _, Images, NodeConfig, room::ThisMachine};

const BOTH: &[EngineName] = &[EngineName::Gvisor, EngineName::Native];
const NATIVE: &[EngineName] = &[EngineName::Native];

/// How long a program of the host may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The oldest kernel with Landlock.
const KERNEL_MIN: (u32, u32) = (5, 13);

pub(super) async fn checks(config: &NodeConfig, memory_percent_min: u64) -> Vec<Check> {
    let mut checks = vec![
        Check { name: "privilege", finding: privilege(), needed_by: &[] },
        Check { name: "users", finding: users(), needed_by: &[] },
        Check { name: "kernel", finding: kernel(), needed_by: NATIVE },
        Check { name: "loop devices", finding: loop_devices().await, needed_by: BOTH },
        Check { name: "user namespaces", finding: user_namespaces().await, needed_by: NATIVE },
        Check { name: "agent", finding: agent(&config.agent), needed_by: BOTH },
    ];
    checks.extend(room_of(&config.state_folder, memory_percent_min));
    checks.push(image(&config.images));
    checks
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn privilege() -> Finding {
    if is_root() {
        return Finding::Fine("root".to_owned());
    }
    Finding::Fine("not root: native sandboxes only; no cpu limit, no pause, memory limited per process".to_owned())
}

/// Whose users sandboxes have.
fn users() -> Finding {
    match Privilege::of_this_process() {
        Privilege::Root => Finding::Fine("65536 of its own for each sandbox".to_owned()),
        Privilege::Unprivileged(Users::Range { first_uid, .. }) => {
            Finding::Fine(format!("65536 from {first_uid} on, the same for all sandboxes of this user"))
        }
        Privilege::Unprivileged(Users::One) => Finding::lacking(
            "one: programs are the same user as their agent and as the node, and nobody is root inside",
            "install newuidmap and newgidmap (Debian: uidmap), and give the user 65536 numbers in /etc/subuid and /etc/subgid",
        ),
    }
}

fn kernel() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if KERNEL_MIN <= version {
        return Finding::Fine(format!("Linux {release}"));
    }
    let (major, minor) = KERNEL_MIN;
    Finding::lacking(format!("Linux {release}"), format!("use Linux {major}.{minor} or later"))
}

/// Asks for a free one, as every boot does.
async fn loop_devices() -> Finding {
    let control = Path::new("/dev/loop-control");
    if !is_root() {
        let there = if control.exists() { "is there" } else { "is not there" };
        let why =
            format!("{} {there}; only root can ask for a device, and without root none is needed", control.display());
        return Finding::Unknown { why };
    }
    let remedy = "load the kernel's loop module (modprobe loop), and let the node use /dev/loop-control and /dev/loop*";
    match run("losetup", &["--find"]).await {
        Ok(said) => Finding::Fine(format!("the next free one is {}", said.trim())),
        Err(error) => Finding::lacking(format!("no loop device can be had: {error}"), remedy),
    }
}

/// Makes one.
async fn user_namespaces() -> Finding {
    let remedy =
        "allow them: sysctl user.max_user_namespaces=15000, and kernel.unprivileged_userns_clone=1 where it exists";
    match run("unshare", &["--user", "true"]).await {
        Ok(_) => Finding::Fine("one can be made".to_owned()),
        Err(error) => Finding::lacking(format!("none can be made: {error}"), remedy),
    }
}

fn agent(agent: &Path) -> Finding {
    if agent.is_file() {
        return Finding::Fine(agent.display().to_string());
    }
    let remedy = "build it with `make build`, or name it with --agent";
    Finding::lacking(format!("it is not at {}", agent.display()), remedy)
}

fn image(store: &Path) -> Check {
    let name = ImageName::default();
    let found = ImageStore::open(store).map_err(|error| error.to_string());
    let finding =
        match found.and_then(|images| Images::resolve(&images, &name).map_err(|error| error.message().to_owned())) {
            Ok(image) => Finding::Fine(format!("{name} in {} is {}", store.display(), image.digest)),
            Err(error) => Finding::lacking(error, "make it: `sudo sentinal image build-default`"),
        };
    Check { name: "image", finding, needed_by: &[] }
}

/// What there is to place sandboxes by.
fn room_of(folder: &Path, memory_percent_min: u64) -> Vec<Check> {
    // A folder that is not there yet will be on the file system of the next one above that is.
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or_else(|| Path::new("/"));
    let check = |name, finding| Check { name, finding, needed_by: &[] };
    match ThisMachine.room(existing) {
        Ok(room) => {
            let memory = memory(&room, memory_percent_min);
            vec![check("disk", disk(&room)), check("memory", memory), check("memory pressure", pressure(&room))]
        }
        Err(error) => vec![check("room", Finding::Unknown { why: error.to_string() })],
    }
}

fn disk(room: &Room) -> Finding {
    let (free, total) = (room.disk_bytes_available, room.disk_bytes_total);
    share("free", free, total, limits::DISK_AVAILABLE_PERCENT_MIN)
}

fn memory(room: &Room, percent_min: u64) -> Finding {
    let (free, total) = (room.memory_bytes_available, room.memory_bytes_total);
    share("available", free, total, percent_min)
}

fn share(word: &str, part: u64, total: u64, percent_min: u64) -> Finding {
    let said = format!("{} of {} MiB {word}", part >> 20, total >> 20);
    if u128::from(total) * u128::from(percent_min) <= u128::from(part) * 100 {
        return Finding::Fine(format!("{said}, {percent_min} % is the least"));
    }
    Finding::lacking(said, format!("make room: nothing is placed below {percent_min} %"))
}

fn pressure(room: &Room) -> Finding {
    match room.memory_pressure {
        Some(waited) => Finding::Fine(format!(
            "some programs waited for memory {} % of the last 10 s, all of them {} %",
            waited.some_percent, waited.full_percent
        )),
        None => Finding::lacking(
            "the kernel does not measure it (PSI); placing goes by available memory alone",
            "start a kernel built with CONFIG_PSI, with psi=1",
        ),
    }
}

async fn run(program: &'static str, arguments: &[&str]) -> Result<String, EngineError> {
    Child::new(program, DEADLINE).args(arguments).finish(&CancellationToken::new()).await
}

#[cfg(test)]
mod tests {
    use sentinal_node_protocol::MemoryPressure;

    use super::*;

    #[test]
    fn what_there_is_of_a_resource_is_said_in_both_cases() {
        let said = "10 of 100 MiB free".to_owned();
        let fine = Finding::Fine(format!("{said}, 10 % is the least"));
        assert_eq!(share("free", 10 << 20, 100 << 20, 10), fine);
        let remedy = "make room: nothing is placed below 11 %".to_owned();
        assert_eq!(share("free", 10 << 20, 100 << 20, 11), Finding::Lacking { what: said, remedy });
    }

    #[test]
    fn a_kernel_that_says_nothing_is_reported() {
        let said = |room: &Room| matches!(pressure(room), Finding::Fine(_));
        assert!(!said(&Room::default()));
        assert!(said(&Room { memory_pressure: Some(MemoryPressure::default()), ..Room::default() }));
    }
}

//! Real sandboxes on this machine's kernel.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the exemption of tests does not reach helpers of tests in a folder"
)]

mod confined;
mod fixture;
mod verbs;

use std::time::Duration;

use sentinal_engine::InstanceState;
use sentinal_model::SandboxId;

const ENDS: Duration = Duration::from_secs(20);
/// Far longer than an answer takes.
const QUIET: Duration = Duration::from_millis(200);

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn states(instances: Vec<sentinal_engine::Instance>) -> Vec<(SandboxId, InstanceState)> {
    instances.into_iter().map(|instance| (instance.id, instance.state)).collect()
}

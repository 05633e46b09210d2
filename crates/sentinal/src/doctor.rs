//! `sentinal doctor`: what this host can, what it cannot, and what to do about it; and how the server is.

mod report;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use sentinal_cli::ServerReport;
use sentinal_model::NodeId;
use sentinal_node::{
    NodeConfig, Owner,
    doctor::{Examination, examine},
};

use crate::{cli::DoctorOptions, node, user};
use report::Report;

/// Where the probes work.
const FOLDER: &str = "/var/tmp/sentinal-doctor";

fn folder() -> PathBuf {
    // What root made is nobody else's to write to.
    let user = Owner::of_this_process().uid;
    if user == 0 { PathBuf::from(FOLDER) } else { PathBuf::from(format!("{FOLDER}-{user}")) }
}

/// `sentinal doctor`. Succeeds if an engine that is allowed can be used.
pub(crate) fn run(options: &DoctorOptions) -> Result<ExitCode> {
    let examination = examination(options)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let diagnosis = runtime.block_on(examine(&examination));
    let server = runtime.block_on(ServerReport::of(&options.server));
    let report = Report::new(&diagnosis, options.isolation.minimum(), server);
    print(&if options.json { report.json()? } else { report.text() });
    Ok(if report.usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn examination(options: &DoctorOptions) -> Result<Examination> {
    let DoctorOptions { parts, room, .. } = options;
    let state_folder = room.node_folder();
    let config = NodeConfig {
        node_id: NodeId::local(),
        socket: state_folder.join("node.sock"),
        state_folder,
        server: user::find(&parts.server_user).unwrap_or_else(|_| Owner::of_this_process()),
        images: parts.images.clone(),
        agent: node::agent_path(parts).unwrap_or_default(),
        runsc: parts.runsc.clone(),
        exit_when_idle: None,
    };
    let memory_percent_min = room.memory_available_min;
    Ok(Examination { config, programs: node::programs()?, folder: folder(), memory_percent_min })
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(text: &str) {
    println!("{text}");
}

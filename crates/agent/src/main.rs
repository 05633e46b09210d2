//! The agent: init of every sandbox.
//!
//! It dials the server ([`connection`]), and over that connection serves what `proto/agent.proto` says
//! ([`service`]): executions ([`executions`]) and files ([`files`]). Connections are disposable, executions are
//! not. It reaps every process of the sandbox ([`reaper`]) and ends the sandbox at its deadline ([`deadline`]), or when
//! nobody has used it for too long ([`idle`]), even if nobody outside is alive to do so.
//!
//! One thread does all but file transfers, which happen on threads that have taken their user's identity.
//! The agent must never: act on a path as root for somebody else, hold more than [`limits`] says, or end
//! because of bytes that somebody sent.

mod connection;
mod contexts;
mod deadline;
mod execution;
mod executions;
mod files;
mod heart;
mod idle;
mod limits;
mod link;
mod port;
mod reaper;
mod root;
mod sandbox;
mod service;
mod settings;
mod spawn;
mod sys;
mod user;

use std::{io, io::Write, process::ExitCode, sync::Arc};

use crate::{
    deadline::Deadline, executions::Executions, heart::Heart, idle::Idle, service::Service, settings::Settings,
};

/// musl's own allocator maps and unmaps memory for nearly every chunk of a file, which costs twice in a sandbox whose
/// kernel is a program.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// `EX_USAGE` and `EX_OSERR` of sysexits.h.
const EXIT_USAGE: u8 = 64;
const EXIT_SYSTEM: u8 = 71;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "--version") {
        return say_version();
    }
    let settings = match Settings::take() {
        Ok(settings) => settings,
        Err(error) => return fatal(&error, EXIT_USAGE),
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fatal(&error, EXIT_SYSTEM),
    }
}

/// Lives until the deadline, or until nobody uses the sandbox.
fn run(settings: Settings) -> io::Result<()> {
    root::make_writable()?;
    let host = sandbox::prepare(settings.program_oom_score)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(limits::TRANSFERS_MAX + limits::WATCHES_MAX)
        .thread_stack_size(limits::TRANSFER_STACK_BYTES)
        .thread_keep_alive(limits::TRANSFER_THREAD_IDLE)
        .build()?;
    let ended = runtime.block_on(serve(settings, host));
    runtime.shutdown_background();
    ended
}

async fn serve(settings: Settings, host: sandbox::Host) -> io::Result<()> {
    let deadline = Arc::new(Deadline::new(settings.deadline));
    let idle = Idle::new(settings.idle);
    let heart = Heart::new();
    let executions = Arc::new(Executions::new(host.spawner, idle.clone(), heart.clone()));
    let service = Service::new(Arc::clone(&executions), host.users, Arc::clone(&deadline), idle.clone());
    let reaper = tokio::spawn(reaper::reap_forever(host.child_signals, Arc::clone(&executions)));
    tokio::spawn(heart.beat());
    tokio::spawn(connection::stay_connected(settings.socket, settings.hello, service));
    let over = async {
        tokio::select! {
            () = deadline.passed() => {}
            () = idle.passed() => {}
        }
    };
    tokio::select! {
        () = over => {
            executions.kill_all();
            Ok(())
        }
        broken = reaper => broken.unwrap_or_else(|lost| Err(io::Error::other(lost))),
    }
}

/// For whoever wants to know whether it can be started at all.
fn say_version() -> ExitCode {
    let said = writeln!(io::stdout(), "sentinal-agent {}", env!("CARGO_PKG_VERSION"));
    if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_SYSTEM) }
}

/// The only thing that an agent at work ever prints.
fn fatal(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    // When standard error is gone too, the exit code has to do.
    let _ = writeln!(io::stderr(), "sentinal-agent: {error}");
    ExitCode::from(code)
}

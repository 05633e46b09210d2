//! A program of the host as root of a range of users: what it makes is theirs, and only they can remove it.

use std::{convert::Infallible, fs::File, os::unix::process::CommandExt as _, process::Command};

use rustix::{
    fs::Mode,
    process::{WaitOptions, chdir, umask, waitpid},
    stdio::dup2_stdin,
};

use crate::{LaunchError, Step, error::At as _, inside, outside, plan::Chore, socket::Socket, sys, users};

/// Returns when the program has ended well.
pub(crate) fn run(chore: &Chore) -> Result<(), LaunchError> {
    let (ours, theirs) = Socket::pair()?;
    let Some(init) = sys::fork_into_namespaces().at(Step::Namespaces, "make a user and a pid namespace")? else {
        drop(ours);
        let Err(error) = become_program(chore, &theirs);
        theirs.complain(&error);
        sys::exit_at_once(1);
    };
    drop(theirs);
    users::map_own(init, chore.users)?;
    ours.hand_over(&[])?;
    ours.closed()?;
    let (_, status) = waitpid(Some(init), WaitOptions::empty())
        .at(Step::Execute, "wait for the program")?
        .ok_or_else(|| LaunchError::new(Step::Execute, "wait for the program", "it does not end"))?;
    if status.exit_status() == Some(0) {
        return Ok(());
    }
    Err(LaunchError::new(Step::Execute, &format!("finish {}", chore.program), outside::how(status)))
}

/// Where it works and what it reads are opened as the user on the host, who may go where they are.
fn become_program(chore: &Chore, outside: &Socket) -> Result<Infallible, LaunchError> {
    outside.take_over()?;
    chdir(&chore.folder).at(Step::Tree, "enter the program's folder")?;
    if let Some(input) = &chore.input {
        let input = File::open(input).at(Step::Tree, &format!("open {}", input.display()))?;
        dup2_stdin(&input).at(Step::Tree, "hand the program what it reads")?;
    }
    inside::become_root()?;
    umask(Mode::empty());
    let error = Command::new(&chore.program).args(&chore.arguments).exec();
    Err(LaunchError::new(Step::Execute, &format!("become {}", chore.program), error))
}

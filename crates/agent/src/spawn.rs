//! Starts programs: turns a request into what [`sys`] needs, and its failures into results or refusals.

mod environment;
mod failure;
mod search;
mod sys;

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex},
};

use rustix::{
    fs::{Mode, OFlags},
    thread::CapabilitySet,
};
use sentinal_agent_protocol::v1::ExecuteRequest;
use tonic::Status;

pub(crate) use self::failure::NotStarted;
use self::sys::{Plan, Stack};
use crate::user::Users;

/// What a program gets as standard input, output and error.
pub(crate) struct Stdio<'a> {
    /// None: `/dev/null`.
    pub(crate) stdin: Option<BorrowedFd<'a>>,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
    /// All three are one terminal, which is to be the program's own.
    pub(crate) is_terminal: bool,
}

/// Starts programs; all it needs for that is kept between them.
pub(crate) struct Spawner {
    users: Arc<Users>,
    stack: Mutex<Stack>,
    null: OwnedFd,
    /// The bounding set that programs of ordinary users lose.
    capabilities: Vec<u32>,
    is_root: bool,
    open_files: u64,
    oom_score: Option<String>,
    /// Where the image has programs begin, and what it adds to the environment of all.
    folder: String,
    env: Vec<(String, String)>,
}

impl Spawner {
    /// `open_files`: how many a program may have that asks for no limit. `oom_score`: what it gets under memory
    /// pressure, if not the agent's.
    pub(crate) fn new(users: Arc<Users>, open_files: u64, oom_score: Option<i32>) -> io::Result<Self> {
        Ok(Self {
            users,
            stack: Mutex::new(Stack::new()),
            null: rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?,
            capabilities: bounding_set(),
            is_root: rustix::process::geteuid().is_root(),
            open_files,
            oom_score: oom_score.map(|score| score.to_string()),
            folder: String::new(),
            env: Vec::new(),
        })
    }

    /// The same, with what the image wants its programs to have.
    pub(crate) fn with_defaults(self, folder: String, env: Vec<(String, String)>) -> Self {
        Self { folder, env, ..self }
    }

    /// The program's pid once it runs.
    pub(crate) fn spawn(&self, request: &ExecuteRequest, stdio: &Stdio<'_>) -> Result<i32, NotStarted> {
        let user = self.users.find(request.user.as_ref().map_or("", |user| &user.name))?;
        let environment = environment::build(&self.env, &request.env, &user, stdio.is_terminal)?;
        let program = request.argv.first().ok_or_else(|| Status::invalid_argument("argv must not be empty"))?;
        let cwd = [&request.cwd, &self.folder].into_iter().find(|cwd| !cwd.is_empty()).unwrap_or(&user.home);
        let plan = Plan {
            candidates: strings(search::candidates(program, environment.path()), "argv")?,
            arguments: strings(&request.argv, "argv")?,
            environment: environment.into_strings(),
            cwd: string(cwd, "cwd")?,
            is_cwd_needed: !request.cwd.is_empty(),
            stdio: [stdio.stdin.unwrap_or_else(|| self.null.as_fd()), stdio.stdout, stdio.stderr],
            is_terminal: stdio.is_terminal,
            identity: self.is_root.then_some(&user.identity),
            capabilities: &self.capabilities,
            oom_score: self.oom_score.as_deref(),
            processes_max: (request.processes_max != 0).then_some(request.processes_max),
            open_files_max: if request.open_files_max == 0 { self.open_files } else { request.open_files_max },
        };
        if let (true, Some(identity)) = (plan.is_terminal, plan.identity) {
            let owner = rustix::fs::Uid::from_raw(identity.uid);
            let owned = rustix::fs::fchown(stdio.stdout, Some(owner), None);
            owned.map_err(|errno| Status::internal(format!("the terminal got no owner: {errno}")))?;
        }
        let mut stack = self.stack.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sys::spawn(&mut stack, &plan).map_err(|failed| failure::explain(failed, program, cwd))
    }
}

/// What there is to drop of the bounding set; asked once, since each question is a system call. Without the right
/// to drop there is nothing: `no_new_privs` is what keeps a program from gaining anything, and needs no right.
fn bounding_set() -> Vec<u32> {
    let own = rustix::thread::capabilities(None).map(|own| own.effective);
    if !own.is_ok_and(|own| own.contains(CapabilitySet::SETPCAP)) {
        return Vec::new();
    }
    let is_there = |number: u32| {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        rustix::thread::capability_is_in_bounding_set(capability).ok().map(|is_there| (number, is_there))
    };
    (0..u64::BITS).map_while(is_there).filter(|(_, is_there)| *is_there).map(|(number, _)| number).collect()
}

fn strings<S: AsRef<str>>(list: impl IntoIterator<Item = S>, field: &str) -> Result<Vec<CString>, Status> {
    list.into_iter().map(|text| string(text.as_ref(), field)).collect()
}

fn string(text: &str, field: &str) -> Result<CString, Status> {
    CString::new(text).map_err(|_| Status::invalid_argument(format!("{field} must not contain a NUL byte")))
}

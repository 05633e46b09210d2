//! What a start that failed means: the program's own end as a shell would report it, or a refused request.

use tonic::Status;

use super::sys::{Failed, Step};

/// As in shells: the program is not there.
const NOT_FOUND: i32 = 127;
/// As in shells: the program is there and cannot be executed.
const NOT_EXECUTABLE: i32 = 126;

/// Why there is no process.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// A result: exit code and a line for standard error.
    Ended { exit_code: i32, line: String },
    /// The request cannot be carried out.
    Refused(Status),
}

impl From<Status> for NotStarted {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

pub(super) fn explain(failed: Failed, program: &str, cwd: &str) -> NotStarted {
    match failed.step {
        Step::Clone | Step::Exec => ended(program, failed.errno),
        Step::WorkingDirectory => NotStarted::Refused(bad_cwd(cwd, failed.errno)),
        Step::Session | Step::Stdio | Step::Limits | Step::Capabilities | Step::Identity => {
            NotStarted::Refused(Status::internal(format!(
                "the process could not be prepared ({}): {}",
                failed.step.name(),
                text(failed.errno)
            )))
        }
    }
}

fn ended(program: &str, errno: i32) -> NotStarted {
    let exit_code = match errno {
        libc::ENOENT | libc::ENOTDIR => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    let why = match errno {
        libc::ENOENT | libc::ENOTDIR if program.contains('/') => "no such file or directory".to_owned(),
        libc::ENOENT | libc::ENOTDIR => "command not found".to_owned(),
        libc::EACCES | libc::EPERM => "permission denied".to_owned(),
        libc::ENOEXEC => "not in a format that can be executed".to_owned(),
        libc::EAGAIN => "the limit of processes is reached".to_owned(),
        libc::ENOMEM => "not enough memory to start it".to_owned(),
        libc::E2BIG => "the arguments and environment are too long".to_owned(),
        other => text(other),
    };
    NotStarted::Ended { exit_code, line: format!("sentinal: {program}: {why}\n") }
}

fn bad_cwd(cwd: &str, errno: i32) -> Status {
    let why = match errno {
        libc::ENOENT => "does not exist".to_owned(),
        libc::ENOTDIR => "is not a directory".to_owned(),
        libc::EACCES => "is not accessible to this user".to_owned(),
        other => format!("cannot be entered: {}", text(other)),
    };
    Status::invalid_argument(format!("the working directory {cwd} {why}"))
}

fn text(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(program: &str, errno: i32, code: i32, expected: &str) {
        match explain(Failed { step: Step::Exec, errno }, program, "/") {
            NotStarted::Ended { exit_code, line } => assert_eq!((exit_code, &*line), (code, expected)),
            NotStarted::Refused(status) => panic!("{status}"),
        }
    }

    #[test]
    fn a_failed_exec_is_reported_as_a_shell_would() {
        check("nosuch", libc::ENOENT, 127, "sentinal: nosuch: command not found\n");
        check("./nosuch", libc::ENOENT, 127, "sentinal: ./nosuch: no such file or directory\n");
        check("/etc", libc::EACCES, 126, "sentinal: /etc: permission denied\n");
        check("true", libc::EAGAIN, 126, "sentinal: true: the limit of processes is reached\n");
    }
}

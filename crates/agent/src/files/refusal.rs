//! What the kernel's refusals mean to whoever asked for a file.

use rustix::io::Errno;
use tonic::Status;

/// The answer for a failed operation on a path.
pub(super) fn refusal(path: &str, errno: Errno) -> Status {
    match errno {
        Errno::NOENT => Status::not_found(format!("{path} does not exist")),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => Status::permission_denied(format!(
            "{path} is not accessible to this user; change its permissions, or ask as another user"
        )),
        Errno::NOSPC | Errno::DQUOT => Status::resource_exhausted("no space left on the sandbox's disk"),
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => {
            Status::resource_exhausted(format!("{path} cannot be opened: {}", text(errno)))
        }
        Errno::EXIST => Status::already_exists(format!("{path} exists")),
        Errno::ISDIR => is_directory(path),
        Errno::NOTDIR => Status::invalid_argument(format!("a part of {path} is not a directory")),
        Errno::LOOP => Status::invalid_argument(format!("{path} has too many symbolic links")),
        Errno::NAMETOOLONG => Status::invalid_argument(format!("{path} has a name that is too long")),
        other => Status::failed_precondition(format!("{path}: {}", text(other))),
    }
}

pub(super) fn is_directory(path: &str) -> Status {
    Status::failed_precondition(format!("{path} is a directory"))
}

pub(super) fn not_regular(path: &str) -> Status {
    Status::failed_precondition(format!("{path} is not a regular file"))
}

fn text(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

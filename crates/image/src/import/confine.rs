//! Nothing but computing, on files that are open already: what is left to a process that reads a stranger's image.

use std::{collections::BTreeMap, io};

use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::limits::{IMPORT_CPU_SECONDS, IMPORT_MEMORY_BYTES};

/// What a system call is for that is left.
const ALLOWED: [(libc::c_long, &str); 27] = [
    (libc::SYS_read, "the archive"),
    (libc::SYS_pread64, "the archive"),
    (libc::SYS_write, "the image, and what is said of it"),
    (libc::SYS_pwrite64, "the image"),
    (libc::SYS_writev, "what is said when it panics"),
    (libc::SYS_lseek, "the archive"),
    (libc::SYS_fsync, "the image"),
    (libc::SYS_fdatasync, "the image"),
    (libc::SYS_fcntl, "whether a descriptor is open"),
    (libc::SYS_close, "files that are done"),
    (libc::SYS_munmap, "memory"),
    (libc::SYS_mremap, "memory"),
    (libc::SYS_madvise, "memory"),
    (libc::SYS_brk, "memory"),
    (libc::SYS_exit, "the end"),
    (libc::SYS_exit_group, "the end"),
    (libc::SYS_futex, "locks of the standard library"),
    (libc::SYS_getrandom, "hash tables"),
    (libc::SYS_clock_gettime, "when progress is told"),
    (libc::SYS_rt_sigreturn, "signals"),
    (libc::SYS_rt_sigaction, "the end of the main thread's stack guard"),
    (libc::SYS_rt_sigprocmask, "the same"),
    (libc::SYS_sigaltstack, "the same"),
    (libc::SYS_sched_yield, "locks of the standard library"),
    (libc::SYS_gettid, "the end by a panic"),
    (libc::SYS_getpid, "the end by a panic"),
    (libc::SYS_tgkill, "the end by a panic"),
];

/// Restricts this process for good. Everything that is not in the list is told `EPERM`: no file can be opened, no
/// socket made, no program started, and no memory made executable.
pub(crate) fn confine() -> io::Result<()> {
    let limit = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limit(Resource::As, IMPORT_MEMORY_BYTES)?;
    limit(Resource::Cpu, IMPORT_CPU_SECONDS)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nproc, 0)?;
    restrict()
}

/// What the thread that calls it may ask of the kernel from now on, and those that it starts.
fn restrict() -> io::Result<()> {
    let filter = filter().map_err(io::Error::other)?;
    seccompiler::apply_filter(&filter).map_err(io::Error::other)
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<libc::c_long, Vec<SeccompRule>> =
        ALLOWED.iter().map(|(number, _)| (*number, Vec::new())).collect();
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    for number in [libc::SYS_mmap, libc::SYS_mprotect] {
        let is_data = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(executable), 0)?;
        rules.insert(number, vec![SeccompRule::new(vec![is_data])?]);
    }
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, refused, SeccompAction::Allow, architecture)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _, net::TcpStream, os::unix::net::UnixStream, process::Command};

    use super::*;

    #[test]
    fn nothing_but_files_that_are_open_is_within_reach() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // The filter is the thread's own and ends with it.
        let tried = std::thread::spawn(move || {
            let mut open = File::open("/proc/self/cmdline").unwrap();
            restrict().unwrap();
            let mut bytes = vec![0; 1 << 20];
            let read = open.read(&mut bytes).is_ok();
            let errors = [
                File::open("/etc/passwd").unwrap_err(),
                std::fs::write("/tmp/never", "").unwrap_err(),
                TcpStream::connect(address).unwrap_err(),
                UnixStream::connect("/run/never").unwrap_err(),
                Command::new("/bin/true").spawn().unwrap_err(),
                std::fs::remove_file("/tmp/never").unwrap_err(),
            ];
            (read, errors.map(|error| error.raw_os_error()))
        });
        assert_eq!(tried.join().unwrap(), (true, [Some(libc::EPERM); 6]));
    }

    #[test]
    fn the_filter_can_be_compiled_and_each_call_has_a_reason() {
        assert!(!filter().unwrap().is_empty());
        assert!(ALLOWED.iter().all(|(_, why)| !why.is_empty()));
    }
}

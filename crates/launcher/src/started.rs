//! Which process it is, for whoever finds its number later: by then it may be a stranger's.

use std::{fmt, fs, io, os::fd::OwnedFd, str::FromStr};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process by its number and the moment it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// Its number.
    pub pid: i32,
    /// In the kernel's ticks since the host's start.
    pub ticks: u64,
}

impl Started {
    /// A process that is there.
    pub(crate) fn of(pid: Pid) -> io::Result<Self> {
        let (_, ticks) = look_at(pid)?;
        Ok(Self { pid: pid.as_raw_nonzero().get(), ticks })
    }

    /// Holds on to it while it lives: what is held never becomes another process. It is readable once it has ended.
    pub fn hold(self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.pid)?;
        let process = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        // Looked at while it is held: whoever has the number now is the one that is held.
        let (state, ticks) = look_at(pid).ok()?;
        (ticks == self.ticks && !matches!(state, 'Z' | 'X')).then_some(process)
    }
}

/// `<pid> <ticks>`
impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.ticks)
    }
}

impl FromStr for Started {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let fields =
            text.trim().split_once(' ').and_then(|(pid, ticks)| Some((pid.parse().ok()?, ticks.parse().ok()?)));
        let (pid, ticks) = fields.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { pid, ticks })
    }
}

fn look_at(pid: Pid) -> io::Result<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
    parse(&stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// State and start time, the 3rd and the 22nd field. The 2nd is a name, in which there may be anything.
fn parse(stat: &str) -> Option<(char, u64)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_cannot_pretend_to_be_a_field() {
        let stat = "7 (a) Z 1) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n";
        assert_eq!(parse(stat), Some(('S', 4711)));
        assert_eq!(parse("7 (a) S 1 2"), None);
    }

    #[test]
    fn only_the_very_process_is_held_and_only_while_it_lives() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let started = Started::of(Pid::from_child(&child)).unwrap();
        assert_eq!(started.to_string().parse::<Started>().unwrap(), started);
        assert!(started.hold().is_some());
        assert!(Started { ticks: started.ticks + 1, ..started }.hold().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(started.hold().is_none());
    }
}

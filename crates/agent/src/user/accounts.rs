//! `/etc/passwd` and `/etc/group`. Whoever is root inside may write anything there.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::{Identity, User, names::Names};
use crate::limits;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The files' content as last read.
#[derive(Default)]
pub(crate) struct Accounts {
    passwd: Cached,
    group: Cached,
}

impl Accounts {
    /// Reads what has changed.
    pub(crate) fn refresh(&mut self) {
        self.passwd.refresh(PASSWD);
        self.group.refresh(GROUP);
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<User> {
        self.find(|account| account.name == name)
    }

    pub(crate) fn by_id(&self, uid: u32) -> Option<User> {
        self.find(|account| account.uid == uid)
    }

    pub(crate) fn names(&self) -> Names {
        Names::new(&self.passwd.text, &self.group.text)
    }

    fn find(&self, is_wanted: impl Fn(&Account<'_>) -> bool) -> Option<User> {
        let account = self.passwd.text.lines().filter_map(Account::parse).find(is_wanted)?;
        let mut groups = vec![account.gid];
        groups.extend(self.group.text.lines().filter_map(|line| membership(line, account.name)));
        groups.sort_unstable();
        groups.dedup();
        // NGROUPS_MAX of Linux.
        groups.truncate(65_536);
        let home = if account.home.starts_with('/') { account.home } else { "/" };
        Some(User {
            name: account.name.to_owned(),
            home: home.to_owned(),
            identity: Identity { uid: account.uid, gid: account.gid, groups },
        })
    }
}

/// One line of `/etc/passwd`.
struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Account<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let (_comment, home) = (fields.next()?, fields.next()?);
        Some(Self { name, uid, gid, home })
    }
}

/// The group of a line of `/etc/group`, when it lists the name.
fn membership(line: &str, name: &str) -> Option<u32> {
    let mut fields = line.split(':');
    let (gid, members) = (fields.nth(2)?.parse().ok()?, fields.next()?);
    members.split(',').any(|member| member == name).then_some(gid)
}

/// A file's text, and what it looked like when it was read.
#[derive(Default)]
struct Cached {
    stamp: Option<Stamp>,
    text: String,
}

#[derive(PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Cached {
    fn refresh(&mut self, path: &str) {
        let stamp = rustix::fs::stat(path).ok().map(|stat| Stamp {
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        });
        if stamp == self.stamp {
            return;
        }
        self.text = read(path).unwrap_or_default();
        self.stamp = stamp;
    }
}

/// A FIFO or a device in a file's place must not hold the agent up.
fn read(path: &str) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let descriptor = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(descriptor.as_fd())?.st_mode);
    if kind != FileType::RegularFile {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    File::from(descriptor).take(limits::ACCOUNTS_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accounts(passwd: &str, group: &str) -> Accounts {
        let cached = |text: &str| Cached { stamp: None, text: text.to_owned() };
        Accounts { passwd: cached(passwd), group: cached(group) }
    }

    #[test]
    fn a_user_has_a_home_and_groups() {
        let accounts = accounts(
            "root:x:0:0:root:/root:/bin/sh\nbroken line\nann:x:1000:100::/home/ann:/bin/sh\n",
            "users:x:100:\nvideo:x:44:bob,ann\naudio:x:29:bob\n",
        );
        let ann = accounts.by_name("ann").unwrap();
        assert_eq!(ann.home, "/home/ann");
        assert_eq!(ann.identity, Identity { uid: 1000, gid: 100, groups: vec![44, 100] });
        assert_eq!(accounts.by_id(1000), Some(ann));
        assert_eq!(accounts.by_name("nobody"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(passwd in "\\PC{0,200}", group in "[a-z:,0-9\n]{0,200}", name in "[a-z]*") {
            let accounts = accounts(&passwd, &group);
            accounts.by_name(&name);
            accounts.by_id(0);
        }
    }
}

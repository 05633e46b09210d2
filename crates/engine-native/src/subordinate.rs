//! The range of users that the host has given to an ordinary user (subuid(5)), if it can be used.

use std::{fs, path::Path};

use rustix::process::geteuid;
use sentinal_engine::child::PATH;
use sentinal_launcher::{Plan, Users};

/// The users for sandboxes of this process's user. All of them have the same.
pub(crate) fn users() -> Users {
    // The programs that map a range gain rights when they start; without that they can do nothing.
    let may_gain = !rustix::thread::no_new_privs().unwrap_or(true);
    let can_map = ["newuidmap", "newgidmap"].into_iter().all(is_in_path);
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = geteuid().as_raw();
    // They map nothing for whoever has no account.
    let name = name(&passwd, user);
    let first = |file: &str| first(&fs::read_to_string(file).unwrap_or_default(), user, name?);
    match (first("/etc/subuid"), first("/etc/subgid")) {
        (Some(first_uid), Some(first_gid)) if may_gain && can_map => Users::Range { first_uid, first_gid },
        (_, _) => Users::One,
    }
}

fn is_in_path(program: &str) -> bool {
    PATH.split(':').any(|folder| Path::new(folder).join(program).is_file())
}

fn name(passwd: &str, user: u32) -> Option<&str> {
    let mut accounts = passwd.lines().map(|line| line.split(':'));
    accounts.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then_some(name)
    })
}

/// The first of a large enough range in `name:first:count` lines.
fn first(ranges: &str, user: u32, name: &str) -> Option<u32> {
    ranges.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let (first, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        let is_ours = owner.parse() == Ok(user) || owner == name;
        (is_ours && Plan::USERS <= count && first.checked_add(count).is_some()).then_some(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ranges: &str, expected: Option<u32>) {
        assert_eq!(first(ranges, 1001, "ann"), expected, "{ranges}");
    }

    #[test]
    fn a_range_is_the_users_by_name_or_number_and_large_enough() {
        check("bob:100000:65536\nann:165536:65536\n", Some(165_536));
        check("1001:165536:65536\n", Some(165_536));
        check("ann:100000:65535\nann:200000:131072\n", Some(200_000));
        check("ann:100000:65535\n", None);
        check("ann:4294967295:65536\nann\nann:x:65536\n", None);
        check("", None);
    }

    #[test]
    fn a_user_is_named_by_its_account() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1001:1001::/home/ann:/bin/sh\n";
        assert_eq!(name(passwd, 1001), Some("ann"));
        assert_eq!(name(passwd, 1002), None);
    }
}

//! Ordinary users of this machine, by name or number.

use std::fs;

use anyhow::{Context, Result, bail};
use sentinal_node::Owner;

/// Looks up a user in /etc/passwd; a decimal number is a user id whose group has the same number.
pub(crate) fn find(name: &str) -> Result<Owner> {
    if let Ok(uid) = name.parse() {
        return Ok(Owner { uid, gid: uid });
    }
    let passwd = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let Some(line) = passwd.lines().find(|line| line.split(':').next() == Some(name)) else {
        bail!(
            "there is no user {name:?}; make one with: useradd --system --no-create-home --shell /usr/sbin/nologin {name}"
        );
    };
    let mut fields = line.split(':').skip(2).map(str::parse);
    match (fields.next(), fields.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) => Ok(Owner { uid, gid }),
        (_, _) => bail!("the line of user {name:?} in /etc/passwd is damaged"),
    }
}

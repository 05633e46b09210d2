//! The users and groups of a sandbox, with Debian's numbers.

use super::tree::{Owner, Tree};
use crate::ImageError;

/// Executions run as `user` unless told otherwise.
const USER: Owner = Owner { uid: 1000, gid: 1000 };
const HOME: &str = "home/user";

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
user:x:1000:1000:user:/home/user:/bin/bash
";

const GROUP: &str = "\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
kmem:x:15:
www-data:x:33:
utmp:x:43:
shadow:x:42:
staff:x:50:
users:x:100:
nogroup:x:65534:
user:x:1000:
";

/// Writes the accounts and the home folder of `user`. Nobody has a password: all are locked.
pub(super) fn write(tree: &Tree) -> Result<(), ImageError> {
    tree.write("etc/passwd", PASSWD, 0o644)?;
    tree.write("etc/group", GROUP, 0o644)?;
    tree.write("etc/shadow", &shadow(), 0o600)?;
    tree.folder("root", 0o700)?;
    tree.folder(HOME, 0o755)?;
    tree.own(HOME, USER)?;
    for template in tree.children("etc/skel")? {
        let name = template.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let copy = format!("{HOME}/{name}");
        tree.copy(&format!("etc/skel/{name}"), &copy)?;
        tree.own(&copy, USER)?;
    }
    Ok(())
}

fn shadow() -> String {
    let names = PASSWD.lines().filter_map(|line| line.split(':').next());
    names.flat_map(|name| [name, ":*:19000:0:99999:7:::\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_a_group_and_no_password() {
        for line in PASSWD.lines() {
            let fields: Vec<_> = line.split(':').collect();
            assert_eq!(fields.len(), 7, "{line}");
            assert!(GROUP.lines().any(|group| group.split(':').nth(2) == Some(fields[3])), "{line}");
        }
        assert!(shadow().lines().all(|line| line.split(':').nth(1) == Some("*")));
        assert_eq!(shadow().lines().count(), PASSWD.lines().count());
    }
}

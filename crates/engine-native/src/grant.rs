//! Access to the server's socket for a sandbox whose root is another user than the server: by an access control list,
//! for that user alone. Inside, nobody but root passes the folder above it.

use std::{fs, io, path::Path};

use rustix::fs::{XattrFlags, setxattr};
use sentinal_launcher::Users;

// The kernel's form of an access control list (acl(5), posix_acl_xattr.h).
const VERSION: u32 = 2;
const USER_OBJECT: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJECT: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
const NO_ID: u32 = u32::MAX;
const ALL: u16 = 7;

/// The socket may be there already, and a server that is started again makes a new one.
pub(crate) fn socket_folder(folder: &Path, users: Users) -> io::Result<()> {
    let Users::Range { first_uid, .. } = users else { return Ok(()) };
    let list = list(first_uid);
    for name in ["system.posix_acl_access", "system.posix_acl_default"] {
        setxattr(folder, name, &list, XattrFlags::empty())?;
    }
    for entry in fs::read_dir(folder)? {
        setxattr(entry?.path(), "system.posix_acl_access", &list, XattrFlags::empty())?;
    }
    Ok(())
}

/// Everything for the owner and for `uid`, nothing for anybody else.
fn list(uid: u32) -> Vec<u8> {
    let entries =
        [(USER_OBJECT, ALL, NO_ID), (USER, ALL, uid), (GROUP_OBJECT, 0, NO_ID), (MASK, ALL, NO_ID), (OTHER, 0, NO_ID)];
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

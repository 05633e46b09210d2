//! What is mounted, as `/proc/self/mountinfo` says.

use std::{
    fs, io,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is.
    pub point: PathBuf,
    /// Which kind of file system.
    pub kind: String,
    /// The file system's own options.
    pub options: Vec<String>,
}

/// Everything mounted in this mount namespace, in the order of mounting.
pub fn all() -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read_to_string("/proc/self/mountinfo")?))
}

/// Everything mounted at or beneath a folder, the last mounted first.
pub fn beneath(folder: &Path) -> io::Result<Vec<Mount>> {
    Ok(all()?.into_iter().filter(|mount| mount.point.starts_with(folder)).rev().collect())
}

/// Lines that are not understood are left out.
pub fn parse(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(line).collect()
}

/// `31 23 0:28 / /sys/fs/cgroup rw,relatime shared:1 - tmpfs tmpfs rw,mode=755`
fn line(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let point = unescape(before.split(' ').nth(4)?);
    let mut after = after.split(' ');
    let kind = after.next()?.to_owned();
    let options = after.nth(1).unwrap_or_default().split(',').map(str::to_owned).collect();
    Some(Mount { point, kind, options })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            digits
                .iter()
                .try_fold(0u16, |sum, digit| Some(sum * 8 + u16::from(digit.checked_sub(b'0').filter(|d| *d < 8)?)))
        });
        if let Some(byte) = octal.and_then(|byte| u8::try_from(byte).ok()) {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_its_point_kind_and_options() {
        let found = parse("36 31 0:33 / /a\\040b rw,noatime master:2 - ext4 /dev/loop0 rw,discard\nnonsense\n");
        let options = vec!["rw".to_owned(), "discard".to_owned()];
        assert_eq!(found, [Mount { point: "/a b".into(), kind: "ext4".to_owned(), options }]);
    }

    #[test]
    fn this_machine_has_a_root() {
        assert!(all().unwrap().iter().any(|mount| mount.point == Path::new("/")));
    }
}
